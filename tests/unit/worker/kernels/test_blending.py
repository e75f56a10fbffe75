"""The compiled blend is Pillow's, to the last bit."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from segmentation.formats.overlay import Overlay
from worker.kernels.blending import blend

RANDOM = np.random.default_rng(3)
COLOURS = RANDOM.integers(0, 256, (256, 3), dtype=np.uint8)


@pytest.mark.parametrize("opacity", [0, 0.1, 0.123, 0.25, 1 / 3, 0.5, 0.73, 0.999, 1])
@pytest.mark.parametrize("size", [(1, 1), (1, 255), (3, 300), (64, 96)])
def test_colours_are_blended_as_pillow_blends_them(
    compiled: ctypes.CDLL, size: tuple[int, int], opacity: float
) -> None:
    ids, rgb = (RANDOM.integers(0, 256, (*size, *more), dtype=np.uint8) for more in ((), (3,)))
    before = ids.copy(), rgb.copy()
    blended = blend(compiled, ids, rgb, COLOURS, opacity)
    np.testing.assert_array_equal(blended, Overlay().blend(ids, rgb, COLOURS, opacity))
    np.testing.assert_array_equal(ids, before[0])
    np.testing.assert_array_equal(rgb, before[1])


def test_part_of_a_picture_will_do(compiled: ctypes.CDLL) -> None:
    ids, rgb = (RANDOM.integers(0, 256, (40, 60, *more), dtype=np.uint8)[3:30, 7:50] for more in ((), (3,)))
    whole = Overlay().blend(ids.copy(), rgb.copy(), COLOURS, 0.5)
    np.testing.assert_array_equal(blend(compiled, ids, rgb, COLOURS, 0.5), whole)


def test_a_picture_of_another_size_is_refused(compiled: ctypes.CDLL) -> None:
    with pytest.raises(ValueError, match="do not lie over"):
        blend(compiled, np.zeros((4, 6), np.uint8), np.zeros((4, 5, 3), np.uint8), COLOURS, 0.5)
