"""Whether a model's confidence means what it says: accuracy by confidence, and the expected calibration error.

Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", section 2 (reliability diagrams, ECE).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 15  # of equal width; the number that the paper uses


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Pixels by the confidence of their predicted class, in BINS bins of equal width over [0, 1].

    counts, hits: (BINS,) int64 pixels, and how many of them are predicted right. confidences: (BINS,) float64 sums of
    the confidence. Those of pictures are added up with `+`.
    """

    counts: NDArray[np.int64]
    hits: NDArray[np.int64]
    confidences: NDArray[np.float64]

    @classmethod
    def nothing(cls) -> "Calibration":
        return cls(np.zeros(BINS, dtype=np.int64), np.zeros(BINS, dtype=np.int64), np.zeros(BINS))

    @classmethod
    def of(cls, confidence: NDArray[np.floating], right: NDArray[np.bool_]) -> "Calibration":
        """confidence: in [0, 1], of the predicted class of each pixel that counts; right: the same shape."""
        flat = confidence.ravel()
        bins = np.clip((flat * BINS).astype(np.int64), 0, BINS - 1)
        counts = np.bincount(bins, minlength=BINS)
        sums = np.asarray(np.bincount(bins, weights=flat, minlength=BINS), dtype=np.float64)
        return cls(counts, np.bincount(bins[right.ravel()], minlength=BINS), sums)

    def __add__(self, other: "Calibration") -> "Calibration":
        return Calibration(self.counts + other.counts, self.hits + other.hits, self.confidences + other.confidences)

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """(BINS,) share of each bin's pixels that are right; NaN in an empty bin."""
        return _per_pixel(self.hits, self.counts)

    @property
    def confidence(self) -> NDArray[np.float64]:
        """(BINS,) mean confidence of each bin's pixels; NaN in an empty bin."""
        return _per_pixel(self.confidences, self.counts)

    @property
    def expected_error(self) -> float:
        """Expected calibration error in [0, 1]: |accuracy - confidence| of the bins, weighted by their pixels.

        NaN without any pixel. Source: Guo et al. 2017, equation 3.
        """
        total = int(self.counts.sum())
        return float(np.abs(self.hits - self.confidences).sum() / total) if total else float("nan")

    def to_dict(self) -> dict[str, Any]:
        return {
            "counts": self.counts.tolist(),
            "hits": self.hits.tolist(),
            "confidences": self.confidences.tolist(),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Calibration":
        counts, hits = (np.array(value[name], dtype=np.int64) for name in ("counts", "hits"))
        return cls(counts, hits, np.array(value["confidences"], dtype=np.float64))


def _per_pixel(sums: NDArray[Any], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    means = np.full(counts.shape, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means
