"""ROC and precision-recall curves from a model's scores, counted into bins so that any number of pictures fits.

A curve asks of one class: how well does its probability tell its pixels from all others? (Fawcett 2006, "An
introduction to ROC analysis"; Davis & Goadrich 2006, "The Relationship Between Precision-Recall and ROC Curves".)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation.label_space import LabelSpace

# Bins are of equal width in log-odds, log(p / (1 - p)): most pixels are nearly certain, and bins of equal width in
# p would not tell 0.999 from 0.9999. Curves and areas depend on the order of the scores alone.
BINS = 512
LARGEST_LOG_ODDS = 16.0  # of a float32 probability of 1 - 1e-7

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A curve by falling threshold. x, y: (BINS + 1,). thresholds: (BINS + 1,) probabilities. area: NaN if undefined.

    ROC: x the false positive rate, y the true positive rate; area in [0, 1], 0.5 for guessing.
    PR: x the recall, y the precision; area is the average precision.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    area: float


@dataclass(frozen=True, slots=True, eq=False)
class ScoreHistograms:
    """positives, negatives: (C, BINS) pixels of each class, and of all other classes, by that class's score.

    C = LabelSpace.class_count. Those of pictures are added up with `+`.
    """

    positives: Counts
    negatives: Counts

    @classmethod
    def nothing(cls, space: LabelSpace) -> "ScoreHistograms":
        return cls(*np.zeros((2, space.class_count, BINS), dtype=np.int64))

    @classmethod
    def of(
        cls, probabilities: NDArray[np.float32], truth: NDArray[np.uint8], *, space: LabelSpace
    ) -> "ScoreHistograms":
        """probabilities: (N, …) of the classes in the order of `space.class_ids`; truth: (…) class ids of `space`.

        Pixels of void truth count nowhere; void classes have no curve.
        """
        known = ~np.isin(truth, list(space.void_ids))
        ids = truth[known]
        positives, everything = np.zeros((2, space.class_count, BINS), dtype=np.int64)
        for channel, class_id in enumerate(space.class_ids):
            if class_id in space.void_ids:
                continue
            bins = score_bins(probabilities[channel][known])
            everything[class_id] = np.bincount(bins, minlength=BINS)
            positives[class_id] = np.bincount(bins[ids == class_id], minlength=BINS)
        return cls(positives, everything - positives)

    def __add__(self, other: "ScoreHistograms") -> "ScoreHistograms":
        return ScoreHistograms(self.positives + other.positives, self.negatives + other.negatives)

    def roc(self, class_id: int) -> Curve:
        """Receiver operating characteristic; its area is NaN for a class that is nowhere or everywhere."""
        hits, alarms = _at_least(self.positives[class_id]), _at_least(self.negatives[class_id])
        rates = _share(alarms, alarms[-1]), _share(hits, hits[-1])
        return Curve(*rates, thresholds(), float(np.trapezoid(rates[1], rates[0])))

    def pr(self, class_id: int) -> Curve:
        """Precision over recall. Precision is 1 where nothing is called positive; the area is NaN without positives.

        The area is the sum of the precisions, weighted by the steps in recall, without interpolation.
        """
        hits, alarms = _at_least(self.positives[class_id]), _at_least(self.negatives[class_id])
        recall = _share(hits, hits[-1])
        precision = np.ones(hits.shape)
        np.divide(hits, hits + alarms, out=precision, where=hits + alarms > 0)
        return Curve(recall, precision, thresholds(), float((np.diff(recall) * precision[1:]).sum()))

    def to_dict(self) -> dict[str, Any]:
        return {"positives": self.positives.tolist(), "negatives": self.negatives.tolist()}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "ScoreHistograms":
        return cls(*(np.array(value[name], dtype=np.int64) for name in ("positives", "negatives")))


def score_bins(probabilities: NDArray[np.float32]) -> NDArray[np.int64]:
    """The bin of each probability in [0, 1]; a higher one never has a lower bin."""
    smallest = np.float32(1e-7)
    sure = np.clip(probabilities, smallest, 1 - smallest)
    odds = np.log(sure) - np.log1p(-sure)
    bins = ((odds + LARGEST_LOG_ODDS) * (BINS / (2 * LARGEST_LOG_ODDS))).astype(np.int64)
    return np.clip(bins, 0, BINS - 1)


def thresholds() -> NDArray[np.float64]:
    """(BINS + 1,) falling from 1 to 0: the lower edges of the bins, after "nothing is positive"."""
    edges = np.linspace(-LARGEST_LOG_ODDS, LARGEST_LOG_ODDS, BINS + 1)
    shares = 1 / (1 + np.exp(-edges))
    shares[0], shares[-1] = 0, 1
    return np.asarray(shares[::-1])


def _at_least(counts: Counts) -> Counts:
    """(BINS + 1,) how many score at least the threshold, by falling threshold; 0 first, all last."""
    return np.concatenate([[0], np.cumsum(counts[::-1])])


def _share(counts: Counts, total: np.int64) -> NDArray[np.float64]:
    return counts / total if total else np.full(counts.shape, np.nan)
