"""UPerNet (Xiao et al. 2018) on any encoder of segmentation-models-pytorch."""

from typing import cast

import training.torchvision_guard  # noqa: F401  isort: skip  before smp imports torchvision
import segmentation_models_pytorch as smp
from torch import nn

from training.models.parts.encoders import encoder_decoder
from training.models.parts.pooling import AnySizeAveragePool


def upernet(
    class_count: int,
    *,
    encoder: str = "resnet50",
    encoder_weights: str | None = None,
    decoder_channels: int = 256,
) -> nn.Module:
    """images (B,3,H,W) -> logits (B,class_count,H/4,W/4); H and W are multiples of 32."""
    network = encoder_decoder(
        smp.UPerNet,
        encoder,
        encoder_weights,
        classes=class_count,
        decoder_channels=decoder_channels,
        upsampling=1,  # the head's own x4 is left to who reads the logits
    )
    for level in network.decoder.psp.blocks:
        level[0] = AnySizeAveragePool(level[0].output_size)
    return cast(nn.Module, network)
