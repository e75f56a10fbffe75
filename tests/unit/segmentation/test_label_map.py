"""LabelMap: what it checks, counts and turns into."""

from typing import Any

import numpy as np
import pytest

from segmentation.errors import MaskMismatch, NoRemapping
from segmentation.label_map import LabelMap, coverage
from segmentation.label_space import LabelClass, LabelSpace
from segmentation.label_spaces import get_label_space
from segmentation.measures.counting import count_ids, look_up

CAMVID = get_label_space("camvid-11")


def ids_of(*rows: list[int]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.array(rows, dtype=np.uint8)


def test_it_knows_its_size() -> None:
    label_map = LabelMap(ids_of([0, 1, 2], [3, 4, 5]), CAMVID)
    assert (label_map.height, label_map.width) == (2, 3)


def test_fractions_name_what_occurs_by_ascending_id_and_sum_to_one() -> None:
    fractions = LabelMap(ids_of([11, 3, 3, 200], [8, 3, 3, 3]), CAMVID).class_fractions()
    assert list(fractions.items()) == [("road", 5 / 8), ("car", 1 / 8), ("unlabelled", 1 / 8), ("id 200", 1 / 8)]


def test_the_coverage_is_without_all_that_counts_nowhere() -> None:
    """A model may have a class of the group void, as of its own bonnet, beside the id of what nobody knows."""
    classes = (LabelClass(0, "road", (1, 1, 1), "flat"), LabelClass(1, "bonnet", (2, 2, 2), "void"))
    label_map = LabelMap(ids_of([0, 0, 0, 0], [1, 1, 255, 7]), LabelSpace("two", classes, ignore_id=255))
    assert coverage(label_map.space, label_map.class_fractions()) == 0.5


def test_remapping_gives_the_other_spaces_ids_and_keeps_the_confidence() -> None:
    confidence = ids_of([9, 8, 7])
    target = get_label_space("cityscapes-8")
    remapped = LabelMap(ids_of([0, 3, 11]), CAMVID, confidence).remapped(target)
    assert remapped.ids.tolist() == [[5, 1, 0]]
    assert remapped.space is target
    assert remapped.confidence is confidence


def test_remapping_to_its_own_space_is_itself() -> None:
    label_map = LabelMap(ids_of([0]), CAMVID)
    assert label_map.remapped(CAMVID) is label_map


def test_remapping_to_where_no_mapping_leads_is_refused() -> None:
    with pytest.raises(NoRemapping):
        LabelMap(ids_of([0]), CAMVID).remapped(get_label_space("oxford-pets-3"))


def test_the_mean_confidence_is_a_share() -> None:
    assert LabelMap(ids_of([1, 1]), CAMVID, ids_of([255, 0])).mean_confidence == pytest.approx(0.5)
    assert LabelMap(ids_of([1]), CAMVID, ids_of([255])).mean_confidence == 1
    assert LabelMap(ids_of([1, 1]), CAMVID).mean_confidence is None


@pytest.mark.parametrize(
    "ids",
    [np.zeros((2, 2), np.int64), np.zeros(4, np.uint8), np.zeros((2, 2, 1), np.uint8), np.zeros((0, 3), np.uint8)],
)
def test_ids_must_be_a_plane_of_bytes(ids: Any) -> None:
    with pytest.raises(MaskMismatch, match=r"must be \(H, W\) uint8"):
        LabelMap(ids, CAMVID)


@pytest.mark.parametrize("confidence", [np.zeros((1, 2), np.uint8), np.zeros((2, 2), np.float32)])
def test_the_confidence_must_fit_the_ids(confidence: Any) -> None:
    with pytest.raises(MaskMismatch, match=r"the confidence must be \(2, 2\) uint8"):
        LabelMap(np.zeros((2, 2), np.uint8), CAMVID, confidence)


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (2, 2), (7, 9), (64, 33), (128, 256), (257, 129)])
def test_counting_agrees_with_numpy_at_every_size(shape: tuple[int, int]) -> None:
    ids = np.random.default_rng(5).integers(0, 256, shape).astype(np.uint8)
    assert count_ids(ids).tolist() == np.bincount(ids.ravel(), minlength=256).tolist()


def test_counting_and_looking_up_take_views() -> None:
    ids = np.random.default_rng(6).integers(0, 256, (120, 60)).astype(np.uint8)[::3, ::-2]
    table = np.arange(256, dtype=np.uint8)[::-1]
    many = np.repeat(ids, 50, axis=0)[::2]
    for each in (ids, many):
        assert count_ids(each).tolist() == np.bincount(each.ravel(), minlength=256).tolist()
    assert look_up(ids, table).tolist() == table[ids].tolist()
