"""U-Net (Ronneberger et al. 2015) on any encoder of segmentation-models-pytorch."""

from typing import cast

import training.torchvision_guard  # noqa: F401  isort: skip  before smp imports torchvision
import segmentation_models_pytorch as smp
from torch import nn

from training.models.parts.encoders import encoder_decoder, stochastic_depth


def unet(
    class_count: int,
    *,
    encoder: str = "resnet34",
    encoder_weights: str | None = None,
    decoder_channels: tuple[int, ...] = (256, 128, 64, 32, 16),
    drop_path: float = 0.0,
) -> nn.Module:
    """images (B,3,H,W) -> logits (B,class_count,H,W); H and W are multiples of 32.

    decoder_channels: of the five steps from H/32 to H.
    """
    network = encoder_decoder(
        smp.Unet,
        encoder,
        encoder_weights,
        classes=class_count,
        decoder_channels=tuple(decoder_channels),
        **stochastic_depth(encoder, drop_path),
    )
    return cast(nn.Module, network)
