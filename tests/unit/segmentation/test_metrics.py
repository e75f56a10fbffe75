"""One formula for every model."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from segmentation.errors import MaskMismatch
from segmentation.label_space import LabelClass, LabelSpace
from segmentation.label_spaces import LABEL_SPACES, get_label_space
from segmentation.measures.metrics import (
    METRICS,
    Confusion,
    as_confusion,
    as_counts,
    confusion_matrix,
    dice_per_class,
    frequency_weighted_iou,
    global_dice,
    iou_per_class,
    mean_dice,
    mean_entropy,
    mean_iou,
    pixel_accuracy,
    sum_of,
)

CAMVID = get_label_space("camvid-11")

# 3 classes; the third never occurs. Rows are the truth.
SMALL: Confusion = np.array([[6, 2, 0], [1, 3, 0], [0, 0, 0]])
# The same, and 4 pixels of class 0 for which void was predicted.
MISSED: Confusion = np.array([[6, 2, 0, 4], [1, 3, 0, 0], [0, 0, 0, 0]])
NOTHING: Confusion = np.zeros((3, 3), dtype=np.int64)


def random_maps(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 40, (31, 17)).astype(np.uint8)
    prediction = np.where(rng.random(truth.shape) < 0.6, truth, rng.integers(0, 256, truth.shape)).astype(np.uint8)
    return truth, prediction


def counted_one_by_one(truth: NDArray[np.uint8], prediction: NDArray[np.uint8], space: LabelSpace) -> Confusion:
    counts = np.zeros((space.class_count, space.class_count + 1), dtype=np.int64)
    for true_id, predicted_id in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
        if true_id not in space.void_ids:
            counts[true_id, space.class_count if predicted_id in space.void_ids else predicted_id] += 1
    return counts


@pytest.mark.parametrize("name", LABEL_SPACES)
def test_the_confusion_matrix_counts_every_pixel_of_known_truth_once(name: str) -> None:
    space = get_label_space(name)
    truth, prediction = random_maps(seed=3)
    expected = counted_one_by_one(truth, prediction, space)
    assert np.array_equal(confusion_matrix(truth, prediction, space=space, with_missed=True), expected)
    assert np.array_equal(confusion_matrix(truth, prediction, space=space), expected[:, :-1])


def test_a_class_with_the_id_255_is_counted() -> None:
    space = LabelSpace("s", (LabelClass(0, "a", (0, 0, 0), "g"), LabelClass(255, "b", (0, 0, 1), "g")))
    truth = np.array([[0, 255, 255]], dtype=np.uint8)
    assert confusion_matrix(truth, truth, space=space)[255, 255] == 2


def test_a_space_of_256_classes_has_a_column_for_what_is_missed() -> None:
    space = LabelSpace("all", tuple(LabelClass(each, f"c{each}", (0, 0, each), "g") for each in range(256)))
    truth, prediction = random_maps(seed=3)
    counts = confusion_matrix(truth, prediction, space=space, with_missed=True)
    assert counts.shape == (256, 257)
    assert not counts[:, 256].any()
    assert np.array_equal(counts[:, :256], confusion_matrix(truth, prediction, space=space))


def test_maps_of_different_size_are_refused() -> None:
    with pytest.raises(MaskMismatch, match="the mask is 3×2 pixels, the prediction 2×3") as caught:
        confusion_matrix(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), space=CAMVID)
    assert caught.value.code == "mask_mismatch"


def test_scores_of_a_small_example() -> None:
    assert pixel_accuracy(SMALL) == 9 / 12
    assert iou_per_class(SMALL) == pytest.approx([6 / 9, 3 / 6, math.nan], nan_ok=True)
    assert dice_per_class(SMALL) == pytest.approx([12 / 15, 6 / 9, math.nan], nan_ok=True)
    assert mean_iou(SMALL) == pytest.approx((6 / 9 + 3 / 6) / 2)
    assert mean_dice(SMALL) == pytest.approx((12 / 15 + 6 / 9) / 2)
    assert global_dice(SMALL) == 9 / 12
    assert frequency_weighted_iou(SMALL) == pytest.approx((8 * 6 / 9 + 4 * 3 / 6) / 12)


def test_void_that_is_predicted_where_the_truth_is_known_is_an_error() -> None:
    assert pixel_accuracy(MISSED) == 9 / 16
    assert iou_per_class(MISSED) == pytest.approx([6 / 13, 3 / 6, math.nan], nan_ok=True)
    assert dice_per_class(MISSED) == pytest.approx([12 / 19, 6 / 9, math.nan], nan_ok=True)
    assert global_dice(MISSED) == 18 / 28
    assert frequency_weighted_iou(MISSED) == pytest.approx((12 * 6 / 13 + 4 * 3 / 6) / 16)


def test_a_class_that_is_only_predicted_scores_zero_and_counts_in_the_mean() -> None:
    confusion = np.array([[5, 5], [0, 0]])
    assert iou_per_class(confusion).tolist() == [0.5, 0.0]
    assert mean_iou(confusion) == 0.25
    assert frequency_weighted_iou(confusion) == 0.5


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_without_any_pixel_a_metric_is_not_a_number(metric: Callable[[Confusion], float]) -> None:
    assert math.isnan(metric(NOTHING))


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_a_perfect_prediction_scores_one(metric: Callable[[Confusion], float]) -> None:
    truth, _ = random_maps(seed=4)
    assert metric(confusion_matrix(truth, truth, space=CAMVID)) == 1


def test_the_scores_are_those_of_the_official_cityscapes_evaluation() -> None:
    """`getIouScoreForLabel` of cityscapesscripts/evaluation/evalPixelLevelSemanticLabeling.py, on label ids."""
    labels, trained = get_label_space("cityscapes-34"), get_label_space("cityscapes-19")
    truth, prediction = (each % np.uint8(34) for each in random_maps(seed=7))
    table = labels.remapping_to(trained)
    full = np.zeros((34, 34), dtype=np.int64)
    np.add.at(full, (truth.ravel(), prediction.ravel()), 1)
    scored = [each.id for each in labels.classes if table[each.id] != 255]

    expected = []
    for label in scored:
        hits = full[label, label]
        missed = full[label].sum() - hits
        wrong = sum(full[other, label] for other in scored if other != label)
        expected.append(hits / (hits + wrong + missed))

    confusion = confusion_matrix(table[truth], table[prediction], space=trained, with_missed=True)
    assert iou_per_class(confusion) == pytest.approx(expected, abs=1e-12)
    assert mean_iou(confusion) == pytest.approx(np.mean(expected), abs=1e-12)


def test_counts_survive_their_plain_form() -> None:
    assert as_counts(MISSED)[0] == (6, 2, 0, 4)
    assert np.array_equal(as_confusion(as_counts(MISSED)), MISSED)


def test_entropy_is_nothing_when_certain_and_one_when_undecided() -> None:
    certain = np.zeros((4, 2, 3), dtype=np.float32)
    certain[1] = 1
    assert mean_entropy(certain) == 0
    assert mean_entropy(np.full((4, 2, 3), 0.25, dtype=np.float32)) == pytest.approx(1, abs=1e-6)
    assert mean_entropy(np.stack([certain[1], certain[0]])) == 0
    assert mean_entropy(np.array([[0.9], [0.1]])) == pytest.approx(0.469, abs=1e-3)


def test_classes_that_cannot_occur_are_left_out_of_the_means_and_of_nothing_else() -> None:
    confusion = np.array([[8, 2, 0], [0, 6, 0], [3, 1, 0]], np.int64)
    iou, dice = iou_per_class(confusion), dice_per_class(confusion)
    assert mean_iou(confusion, without=[2]) == pytest.approx(iou[:2].mean())
    assert mean_dice(confusion, without=[2]) == pytest.approx(dice[:2].mean())
    assert mean_iou(confusion, without=[]) == mean_iou(confusion) == pytest.approx(iou.mean())


def test_counts_are_added_and_taken_away_again() -> None:
    one, other = ((1, 2), (3, 4)), ((10, 20), (30, 40))
    assert sum_of(None, None) is None
    assert sum_of(one, None) == sum_of(None, one) == one
    assert sum_of(one, other) == ((11, 22), (33, 44))
    assert sum_of(one, other, without=one) == other
