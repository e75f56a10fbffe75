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
    """(C, h, w), finite → (height, width) uint8: the channel of the largest bilinear value, the first of equals.

    Raises ValueError for more than MOST_CLASSES, or none.
    """
    logits = np.ascontiguousarray(logits, np.float32)
    classes, rows, columns = logits.shape
    if not 0 < classes <= MOST_CLASSES:
        raise ValueError(f"{classes} classes; there may be 1 to {MOST_CLASSES}")
    room = np.empty((classes + 5) * (columns + 2), np.float32)
    ids = np.empty((height, width), np.uint8)
    down, across = _axis(rows, height), _axis(columns, width)
    library.maskmill_class_ids(
        *(address(logits, np.float32), classes, rows, columns),
        *(address(down[0], np.int32), address(down[1], np.float32)),
        *(address(across[0], np.int32), address(across[1], np.float32)),
        *(width, address(room, np.float32), address(ids, np.uint8)),
    )
    return ids


@lru_cache(maxsize=64)
def _axis(source: int, target: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """(source + 2,) the first pixel of each of `cells_of`, and the end; (target + _LANES,) the share of each pixel."""
    cell, share = cells_of(source, target)
    padded = np.append(share, np.zeros(_LANES))
    return np.searchsorted(cell, np.arange(source + 2)).astype(np.int32), padded.astype(np.float32)


def cells_of(source: int, target: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """(target,) each: the cell of each pixel, of which there is one more than `source` values, and the share that it
    has of the value after it, in [0, 1).

    Half-pixel centres, as in `torch.nn.functional.interpolate(align_corners=False)`.
    """
    at = (np.arange(target) + 0.5) * (source / target) + 0.5
    cell = np.clip(np.floor(at).astype(np.intp), 0, source)
    return cell, at - cell
