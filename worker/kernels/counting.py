"""How often each id occurs, by the compiled loop: as `segmentation.measures.counting` counts them."""

from __future__ import annotations

import ctypes

import numpy as np
from numpy.typing import NDArray

from worker.kernels.library import address


def count_ids(library: ctypes.CDLL, ids: NDArray[np.uint8]) -> NDArray[np.int64]:
    """ids: uint8 of any shape. Returns (256,) pixel counts."""
    ids = np.ascontiguousarray(ids)
    counts = np.zeros(256, np.int64)
    library.maskmill_count(address(ids, np.uint8), ids.size, address(counts, np.int64))
    return counts
