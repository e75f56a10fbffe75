"""Scores of a model on labelled pictures, at the resolution it serves. `maskmill evaluate` is the command.

The formulas are in `segmentation/`, the counts in evaluation.py; here pictures go through the model one by one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from segmentation.label_space import LabelSpace
from segmentation.measures.calibration import Calibration
from segmentation.measures.counting import look_up
from segmentation.measures.metrics import confusion_matrix
from segmentation.measures.score_curves import ScoreHistograms
from segmentation.preprocessing import Preprocessing
from training.datasets.pairs import LabelledPictures, Mask, unmarked_in
from training.evaluate.evaluation import Evaluation
from training.evaluate.predictors import Predict, onnx_predictor, torch_predictor

__all__ = [
    "Predict",
    "Scorer",
    "UnusableLogits",
    "class_ids",
    "evaluate",
    "evaluations",
    "onnx_predictor",
    "torch_predictor",
]

_PIXELS_AT_ONCE = 1 << 18  # whose probabilities are in memory together


class UnusableLogits(Exception):
    """A model gave values that are no numbers, or another number of channels than its label space has classes."""

    code = "unusable_logits"


def evaluate(
    predict: Predict,
    pictures: LabelledPictures,
    *,
    preprocessing: Preprocessing,
    space: LabelSpace,
    with_scores: bool = True,
) -> Evaluation:
    """pictures: masks in ids of `space`. The prediction is compared at each mask's own size. Raises UnusableLogits.

    with_scores: count probabilities too, for calibration and curves; without them it is faster.
    """
    scorer = Scorer(space, space, with_scores)
    nothing = Evaluation.nothing(space, unmarked_in(pictures))
    return sum(evaluations(predict, pictures, preprocessing=preprocessing, scorer=scorer), nothing)


def evaluations(
    predict: Predict, pictures: LabelledPictures, *, preprocessing: Preprocessing, scorer: "Scorer"
) -> Iterator[Evaluation]:
    """One Evaluation for each picture, in order. pictures: masks in ids of the scorer's target."""
    for index in range(len(pictures)):
        picture, truth = pictures[index]
        yield scorer.score(predict(preprocessing.apply(picture)), truth)


@dataclass(frozen=True)
class Scorer:
    """Compares one picture's logits with its truth.

    space: of the model's channels. target: in which the truth is given and in which is counted. The class with the
    highest logit is remapped, as serving does it; the probabilities of classes that become one are added up. What has
    no counterpart in the target is predicted void, hence an error. Raises NoRemapping when no table leads there.
    """

    space: LabelSpace
    target: LabelSpace
    with_scores: bool = True

    def __post_init__(self) -> None:
        self._table  # noqa: B018  no table: better now than after the first picture

    def score(self, logits: Tensor, truth: Mask) -> Evaluation:
        """logits: (C, h', w') at any size; truth: (H, W) class ids of the target. Raises UnusableLogits."""
        return self.score_and_ids(logits, truth)[0]

    def score_and_ids(self, logits: Tensor, truth: Mask) -> tuple[Evaluation, Mask]:
        """`score` and `ids` at the price of one."""
        enlarged = self._enlarged(logits, truth.shape)
        ids = self._ids(enlarged)
        confusion = confusion_matrix(truth, ids, space=self.target, with_missed=True)
        calibration, histograms = self._score_counts(enlarged, truth, ids) if self.with_scores else (None, None)
        return Evaluation(self.target, confusion, calibration, histograms, picture_count=1), ids

    def ids(self, logits: Tensor, size: tuple[int, ...]) -> Mask:
        """(height, width) class ids of the target. Raises UnusableLogits."""
        return self._ids(self._enlarged(logits, size))

    def _enlarged(self, logits: Tensor, size: tuple[int, ...]) -> Tensor:
        """(H, W, C), bilinear. Classes come last in memory: the search for the highest is 14 times as fast so."""
        if len(logits) != len(self.space.class_ids):
            raise UnusableLogits(
                f"the model gave {len(logits)} channels, {self.space.name} has {len(self.space.class_ids)} classes"
            )
        if not torch.isfinite(logits).all():
            raise UnusableLogits("the model gave values that are no numbers")
        batch = logits[None].contiguous(memory_format=torch.channels_last)
        return functional.interpolate(batch, size, mode="bilinear", align_corners=False)[0].permute(1, 2, 0)

    def _ids(self, enlarged: Tensor) -> Mask:
        channels = enlarged.argmax(2).numpy().astype(np.uint8)
        table = np.zeros(256, dtype=np.uint8)
        table[: len(self._channel_ids)] = self._channel_ids
        return look_up(channels, table)

    def _score_counts(self, enlarged: Tensor, truth: Mask, ids: Mask) -> tuple[Calibration, ScoreHistograms]:
        known = np.flatnonzero(~self._is_void[truth.ravel()])
        rows = enlarged.reshape(-1, enlarged.shape[2])
        true_ids, predicted_ids = truth.ravel()[known], ids.ravel()[known]
        calibration, histograms = Calibration.nothing(), ScoreHistograms.nothing(self.target)
        for first in range(0, len(known), _PIXELS_AT_ONCE):
            part = slice(first, first + _PIXELS_AT_ONCE)
            shares = self._shares(rows[torch.from_numpy(known[part])])
            confidence = shares[self._share_of[predicted_ids[part]], np.arange(shares.shape[1])]
            calibration += Calibration.of(confidence, predicted_ids[part] == true_ids[part])
            histograms += ScoreHistograms.of(shares[:-1], true_ids[part], space=self.target)
        return calibration, histograms

    def _shares(self, logits: Tensor) -> NDArray[np.float32]:
        """logits: (P, C). Returns (K + 1, P) probabilities of the target's classes, and of void last."""
        return np.ascontiguousarray((torch.softmax(logits, 1) @ self._merging).numpy().T)

    @cached_property
    def _table(self) -> NDArray[np.uint8]:
        return self.space.remapping_to(self.target)

    @cached_property
    def _channel_ids(self) -> NDArray[np.uint8]:
        """(C,) the target's class id that each channel means."""
        return self._table[list(self.space.class_ids)]

    @cached_property
    def _is_void(self) -> NDArray[np.bool_]:
        return np.isin(np.arange(256), list(self.target.void_ids))

    @cached_property
    def _share_of(self) -> NDArray[np.intp]:
        """(256,) row of `_shares` for each id of the target."""
        rows = np.full(256, len(self.target.class_ids), dtype=np.intp)
        rows[list(self.target.class_ids)] = np.arange(len(self.target.class_ids))
        return rows

    @cached_property
    def _merging(self) -> Tensor:
        """(C, K + 1) of zeros and ones: which channels are added up to which class."""
        return torch.eye(len(self.target.class_ids) + 1)[self._share_of[self._channel_ids]]


def class_ids(logits: Tensor, size: tuple[int, ...], space: LabelSpace) -> Mask:
    """logits (C,h',w') → (height, width) class ids: bilinear to `size`, then the channel of the highest value."""
    return Scorer(space, space).ids(logits, size)
