"""PSPNet (Zhao et al. 2017) on any encoder of segmentation-models-pytorch that can be dilated."""

from typing import cast

import training.torchvision_guard  # noqa: F401  isort: skip  before smp imports torchvision
import segmentation_models_pytorch as smp
from torch import Tensor, nn
from torch.nn import functional

from training.models.parts.encoders import encoder_decoder
from training.models.parts.errors import InvalidModelOption
from training.models.parts.pooling import AnySizeAveragePool


class _PyramidLevel(nn.Module):
    """Pools to cells x cells, mixes the channels, and returns to the size that came in."""

    def __init__(self, cells: int, mix: nn.Module) -> None:
        super().__init__()
        self.pool = AnySizeAveragePool(cells)
        self.mix = mix

    def forward(self, features: Tensor) -> Tensor:
        pooled = self.mix(self.pool(features))
        return functional.interpolate(pooled, size=features.shape[2:], mode="bilinear", align_corners=True)


def pspnet(
    class_count: int,
    *,
    encoder: str = "resnet50",
    encoder_weights: str | None = None,
    encoder_depth: int = 5,
    pyramid_channels: int = 512,
    dropout: float = 0.1,
) -> nn.Module:
    """images (B,3,H,W) -> logits (B,class_count,H/8,W/8); H and W are multiples of 32.

    encoder_depth: 5 dilates the last two stages to stride 8, as published; 3 leaves them out, which is much faster.
    """
    if encoder_depth not in (3, 5):
        raise InvalidModelOption("encoder_depth", got=encoder_depth, allowed="3, 5")
    dilation = {"output_stride": 8} if encoder_depth == 5 else {}
    network = encoder_decoder(
        smp.PSPNet,
        encoder,
        encoder_weights,
        classes=class_count,
        encoder_depth=encoder_depth,
        psp_out_channels=pyramid_channels,
        psp_dropout=dropout,
        upsampling=1,  # the head's own x8 is left to who reads the logits
        **dilation,
    )
    levels = network.decoder.psp.blocks
    for index, level in enumerate(levels):
        levels[index] = _PyramidLevel(level.pool_size, level.pool[1])
    return cast(nn.Module, network)
