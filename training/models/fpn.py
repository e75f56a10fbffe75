"""Feature pyramid network for segmentation (Kirillov et al. 2019) on any encoder of segmentation-models-pytorch."""

from typing import cast

import training.torchvision_guard  # noqa: F401  isort: skip  before smp imports torchvision
import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.parts.encoders import encoder_decoder, plain_padding, stochastic_depth, without_last_stage


def fpn(
    class_count: int,
    *,
    encoder: str = "resnet34",
    encoder_weights: str | None = None,
    pyramid_channels: int = 128,
    decoder_channels: int = 64,
    drop_path: float = 0.0,
    fixed_padding: bool = False,
    last_stage: bool = True,
) -> nn.Module:
    """images (B,3,H,W) -> logits (B,class_count,H/4,W/4); H and W are multiples of 32.

    fixed_padding, last_stage: of `tu-tf_` encoders, as `plain_padding` and `without_last_stage` tell.
    """
    network = encoder_decoder(
        _FeaturePyramid,
        encoder,
        encoder_weights,
        classes=class_count,
        decoder_pyramid_channels=pyramid_channels,
        decoder_segmentation_channels=decoder_channels,
        upsampling=1,  # the head's own ×4 is left to who reads the logits
        **stochastic_depth(encoder, drop_path),
        **plain_padding(encoder, fixed_padding),
    )
    if not last_stage:
        network.decoder.p5 = nn.Conv2d(without_last_stage(network.encoder), pyramid_channels, kernel_size=1)
    return cast(nn.Module, network)


class _FeaturePyramid(smp.FPN):  # type: ignore[misc]
    """smp's parameters, in another order and with another grid.

    The order: there each of three branches is enlarged from H/8 to H/4 and all are stacked, summed, and projected to
    the classes. Enlarging and projecting are linear and each works on one axis of the tensor, so they may change
    places: here the branches are summed at H/8, and only the classes are enlarged. Inference costs about two thirds.
    The grid: smp aligns the corners of a feature map with those of the larger one, which moves a feature by up to half
    a cell, differently in each place and for each size of picture. Here a cell keeps its place in every picture.
    """

    def forward(self, images: Tensor) -> Tensor:
        decoder, project = self.decoder, self.segmentation_head[0]
        *_, c2, c3, c4, c5 = self.encoder(images)
        p5 = decoder.p5(c5)
        p4 = decoder.p4(p5, c4)
        p3 = decoder.p3(p4, c3)
        s5, s4, s3, s2 = decoder.seg_blocks
        coarse = _before_last_enlarging(s5, p5) + _before_last_enlarging(s4, p4) + _before_last_enlarging(s3, p3)
        fine = s2(decoder.p2(p3, c2))
        if self.training:  # dropout of whole channels: the same ones in both parts of the sum
            kept = decoder.dropout(torch.ones_like(fine[:, :, :1, :1]))
            coarse, fine = coarse * kept, fine * kept
        return cast(Tensor, _twice_as_large(functional.conv2d(coarse, project.weight)) + project(fine))


def _before_last_enlarging(branch: nn.Module, features: Tensor) -> Tensor:
    *first, last = cast(nn.Sequential, branch.block)
    for each in first:
        features = _twice_as_large(cast(nn.Module, each.block)(features))
    return cast(Tensor, cast(nn.Module, last.block)(features))


def _twice_as_large(features: Tensor) -> Tensor:
    return functional.interpolate(features, scale_factor=2.0, mode="bilinear", align_corners=False)
