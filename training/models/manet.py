"""MA-Net (Fan et al. 2020): a U-Net with attention over positions and scales, on any encoder of smp."""

from typing import cast

import training.torchvision_guard  # noqa: F401  isort: skip  before smp imports torchvision
import segmentation_models_pytorch as smp
from torch import nn

from training.models.parts.encoders import encoder_decoder


def manet(
    class_count: int,
    *,
    encoder: str = "resnet34",
    encoder_weights: str | None = None,
    decoder_channels: tuple[int, ...] = (256, 128, 64, 32, 16),
    attention_channels: int = 64,
) -> nn.Module:
    """images (B,3,H,W) -> logits (B,class_count,H,W); H and W are multiples of 32.

    The attention holds (H/32 · W/32)² numbers: 16 MB for a picture of 2048x1024, four times that for twice the area.
    """
    network = encoder_decoder(
        smp.MAnet,
        encoder,
        encoder_weights,
        classes=class_count,
        decoder_channels=tuple(decoder_channels),
        decoder_pab_channels=attention_channels,
    )
    return cast(nn.Module, network)
