"""Changed pictures are pictures of the same size, and a bundle is scored on each kind."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.robustness.__main__ import CHANGES, NOTHING


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_picture_has_the_same_size_and_other_pixels(name):
    picture = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    changed = CHANGES[name](picture.copy())
    assert changed.shape == picture.shape
    assert changed.dtype == np.uint8
    assert np.array_equal(changed, picture) == (name == NOTHING)
