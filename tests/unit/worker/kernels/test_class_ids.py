"""The compiled class ids are those of NumPy, to the last bit."""

from __future__ import annotations

import ctypes

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from worker.kernels.class_ids import class_ids
from worker.pipeline import cells
from worker.pipeline.cells import ids_by_cells, padded_logits, possible_classes


@pytest.fixture(autouse=True)
def _numpy_does_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "MOST_DISPUTED", 1.0)


def by_numpy(logits: NDArray[np.float32], height: int, width: int) -> NDArray[np.uint8]:
    padded = padded_logits(logits)
    ids = ids_by_cells(padded, possible_classes(padded), height, width)
    assert ids is not None
    return ids


def random_logits(classes: int, rows: int, columns: int, *, seed: int, smooth: bool) -> NDArray[np.float32]:
    """In steps, as networks in 8 bits give them: equal values are frequent."""
    noise = np.random.default_rng(seed).normal(size=(classes, rows, columns)).astype(np.float32)
    planes = [np.asarray(cv2.GaussianBlur(plane, (0, 0), 2)).reshape(plane.shape) for plane in noise]
    return (np.round((np.stack(planes) if smooth else noise) * 16) / 16).astype(np.float32)


@settings(max_examples=100)
@given(
    st.integers(1, 20),
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.booleans(),
    st.integers(0, 9),
)
def test_ids_are_numpys(  # what hypothesis chooses
    compiled: ctypes.CDLL, classes: int, size: tuple[int, int], more: tuple[int, int], smooth: bool, seed: int
) -> None:
    logits = random_logits(classes, *size, seed=seed, smooth=smooth)
    target = size[0] + more[0], size[1] + more[1]
    np.testing.assert_array_equal(class_ids(compiled, logits, *target), by_numpy(logits, *target))


@pytest.mark.parametrize("target", [(512, 1024), (333, 477), (256, 1000)])
def test_a_large_picture_has_the_same(compiled: ctypes.CDLL, target: tuple[int, int]) -> None:
    logits = random_logits(11, 64, 120, seed=3, smooth=True)
    np.testing.assert_array_equal(class_ids(compiled, logits, *target), by_numpy(logits, *target))


def test_as_many_classes_as_a_mask_holds(compiled: ctypes.CDLL) -> None:
    logits = random_logits(256, 5, 7, seed=3, smooth=False)
    np.testing.assert_array_equal(class_ids(compiled, logits, 40, 56), by_numpy(logits, 40, 56))


def test_logits_may_be_a_view(compiled: ctypes.CDLL) -> None:
    logits = random_logits(4, 9, 20, seed=3, smooth=True).transpose(0, 2, 1)
    np.testing.assert_array_equal(class_ids(compiled, logits, 80, 72), by_numpy(logits.copy(), 80, 72))


@pytest.mark.parametrize("classes", [0, 257])
def test_more_classes_than_a_mask_holds_are_refused(compiled: ctypes.CDLL, classes: int) -> None:
    with pytest.raises(ValueError, match="there may be 1 to 256"):
        class_ids(compiled, np.zeros((classes, 5, 7), np.float32), 40, 56)
