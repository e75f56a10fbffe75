"""Temperature scaling: logits divided by one number, so that a confidence of 0.8 is right in eight of ten pixels.

It changes no class. Source: Guo et al. 2017, "On Calibration of Modern Neural Networks".
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from segmentation.label_space import LabelSpace
from segmentation.measures.counting import look_up
from segmentation.preprocessing import Preprocessing
from training.datasets.pairs import NO_CHANNEL, LabelledPictures, channel_table
from training.evaluate.predictors import Predict

CANDIDATES = np.geomspace(0.25, 8, 141)  # 2.5 % apart
PICTURES = 48  # at most, spread over the set
EVERY = 5  # rows and columns: neighbours say the same


class Tempered(nn.Module):
    """A model whose logits are divided by `temperature`, in every file that is made from it."""

    def __init__(self, model: nn.Module, temperature: float) -> None:
        super().__init__()
        self.model = model
        self.temperature = temperature

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(images)
        return logits * (1 / self.temperature)


def fitted_temperature(
    predict: Predict, pictures: LabelledPictures, *, preprocessing: Preprocessing, space: LabelSpace
) -> float | None:
    """The one with the lowest mean cross-entropy on pictures with masks in ids of `space`; None with nothing labelled.

    It should not have been learnt from these pictures: on those every model is as sure as it is right.
    """
    logits, truth = _samples(predict, pictures, preprocessing, space)
    if not len(truth):
        return None

    losses = [float(functional.cross_entropy(logits / each, truth)) for each in CANDIDATES.tolist()]
    return round(float(CANDIDATES[np.argmin(losses)]), 3)


def _samples(
    predict: Predict, pictures: LabelledPictures, preprocessing: Preprocessing, space: LabelSpace
) -> tuple[Tensor, Tensor]:
    """(P, C) logits and (P,) channels of pixels on a grid."""
    table, found = channel_table(space), []
    for index in _spread(len(pictures)):
        picture, mask = pictures[index]
        logits = predict(preprocessing.apply(picture))[None]
        rows = functional.interpolate(logits, mask.shape, mode="bilinear", align_corners=False)[0, :, ::EVERY, ::EVERY]
        truth = torch.from_numpy(look_up(mask, table)[::EVERY, ::EVERY].astype(np.int64))
        known = truth != NO_CHANNEL
        found.append((rows.permute(1, 2, 0)[known], truth[known]))
    if not found:
        return torch.empty(0, len(space.class_ids)), torch.empty(0, dtype=torch.int64)
    return torch.cat([rows for rows, _ in found]), torch.cat([truth for _, truth in found])


def _spread(count: int) -> Sequence[int]:
    chosen: list[int] = np.linspace(0, count - 1, min(count, PICTURES)).astype(int).tolist()
    return chosen
