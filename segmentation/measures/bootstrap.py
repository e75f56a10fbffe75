"""How far a score would move with other pictures of the same kind: paired bootstrap over pictures.

Pictures are drawn anew with replacement, the same ones for every model, and each time the counts are added up and the
metric is taken. Source: Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13 (percentile interval).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation.measures.metrics import Confusion

RESAMPLES = 2000
LEVEL = 0.95
# With fewer pictures even a model that wins on every one of them shows nothing at this level: 2 · (1/2)^5 > 0.05.
FEWEST_PICTURES = 6


@dataclass(frozen=True, slots=True)
class Interval:
    """Of a difference or a score, at LEVEL."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True, eq=False)
class PictureCounts:
    """hits, unions: (N, C) int64, of N pictures and C classes: all that IoU needs of a confusion matrix."""

    hits: NDArray[np.int64]
    unions: NDArray[np.int64]

    @classmethod
    def of(cls, confusions: Sequence[Confusion]) -> "PictureCounts":
        """confusions: (C, C) or (C, C + 1) of each picture."""
        hits = [np.diagonal(each).copy() for each in confusions]
        unions = [each.sum(axis=1) + each.sum(axis=0)[: len(each)] - np.diagonal(each) for each in confusions]
        return cls(np.array(hits, dtype=np.int64), np.array(unions, dtype=np.int64))

    @classmethod
    def joined(cls, parts: "Sequence[PictureCounts]") -> "PictureCounts":
        """The pictures of all parts, in their order; at least one part."""
        return cls(np.concatenate([each.hits for each in parts]), np.concatenate([each.unions for each in parts]))

    def ious(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """weights: (R, N) how often each picture counts. Returns (R, C), NaN where a class does not occur."""
        hits, unions = weights @ self.hits, weights @ self.unions
        found = np.full(hits.shape, np.nan)
        np.divide(hits, unions, out=found, where=unions > 0)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Resampled:
    """IoU of every model in every drawing. ious: (M, R, C). holding: (N, C) bool, which of the pictures that are drawn
    from hold which class. None of the intervals is known of too few pictures."""

    ious: NDArray[np.float64]
    holding: NDArray[np.bool_]

    @classmethod
    def of(cls, models: Sequence[PictureCounts], *, seed: int) -> "Resampled | None":
        """None with fewer than FEWEST_PICTURES that judge a model; those whose truth is void throughout judge none."""
        holding = np.any([each.unions > 0 for each in models], axis=0)
        judging = holding.any(axis=1)
        count = int(judging.sum())
        if count < FEWEST_PICTURES:
            return None
        shares = np.full(count, 1 / count)
        weights = np.random.default_rng(seed).multinomial(count, shares, size=RESAMPLES).astype(np.float64)
        drawn = [PictureCounts(each.hits[judging], each.unions[judging]) for each in models]
        return cls(np.stack([each.ious(weights) for each in drawn]), holding[judging])

    @property
    def pictures(self) -> int:
        return len(self.holding)

    def miou(self, model: int, *, without: Collection[int] = ()) -> Interval | None:
        """without: ids of classes that are left out of the mean. None where too few pictures hold another class."""
        return self._interval(_means(self.ious[model], without), without)

    def difference(self, one: int, other: int, *, without: Collection[int] = ()) -> Interval | None:
        """Of the mIoU of `one` less that of `other`, on the same pictures and classes. None as in `miou`."""
        return self._interval(_means(self.ious[one], without) - _means(self.ious[other], without), without)

    def class_difference(self, one: int, other: int, class_id: int) -> Interval | None:
        """Of the IoU of one class; None where fewer than FEWEST_PICTURES hold it."""
        if self.holding[:, class_id].sum() < FEWEST_PICTURES:
            return None
        return _interval(self.ious[one, :, class_id] - self.ious[other, :, class_id])

    def _interval(self, values: NDArray[np.float64], without: Collection[int]) -> Interval | None:
        judging = np.delete(self.holding, list(without), axis=1).any(axis=1)
        return _interval(values) if judging.sum() >= FEWEST_PICTURES else None


def _means(ious: NDArray[np.float64], without: Collection[int] = ()) -> NDArray[np.float64]:
    """(R, C) → (R,) mean over the classes that occur; every drawing holds some class or none at all (NaN)."""
    ious = np.delete(ious, list(without), axis=1) if without else ious
    known = np.isfinite(ious)
    counts = known.sum(axis=1)
    means = np.full(len(ious), np.nan)
    np.divide(np.where(known, ious, 0).sum(axis=1), counts, out=means, where=counts > 0)
    return means


def _interval(values: NDArray[np.float64]) -> Interval | None:
    known = values[np.isfinite(values)]
    if not known.size:
        return None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))
