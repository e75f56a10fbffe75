"""FCN (Long et al. 2015) on a dilated ResNet-50: features at stride 8, a head of 3x3 → 512 → classes."""

from typing import cast

from torch import Tensor, nn

from training.datasets.pairs import NO_CHANNEL
from training.fit.losses import SegmentationLoss
from training.models.parts.encoders import plain_encoder
from training.models.parts.errors import InvalidModelOption


class Fcn(nn.Module):
    """images (B,3,H,W) → logits (B,C,H/8,W/8)."""

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.head(self.encoder(images)[-1]))


class FcnWithAuxiliary(Fcn):
    """Trains with the cross-entropy of a second head on the last but one stage added; the second head serves nowhere.

    Source: Zhao et al. 2017, "Pyramid Scene Parsing Network", section 3.3 (where its share is 0.4).
    """

    def __init__(self, encoder: nn.Module, head: nn.Module, auxiliary: nn.Module, share: float) -> None:
        super().__init__(encoder, head)
        self.auxiliary = auxiliary
        self.share = share

    def own_loss(self, images: Tensor, truth: Tensor) -> Tensor:
        """Cross-entropy of the head + share · cross-entropy of the auxiliary head; the recipe's loss is not used."""
        features = self.encoder(images)
        loss_of = SegmentationLoss(ignore_id=NO_CHANNEL)
        return loss_of(self.head(features[-1]), truth) + self.share * loss_of(self.auxiliary(features[-2]), truth)


def fcn_resnet50(
    class_count: int,
    *,
    encoder: str = "resnet50",
    encoder_weights: str | None = None,
    dropout: float = 0.1,
    auxiliary_share: float = 0.0,
) -> nn.Module:
    """images (B,3,H,W) -> logits (B,class_count,H/8,W/8); H and W are multiples of 32.

    encoder: of the ResNet family. auxiliary_share: of the auxiliary head's loss; 0 = no such head.
    """
    if not 0 <= auxiliary_share <= 1:
        raise InvalidModelOption("auxiliary_share", got=auxiliary_share, allowed="0 to 1")
    stages = plain_encoder(encoder, encoder_weights, output_stride=8)
    *_, before, last = stages.out_channels
    head = _head(last, class_count, dropout)
    if not auxiliary_share:
        return Fcn(stages, head)
    return FcnWithAuxiliary(stages, head, _head(before, class_count, dropout), auxiliary_share)


def _head(channels: int, class_count: int, dropout: float) -> nn.Sequential:
    """3x3 to a quarter of the channels (2048 → 512 for ResNet-50), then 1x1 to the classes."""
    return nn.Sequential(
        nn.Conv2d(channels, channels // 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels // 4),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Conv2d(channels // 4, class_count, 1),
    )
