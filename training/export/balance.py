"""Offsets of classes: one number added to each class's logit, so that no class wins more pixels than does it good.

A loss with class weights or a Dice share teaches which class is likely, but not which answer gives the highest mIoU:
fences swallow walls, and poles never win. The offsets are fitted to pictures that the model learnt from, so those that
it is scored on choose nothing. They cost nothing when the model serves.
Source: Menon et al. 2021, "Long-tail learning via logit adjustment", with fitted numbers in place of class frequencies.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from segmentation.label_space import LabelSpace
from segmentation.preprocessing import Preprocessing
from training.datasets.pairs import LabelledPictures
from training.evaluate.predictors import Predict
from training.export.samples import sampled_logits

PICTURES = 192  # at most, spread over each data set
EVERY = 2  # rows and columns
PARTS = 4  # of consecutive pictures; the mean over them, since what one street asks for another does not
STEPS = (0.6, 0.3, 0.15)  # each class goes up or down by one of them while mIoU rises


class Balanced(nn.Module):
    """A model to whose logits the offsets are added, in every file that is made from it."""

    offsets: Tensor

    def __init__(self, model: nn.Module, offsets: Sequence[float]) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("offsets", torch.tensor(offsets)[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(images)
        return logits + self.offsets


def fitted_offsets(
    predict: Predict, sets: Sequence[LabelledPictures], *, preprocessing: Preprocessing, space: LabelSpace
) -> tuple[float, ...]:
    """Of each channel the offset with which mIoU on these pictures is highest, the mean over their parts.

    sets: pictures with masks in ids of `space`.
    """
    parts: list[list[tuple[Tensor, Tensor]]] = [[] for _ in range(PARTS)]
    for pictures in sets:
        logits, truth = sampled_logits(
            predict, pictures, preprocessing=preprocessing, space=space, count=PICTURES, every=EVERY
        )
        for part, one in zip(parts, zip(logits.chunk(PARTS), truth.chunk(PARTS), strict=True), strict=False):
            part.append(one)
    found = [_fitted(torch.cat([a for a, _ in part]), torch.cat([b for _, b in part])) for part in parts if part]
    mean = torch.stack(found).mean(0) if found else torch.zeros(len(space.class_ids))
    return tuple(round(each, 2) for each in mean.tolist())


def _fitted(logits: Tensor, truth: Tensor) -> Tensor:
    """Class by class, up or down by smaller and smaller steps while mIoU rises; 0 where none helps."""
    offsets = torch.zeros(logits.shape[1])
    best = _miou(logits, truth)
    for step in STEPS:
        for channel in range(len(offsets)):
            for way in (-step, step):
                tried = offsets.clone()
                tried[channel] += way
                got = _miou(logits + tried, truth)
                if got > best:
                    best, offsets = got, tried
    return offsets


def _miou(logits: Tensor, truth: Tensor) -> float:
    """Mean over the classes that occur in the truth; 0 where none does."""
    count = logits.shape[1]
    pairs = torch.bincount(truth * count + logits.argmax(1), minlength=count * count).view(count, count).double()
    right, real = pairs.diag(), pairs.sum(1)
    ious = right[real > 0] / (real + pairs.sum(0) - right)[real > 0]
    return float(ious.mean()) if len(ious) else 0.0
