"""Class ids cell by cell are those of bilinear logits in double precision at full size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from worker.pipeline.cells import fits, ids_by_cells, padded_logits, possible_classes
from worker.pipeline.upsample import best_class


def by_cells(logits: NDArray[np.float32], height: int, width: int) -> NDArray[np.uint8] | None:
    padded = padded_logits(logits)
    return ids_by_cells(padded, possible_classes(padded), height, width)


def smooth(classes: int, height: int, width: int, *, seed: int = 0) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).normal(size=(classes, height, width))
    return np.stack([cv2.GaussianBlur(plane, (0, 0), 4) for plane in noise]).astype(np.float32)


def in_double_precision(logits: NDArray[np.float32], height: int, width: int) -> NDArray[np.intp]:
    def stretched(values: NDArray[np.float64], target: int, axis: int) -> NDArray[np.float64]:
        source = values.shape[axis]
        at = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
        before = np.floor(at).astype(int)
        share = (at - before).reshape([-1 if each == axis else 1 for each in range(3)])
        after = np.minimum(before + 1, source - 1)
        return np.asarray(values.take(before, axis) * (1 - share) + values.take(after, axis) * share)

    return np.asarray(stretched(stretched(logits.astype(np.float64), height, 1), width, 2).argmax(axis=0), np.intp)


@pytest.mark.parametrize("target", [(512, 1024), (333, 477), (256, 1000), (65, 121)])
@pytest.mark.parametrize("classes", [1, 2, 11])
def test_ids_are_those_of_double_precision(classes: int, target: tuple[int, int]):
    logits = smooth(classes, 64, 120)
    ids = by_cells(logits, *target)
    assert ids is not None
    assert (ids == in_double_precision(logits, *target)).mean() > 0.9999


def test_where_classes_are_equal_the_first_one_wins():
    logits = np.zeros((3, 8, 8), np.float32)
    logits[0, :, :6] = -1
    ids = best_class(logits, 32, 32)
    assert set(np.unique(ids)) == {0, 1}
    np.testing.assert_array_equal(ids, in_double_precision(logits, 32, 32))


def test_what_is_disputed_nearly_everywhere_is_left_to_the_blocks():
    noise = np.random.default_rng(0).normal(size=(19, 20, 30)).astype(np.float32)
    assert by_cells(noise, 160, 240) is None
    assert (best_class(noise, 160, 240) == in_double_precision(noise, 160, 240)).mean() > 0.9995


def test_a_single_row_of_logits_is_stretched_too():
    logits = smooth(4, 1, 40)
    assert (best_class(logits, 8, 320) == in_double_precision(logits, 8, 320)).mean() > 0.999


@pytest.mark.parametrize(("target", "fitting"), [((512, 1024), True), ((64, 120), False), ((6400, 12000), False)])
def test_pictures_a_few_times_as_large_as_their_logits_fit(target: tuple[int, int], fitting: bool):
    assert fits(np.zeros((2, 64, 120), np.float32), *target) is fitting
