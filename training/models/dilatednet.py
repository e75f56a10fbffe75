"""Context aggregation by dilated convolutions (Yu and Koltun 2016): a VGG-16 front end and a context module."""

from itertools import pairwise
from typing import Literal, cast

import torch
from torch import Tensor, nn

from training.models.parts.encoders import plain_encoder
from training.models.parts.errors import InvalidModelOption

CONTEXTS = ("none", "basic", "large")
DILATIONS = (1, 1, 2, 4, 8, 16, 1)  # of the context module's 3x3 layers; a 1x1 layer follows (table 1)
VGG_CHANNELS = 512  # of the last layers of every VGG
LARGE_WIDTHS = (2, 2, 4, 8, 16, 32, 32)  # channels of the large module's layers, per class (table 1)

NOISE = 1e-3  # standard deviation of the first weights around the identity, as a share of its own


class DilatedNet(nn.Module):
    """images (B,3,H,W) → logits (B,C,H/8,W/8)."""

    def __init__(self, encoder: nn.Module, front: nn.Module, context: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.front = front
        self.context = context

    def forward(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.context(self.front(self.encoder(images))))


def dilatednet(
    class_count: int,
    *,
    encoder: str = "vgg16",
    encoder_weights: str | None = None,
    context: Literal["none", "basic", "large"] = "basic",
    front_channels: int = 4096,
    dropout: float = 0.5,
) -> nn.Module:
    """images (B,3,H,W) -> logits (B,class_count,H/8,W/8); H and W are multiples of 32.

    encoder: of the VGG family. context: "none" trains the front end alone, as the paper does first.
    front_channels: of the two fully connected layers made convolutions; with 4096 the first has 103 million weights.
    """
    if context not in CONTEXTS:
        raise InvalidModelOption("context", got=context, allowed=", ".join(CONTEXTS))
    if not encoder.startswith("vgg"):
        raise InvalidModelOption("encoder", got=encoder, allowed="vgg11, vgg13, vgg16, vgg19, each also with _bn")
    layers = dilated_layers(plain_encoder(encoder, encoder_weights).features)
    widths = {"none": None, "basic": (1,) * len(DILATIONS), "large": LARGE_WIDTHS}[context]
    module = nn.Identity() if widths is None else context_module(class_count, [width * class_count for width in widths])
    return DilatedNet(layers, _front(class_count, front_channels, dropout), module)


def dilated_layers(layers: nn.Sequential) -> nn.Sequential:
    """The layers of a VGG without the last two poolings; what follows the first of the two is dilated by 2.

    Strides are 8 in the end instead of 32. The names of the weights stay as they were.
    """
    pools = 0
    for index, layer in enumerate(layers):
        if isinstance(layer, nn.MaxPool2d):
            pools += 1
            if pools >= 4:
                layers[index] = nn.Identity()
        elif isinstance(layer, nn.Conv2d) and pools >= 4:
            layer.dilation = layer.padding = (2, 2)
    return layers


def context_module(class_count: int, widths: list[int]) -> nn.Sequential:
    """Seven dilated 3x3 layers, each truncated at 0, and one of 1x1; it begins as the identity."""
    channels = [class_count, *widths]
    layers: list[nn.Module] = []
    for (before, after), dilation in zip(pairwise(channels), DILATIONS, strict=True):
        layers += [nn.Conv2d(before, after, 3, padding=dilation, dilation=dilation), nn.ReLU()]
    layers.append(nn.Conv2d(channels[-1], class_count, 1))
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            _begin_as_identity(layer, class_count)
    return nn.Sequential(*layers)


@torch.no_grad()
def _begin_as_identity(layer: nn.Conv2d, class_count: int) -> None:
    """Weight C / channels out between the channels of one class at the centre, and noise far below that everywhere.

    A class's value is spread over its channels in equal parts, and their sum is the value that came in.
    Source: section 3, equations 4 and 5, with C the number of classes.
    """
    before, after = layer.in_channels, layer.out_channels
    class_in = torch.arange(before) * class_count // before
    class_out = torch.arange(after) * class_count // after
    same = (class_out[:, None] == class_in[None, :]).float()
    share = class_count / after
    layer.weight.normal_(std=NOISE * share)
    middle = layer.kernel_size[0] // 2
    layer.weight[:, :, middle, middle] += same * share
    nn.init.zeros_(cast(Tensor, layer.bias))


def _front(class_count: int, channels: int, dropout: float) -> nn.Sequential:
    """VGG's classifier as convolutions: 7x7 dilated by 4, 1x1, and 1x1 to the classes (section 4)."""
    return nn.Sequential(
        nn.Conv2d(VGG_CHANNELS, channels, 7, padding=12, dilation=4),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Conv2d(channels, channels, 1),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Conv2d(channels, class_count, 1),
    )
