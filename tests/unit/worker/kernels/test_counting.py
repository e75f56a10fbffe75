"""The compiled count is NumPy's."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from numpy.typing import NDArray

from segmentation.label_map import LabelMap
from segmentation.label_spaces import get_label_space
from worker.kernels.counting import count_ids

RANDOM = np.random.default_rng(3)
NOISE = RANDOM.integers(0, 256, (61, 1023), dtype=np.uint8)
RUNS = np.repeat(NOISE[0], RANDOM.integers(1, 200, NOISE[0].size))


@pytest.mark.parametrize("ids", [NOISE, RUNS, RUNS[1:-5], NOISE[:, 3:500], NOISE[:0], np.full(10**6, 255, np.uint8)])
def test_each_id_is_counted(compiled: ctypes.CDLL, ids: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(count_ids(compiled, ids), np.bincount(ids.ravel(), minlength=256))


@pytest.mark.parametrize("size", range(1, 200, 7))
def test_what_is_left_over_counts_too(compiled: ctypes.CDLL, size: int) -> None:
    for ids in (NOISE[0, :size], RUNS[40 : 40 + size]):
        np.testing.assert_array_equal(count_ids(compiled, ids), np.bincount(ids, minlength=256))


def test_what_was_counted_stays_with_the_ids_and_is_not_that_of_others(compiled: ctypes.CDLL) -> None:
    ids = RANDOM.integers(0, 12, (40, 60), dtype=np.uint8)
    counted = LabelMap(ids, get_label_space("camvid-11"))
    LabelMap.pixel_counts.note(counted, count_ids(compiled, ids))
    certain = counted.with_confidence(RANDOM.integers(0, 256, ids.shape, dtype=np.uint8))
    there = certain.remapped(get_label_space("cityscapes-8"))
    assert certain.pixel_counts is counted.pixel_counts
    assert LabelMap.pixel_counts.known(there) is not None
    assert LabelMap.pixel_counts.known(certain.abstaining(0.5)) is None
    for each in (counted, certain, there, certain.abstaining(0.5), there.abstaining(0.5)):
        np.testing.assert_array_equal(each.pixel_counts, np.bincount(each.ids.ravel(), minlength=256))
