"""U-Net++ (Zhou et al. 2018), without deep supervision, on any encoder of segmentation-models-pytorch."""

from typing import cast

import training.torchvision_guard  # noqa: F401  isort: skip  before smp imports torchvision
import segmentation_models_pytorch as smp
from torch import nn

from training.models.parts.encoders import encoder_decoder


def unetplusplus(
    class_count: int,
    *,
    encoder: str = "resnet34",
    encoder_weights: str | None = None,
    decoder_channels: tuple[int, ...] = (256, 128, 64, 32, 16),
) -> nn.Module:
    """images (B,3,H,W) -> logits (B,class_count,H,W); H and W are multiples of 32.

    decoder_channels: of the five steps from H/32 to H.
    """
    network = encoder_decoder(
        smp.UnetPlusPlus, encoder, encoder_weights, classes=class_count, decoder_channels=tuple(decoder_channels)
    )
    return cast(nn.Module, network)
