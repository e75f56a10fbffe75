"""Losses over logits (B,C,H,W) and truth (B,H,W) of class ids, in which the pixels of `ignore_id` do not exist."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

LossFunction = Callable[[Tensor, Tensor], Tensor]


def at_size(images: Tensor, size: Sequence[int]) -> Tensor:
    """(B,C,h,w) of any type → (B,C,*size) float32, bilinear; as they are where they have that size."""
    images = images.float()  # under autocast a sum over many pixels would lose what bf16 cannot hold
    if tuple(images.shape[-2:]) == tuple(size):
        return images
    return functional.interpolate(images, tuple(size), mode="bilinear", align_corners=False)


def cross_entropy(logits: Tensor, truth: Tensor, *, ignore_id: int, class_weights: Tensor | None = None) -> Tensor:
    """Mean over the pixels that count, each weighted by its class; 0 where none counts."""
    if not bool((truth != ignore_id).any()):
        return logits.sum() * 0.0
    return functional.cross_entropy(logits, truth, weight=class_weights, ignore_index=ignore_id)


def dice_loss(logits: Tensor, truth: Tensor, *, ignore_id: int, smooth: float = 1.0) -> Tensor:
    """1 - mean soft Dice of the classes present in the batch's truth.

    Dice of a class = (2 Σ p·t + smooth) / (Σ p + Σ t + smooth), sums over the batch's pixels that count.
    Source: Milletari et al. 2016, "V-Net", section 3, with Σ p instead of Σ p².
    """
    counts = truth != ignore_id
    probabilities = logits.softmax(1) * counts.unsqueeze(1)
    one_hot = functional.one_hot(truth.where(counts, 0), logits.shape[1]).permute(0, 3, 1, 2) * counts.unsqueeze(1)
    over_pixels = (0, 2, 3)
    truth_sum = one_hot.sum(over_pixels)
    overlap = (probabilities * one_hot).sum(over_pixels)
    dice = (2 * overlap + smooth) / (probabilities.sum(over_pixels) + truth_sum + smooth)
    present = truth_sum > 0
    return 1 - dice[present].mean() if bool(present.any()) else logits.sum() * 0.0


def focal_loss(
    logits: Tensor, truth: Tensor, *, ignore_id: int, gamma: float = 2.0, class_weights: Tensor | None = None
) -> Tensor:
    """Cross-entropy in which a pixel counts (1 - p)^gamma, p the probability of its true class; 0 where none counts.

    The mean is over the pixels that count, weighted by class (α of the paper), so that gamma = 0 is cross-entropy.
    Source: Lin et al. 2017, "Focal Loss for Dense Object Detection", equation 5.
    """
    counts = truth != ignore_id
    if not bool(counts.any()):
        return logits.sum() * 0.0
    target = truth.where(counts, 0).unsqueeze(1)
    log_probability = logits.log_softmax(1).gather(1, target).squeeze(1)[counts]
    weights = torch.ones_like(log_probability) if class_weights is None else class_weights[target.squeeze(1)[counts]]
    hardness = (1 - log_probability.exp()) ** gamma
    return -(weights * hardness * log_probability).sum() / weights.sum()


def soft_label_loss(logits: Tensor, teacher_logits: Tensor, *, temperature: float) -> Tensor:
    """T² · KL(teacher ‖ student) of softmax(logits / T), mean over all places: none is ignored.

    Both (B,C,H,W), T the temperature. T² keeps the gradient as large as that of the truth, whatever T is.
    Source: Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network", section 2; with the
    divergence instead of the cross-entropy, which differs by what the teacher alone decides.
    """
    student, teacher = (each.div(temperature).log_softmax(1) for each in (logits, teacher_logits))
    divergence = functional.kl_div(student, teacher, reduction="none", log_target=True).sum(1)
    return temperature**2 * divergence.mean()


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentationLoss:
    """name + dice_share · Dice. The logits may be coarser than the truth: they are upsampled bilinearly."""

    ignore_id: int
    name: Literal["cross_entropy", "dice", "focal"] = "cross_entropy"
    class_weights: Tensor | None = None
    dice_share: float = 0.0
    focal_gamma: float = 2.0

    def __call__(self, logits: Tensor, truth: Tensor) -> Tensor:
        logits = at_size(logits, truth.shape[-2:])
        loss = self._of_pixels(logits, truth)
        if self.dice_share:
            loss = loss + self.dice_share * dice_loss(logits, truth, ignore_id=self.ignore_id)
        return loss

    def _of_pixels(self, logits: Tensor, truth: Tensor) -> Tensor:
        weights = None if self.class_weights is None else self.class_weights.to(logits.device)
        match self.name:
            case "cross_entropy":
                return cross_entropy(logits, truth, ignore_id=self.ignore_id, class_weights=weights)
            case "focal":
                return focal_loss(
                    logits, truth, ignore_id=self.ignore_id, gamma=self.focal_gamma, class_weights=weights
                )
            case "dice":
                return dice_loss(logits, truth, ignore_id=self.ignore_id)


def median_frequency_weights(
    pixel_counts: NDArray[np.int64], *, power: float = 0.5, highest: float = 5.0
) -> NDArray[np.float32]:
    """(median frequency / frequency) ** power of each class, at most `highest`; 1 for a class that never occurs.

    pixel_counts: (C,) pixels of each class in the training truth.
    Source: Eigen and Fergus 2015, section 6.3.2; the power softens it (1 is the paper's).
    """
    frequency = pixel_counts / max(int(pixel_counts.sum()), 1)
    seen = frequency > 0
    weights = np.ones(len(pixel_counts), dtype=np.float64)
    if seen.any():
        weights[seen] = (np.median(frequency[seen]) / frequency[seen]) ** power
    return np.minimum(weights, highest).astype(np.float32)
