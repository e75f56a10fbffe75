"""Logits → class ids by the compiled loop: as `worker.pipeline.cells` does it, to the last bit."""

from __future__ import annotations

import ctypes
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from worker.kernels.library import address

MOST_CLASSES = 256
_LANES = 16  # as in kernels.c


def class_ids(library: ctypes.CDLL, logits: NDArray[np.float32], height: int, width: int) -> NDArray[np.uint8]:
    """(C, h, w), finite → (height, width) uint8: the channel of the largest bilinear value, the first of equals."""
    logits = np.ascontiguousarray(logits, np.float32)
    classes, rows, columns = logits.shape
    room = np.empty((classes + 6) * (columns + 2), np.float32)
    ids = np.empty((height, width), np.uint8)
    axes = *_axis(rows, height), *_axis(columns, width)
    library.maskmill_class_ids(
        address(logits), classes, rows, columns, *map(address, axes), width, address(room), address(ids)
    )
    return ids


@lru_cache(maxsize=64)
def _axis(source: int, target: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """(source + 2,) the first pixel of each cell between two values, and the end; (target + some,) the share that each
    pixel has of the value after it.

    Half-pixel centres, as in `torch.nn.functional.interpolate(align_corners=False)`.
    """
    at = (np.arange(target) + 0.5) * (source / target) + 0.5
    cell = np.clip(np.floor(at).astype(np.intp), 0, source)
    share = np.append(at - cell, np.zeros(_LANES))
    return np.searchsorted(cell, np.arange(source + 2)).astype(np.int32), share.astype(np.float32)
