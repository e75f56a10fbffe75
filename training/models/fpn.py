"""Feature pyramid network for segmentation (Kirillov et al. 2019) on any encoder of segmentation-models-pytorch."""

from typing import cast

import training.torchvision_guard  # noqa: F401  isort: skip  before smp imports torchvision
import segmentation_models_pytorch as smp
from torch import nn

from training.models.encoders import encoder_decoder


def fpn(
    class_count: int,
    *,
    encoder: str = "resnet34",
    encoder_weights: str | None = None,
    pyramid_channels: int = 128,
    decoder_channels: int = 64,
    dropout: float = 0.1,
) -> nn.Module:
    """images (B,3,H,W) -> logits (B,class_count,H/4,W/4); H and W are multiples of 32."""
    network = encoder_decoder(
        smp.FPN,
        encoder,
        encoder_weights,
        classes=class_count,
        decoder_pyramid_channels=pyramid_channels,
        decoder_segmentation_channels=decoder_channels,
        decoder_dropout=dropout,
        upsampling=1,  # the head's own ×4 is left to who reads the logits
    )
    return cast(nn.Module, network)
