"""DeepLabV3 (Chen et al. 2017) on any encoder of segmentation-models-pytorch that can be dilated."""

from typing import cast

import training.torchvision_guard  # noqa: F401  isort: skip  before smp imports torchvision
import segmentation_models_pytorch as smp
from segmentation_models_pytorch.decoders.deeplabv3.decoder import DeepLabV3Decoder
from torch import nn

from training.models.parts.encoders import encoder_decoder, without_classifier_channels


def deeplabv3(
    class_count: int,
    *,
    encoder: str = "mobilenet_v2",
    encoder_weights: str | None = None,
    stride: int = 16,
    decoder_channels: int = 256,
    atrous_rates: tuple[int, ...] = (6, 12, 18),
) -> nn.Module:
    """images (B,3,H,W) -> logits (B,class_count,H/stride,W/stride); H and W are multiples of 32.

    stride: 16, or 8 with atrous rates twice as high (the paper trains with the former and evaluates with the latter).
    """
    network = encoder_decoder(
        smp.DeepLabV3,
        encoder,
        encoder_weights,
        classes=class_count,
        encoder_output_stride=stride,
        decoder_channels=decoder_channels,
        upsampling=1,  # the head's own upsampling is left to who reads the logits
    )
    network.decoder = DeepLabV3Decoder(
        in_channels=without_classifier_channels(network, encoder)[-1],
        out_channels=decoder_channels,
        atrous_rates=tuple(atrous_rates),
        aspp_separable=False,
        aspp_dropout=0.1,
    )
    return cast(nn.Module, network)
