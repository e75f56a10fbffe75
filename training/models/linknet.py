"""LinkNet (Chaurasia and Culurciello 2017) on any encoder of segmentation-models-pytorch."""

from typing import cast

import training.torchvision_guard  # noqa: F401  isort: skip  before smp imports torchvision
import segmentation_models_pytorch as smp
from torch import nn

from training.models.parts.encoders import encoder_decoder


def linknet(class_count: int, *, encoder: str = "resnet18", encoder_weights: str | None = None) -> nn.Module:
    """images (B,3,H,W) -> logits (B,class_count,H,W); H and W are multiples of 32."""
    return cast(nn.Module, encoder_decoder(smp.Linknet, encoder, encoder_weights, classes=class_count))
