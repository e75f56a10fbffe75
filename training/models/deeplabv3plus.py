"""DeepLabV3+ (Chen et al. 2018) on any encoder of segmentation-models-pytorch."""

from typing import cast

import training.torchvision_guard  # noqa: F401  isort: skip  before smp imports torchvision
import segmentation_models_pytorch as smp
from segmentation_models_pytorch.decoders.deeplabv3.decoder import DeepLabV3PlusDecoder
from torch import nn

from training.models.parts.encoders import encoder_decoder, stochastic_depth, without_classifier_channels


def deeplabv3plus(
    class_count: int,
    *,
    encoder: str = "mobilenet_v2",
    encoder_weights: str | None = None,
    decoder_channels: int = 128,
    atrous_rates: tuple[int, ...] = (6, 12, 18),
    drop_path: float = 0.0,
) -> nn.Module:
    """images (B,3,H,W) -> logits (B,class_count,H/4,W/4); H and W are multiples of 32."""
    network = encoder_decoder(
        smp.DeepLabV3Plus,
        encoder,
        encoder_weights,
        classes=class_count,
        decoder_channels=decoder_channels,
        upsampling=1,  # the head's own ×4 is left to who reads the logits
        **stochastic_depth(encoder, drop_path),
    )
    network.decoder = DeepLabV3PlusDecoder(
        encoder_channels=without_classifier_channels(network, encoder),
        encoder_depth=5,
        out_channels=decoder_channels,
        atrous_rates=tuple(atrous_rates),
        output_stride=16,
        aspp_separable=True,
        aspp_dropout=0.1,
    )
    return cast(nn.Module, network)
