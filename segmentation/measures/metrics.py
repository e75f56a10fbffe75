"""One formula for every model: metrics of a summed confusion matrix, and the entropy of scores.

Pixels whose true class is void count nowhere. A class that occurs neither in the truth nor in the prediction is NaN
and left out of every mean.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from operator import add, sub

import numpy as np
from numpy.typing import NDArray

from segmentation.errors import MaskMismatch
from segmentation.label_space import LabelSpace
from segmentation.measures.counting import count_ids, look_up

# (C, C) pixel counts; rows are the truth, columns the prediction; C = LabelSpace.class_count. Matrices of pictures are
# added up before a metric is taken. Every function here also takes (C, C + 1): see `confusion_matrix`.
Confusion = NDArray[np.int64]
Counted = tuple[tuple[int, ...], ...]  # the same as plain numbers


def confusion_matrix(
    truth: NDArray[np.uint8], prediction: NDArray[np.uint8], *, space: LabelSpace, with_missed: bool = False
) -> Confusion:
    """Count the pixels of each pair of true and predicted class.

    truth, prediction: (H, W) class ids of `space`. Ids that are void (or unknown to the space) are void.
    Returns (C, C). A pixel of void truth is not counted; neither is one of void prediction, unless `with_missed`: then
    the result is (C, C + 1), whose last column holds the pixels of known truth for which void was predicted. Every
    metric takes them for errors, as the official Cityscapes evaluation does. Models that never predict void give the
    same numbers either way.
    Raises MaskMismatch when the shapes differ.
    """
    if truth.shape != prediction.shape:
        raise MaskMismatch(f"the mask is {_size(truth)} pixels, the prediction {_size(prediction)}")
    void = space.class_count  # one row and one column more than there are classes
    index = np.minimum(np.arange(256), void)
    index[list(space.void_ids)] = void
    counts = _count_pairs(truth, prediction, index, void + 1)
    return counts[:void, : void + 1 if with_missed else void].copy()


def as_counts(confusion: Confusion) -> Counted:
    """The matrix as plain numbers, row by row, for JSON."""
    return tuple(tuple(int(count) for count in row) for row in confusion)


def as_confusion(counts: Sequence[Sequence[int]]) -> Confusion:
    """What `as_counts` gave, as a matrix again."""
    return np.array(counts, dtype=np.int64)


def sum_of(one: Counted | None, other: Counted | None, *, without: Counted | None = None) -> Counted | None:
    """Of counts that there need not be, less those of `without`. None when there are none."""
    if one is None or other is None:
        total = one if other is None else other
    else:
        total = tuple(tuple(map(add, *lines)) for lines in zip(one, other, strict=True))
    if total is None or without is None:
        return total
    return tuple(tuple(map(sub, *lines)) for lines in zip(total, without, strict=True))


def pixel_accuracy(confusion: Confusion) -> float:
    """Share of pixels of known truth that are predicted right; NaN without any."""
    return _ratio(_hits(confusion).sum(), confusion.sum())


def decided_share(confusion: Confusion) -> float:
    """Share of pixels of known truth for which a class was predicted, in [0, 1]; NaN without any. Of these alone the
    accuracy is `pixel_accuracy` divided by it (selective accuracy)."""
    return _ratio(_predicted(confusion).sum(), confusion.sum())


def iou_per_class(confusion: Confusion) -> NDArray[np.float64]:
    """Intersection over union of each class: (C,) in [0, 1], NaN for a class in neither truth nor prediction.

    Source: Long et al. 2015, "Fully Convolutional Networks", section 5 (mean IU).
    """
    hits = _hits(confusion)
    return _ratios(hits, confusion.sum(axis=1) + _predicted(confusion) - hits)


def without_truth(confusion: Confusion, ids: Collection[int]) -> frozenset[int]:
    """Those of these classes that no pixel of the truth is of. ids: below C."""
    return frozenset(each for each in ids if not confusion[each].any())


def dice_per_class(confusion: Confusion) -> NDArray[np.float64]:
    """2·|A∩B| / (|A|+|B|) of each class: (C,) in [0, 1], NaN for a class in neither truth nor prediction.

    Source: Dice 1945; the same number as the F1 score of the class.
    """
    return _ratios(2 * _hits(confusion), confusion.sum(axis=1) + _predicted(confusion))


def mean_iou(confusion: Confusion, *, without: Collection[int] = ()) -> float:
    """Mean of `iou_per_class` over the classes that occur; NaN when none does.

    without: ids of classes to leave out of the mean: those that the model has no way to give, or the truth to show.
    """
    return _mean(iou_per_class(confusion), without)


def mean_dice(confusion: Confusion, *, without: Collection[int] = ()) -> float:
    """Mean of `dice_per_class` over the classes that occur (macro Dice); NaN when none does. without: as above."""
    return _mean(dice_per_class(confusion), without)


def global_dice(confusion: Confusion) -> float:
    """Dice of all classes' pixels taken together (micro Dice); NaN without any pixel.

    Equals the pixel accuracy, unless void was predicted where the truth is known.
    """
    return _ratio(2 * _hits(confusion).sum(), confusion.sum() + _predicted(confusion).sum())


def frequency_weighted_iou(confusion: Confusion) -> float:
    """Mean of `iou_per_class`, weighted by how often each class is true; NaN without any pixel.

    Source: Long et al. 2015, section 5 (f.w. IU).
    """
    truth = confusion.sum(axis=1)
    present = truth > 0
    return _ratio((truth[present] * iou_per_class(confusion)[present]).sum(), truth.sum())


def mean_entropy(probabilities: NDArray[np.floating]) -> float:
    """Mean uncertainty of a prediction: 0 where one class is certain, 1 where all are equally likely.

    probabilities: (C, …) that sum to 1 along the first axis, C ≥ 2. Shannon entropy divided by log C, averaged.
    """
    logs = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    return float(-(probabilities * logs).sum(axis=0).mean() / np.log(probabilities.shape[0]))


# The single numbers of a confusion matrix. A metric that is listed here appears in reports and run tracking.
METRICS: dict[str, Callable[[Confusion], float]] = {
    "pixel_accuracy": pixel_accuracy,
    "miou": mean_iou,
    "mean_dice": mean_dice,
    "global_dice": global_dice,
    "frequency_weighted_iou": frequency_weighted_iou,
}


def _count_pairs(
    truth: NDArray[np.uint8], prediction: NDArray[np.uint8], index: NDArray[np.intp], side: int
) -> Confusion:
    """(side, side) counts of the pairs (index[truth], index[prediction]). side: more than the highest of `index`."""
    if side * side <= 256:  # a pair fits into a byte
        rows, columns = (index * side).astype(np.uint8), index.astype(np.uint8)
        return count_ids(look_up(truth, rows) + look_up(prediction, columns))[: side * side].reshape(side, side)
    codes = truth.astype(np.uint16)
    codes <<= 8
    codes |= prediction
    pairs = np.bincount(codes.ravel(), minlength=1 << 16).reshape(256, 256)
    counts = np.zeros((side, side), dtype=np.int64)
    true_ids, predicted_ids = np.nonzero(pairs)
    np.add.at(counts, (index[true_ids], index[predicted_ids]), pairs[true_ids, predicted_ids])
    return counts


def _hits(confusion: Confusion) -> NDArray[np.int64]:
    return np.diagonal(confusion)


def _predicted(confusion: Confusion) -> NDArray[np.int64]:
    predicted: NDArray[np.int64] = confusion.sum(axis=0)[: confusion.shape[0]]
    return predicted


def known(value: float) -> float | None:
    """A metric as JSON can tell it: None for NaN, which is one of nothing."""
    return None if value != value else float(value)


def known_by_name(names: Iterable[str], values: Iterable[float]) -> dict[str, float]:
    """names: of the classes. Those whose metric is NaN are left out."""
    return {name: float(value) for name, value in zip(names, values, strict=True) if value == value}


def _ratios(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    ratios = np.full(whole.shape, np.nan)
    np.divide(part, whole, out=ratios, where=whole > 0)
    return ratios


def _ratio(part: np.generic, whole: np.generic) -> float:
    return float(part) / float(whole) if whole else float("nan")


def _mean(values: NDArray[np.float64], without: Collection[int] = ()) -> float:
    values = np.delete(values, list(without)) if without else values
    present = values[~np.isnan(values)]
    return float(present.mean()) if present.size else float("nan")


def _size(ids: NDArray[np.uint8]) -> str:
    return "×".join(str(side) for side in ids.shape[::-1])
