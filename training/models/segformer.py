"""SegFormer (Xie et al. 2021), sizes B0 to B5, of transformers."""

from pathlib import Path
from typing import Any, cast

import training.torchvision_guard  # noqa: F401  isort: skip  before transformers imports torchvision
import transformers
from torch import Tensor, nn

from training.models.parts.errors import InvalidModelOption
from training.models.parts.pretrained import Source, config_from, load_encoder, network_from

# Widths of the four stages, layers in each, width of the decoder (table 6 of the paper).
SIZES: dict[str, tuple[tuple[int, ...], tuple[int, ...], int]] = {
    "b0": ((32, 64, 160, 256), (2, 2, 2, 2), 256),
    "b1": ((64, 128, 320, 512), (2, 2, 2, 2), 256),
    "b2": ((64, 128, 320, 512), (3, 4, 6, 3), 768),
    "b3": ((64, 128, 320, 512), (3, 4, 18, 3), 768),
    "b4": ((64, 128, 320, 512), (3, 8, 27, 3), 768),
    "b5": ((64, 128, 320, 512), (3, 6, 40, 3), 768),
}


class Segformer(nn.Module):
    """images (B,3,H,W) → logits (B,C,H/4,W/4)."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    @property
    def encoder(self) -> nn.Module:
        return cast(nn.Module, self.network.segformer)

    def forward(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.network(pixel_values=images).logits)


def segformer(
    class_count: int,
    *,
    size: str = "b0",
    folder: str | Path | None = None,
    hub: str | None = None,
    pretrained: bool | str = True,
) -> nn.Module:
    """images (B,3,H,W) -> logits (B,class_count,H/4,W/4); H and W are multiples of 32.

    size: with random weights. folder, or hub (owner/name@commit): the size and the weights that are there; the
    classifier begins at random where they have another number of classes. pretrained="encoder": the encoder's weights
    alone, as of an ImageNet classifier (nvidia/mit-b0). pretrained=False: the size alone.
    """
    source = Source(folder=folder, hub=hub, pretrained=pretrained)
    network_class = transformers.SegformerForSemanticSegmentation
    if source.encoder_only:
        place = source.fetch()
        network = network_class(config_from(place, transformers.SegformerConfig, num_labels=class_count))
        load_encoder(network.segformer, place)
        return Segformer(network)
    if source.is_given:
        return Segformer(network_from(source, network_class, class_count, heads=("decode_head.classifier.",)))
    return Segformer(network_class(configuration(size, class_count)))


def configuration(size: str, class_count: int) -> Any:
    if size not in SIZES:
        raise InvalidModelOption("size", got=size, allowed=", ".join(SIZES))
    widths, depths, decoder_width = SIZES[size]
    return transformers.SegformerConfig(
        hidden_sizes=list(widths), depths=list(depths), decoder_hidden_size=decoder_width, num_labels=class_count
    )
