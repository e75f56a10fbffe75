"""Picture → tensor by the compiled loop: Pillow's bilinear filter to the last bit, then a table for each channel."""

from __future__ import annotations

import ctypes
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from worker.kernels.library import address

TAPS = 5  # as in kernels.c: source pixels of one that counts, for shrinking to more than half the size
LEAST_TAPS = 3
_BITS, _RING, _SPARE = 22, 8, 64  # as in kernels.c


def fits(shape: tuple[int, ...], height: int, width: int) -> bool:
    """Whether a picture of this shape can be scaled so: not too small, not to half its size or less, before which
    Pillow averages, and not by two rows or more for each column, where some of its versions begin with the rows."""
    rows, columns = shape[:2]
    rows_first = rows > height and columns != width and rows - height >= 2 * (columns - width)
    return TAPS <= rows < 2 * height and TAPS <= columns < 2 * width and not rows_first


def network_input(
    library: ctypes.CDLL, picture: NDArray[np.uint8], size: tuple[int, int], tables: NDArray[np.float32]
) -> NDArray[np.float32]:
    """picture: (H, W, 3) uint8 that `fits`. size: height and width of the tensor. tables: (3, 256).

    Returns (3, height, width) float32. Raises ValueError for a picture, or tables, of another shape.
    """
    height, width = size
    rows, columns, channels = picture.shape
    if not fits(picture.shape, height, width) or channels != 3 or tables.shape != (3, 256):
        raise ValueError(f"a picture of {picture.shape} and tables of {tables.shape} do not become {size}")
    picture = np.ascontiguousarray(picture)
    room = np.empty((_RING + 1) * (3 * width + _SPARE) + 3 * columns + _SPARE, np.uint8)
    tensor = np.empty((3, height, width), np.float32)
    across, down = weights(columns, width), weights(rows, height)
    library.maskmill_network_input(
        *(address(picture, np.uint8), columns, _address(across), _address(down), height, width),
        *(address(tables, np.float32), address(room, np.uint8), address(tensor, np.float32)),
    )
    return tensor


def _address(weights: NDArray[np.int32] | None) -> int | None:
    return None if weights is None else address(weights, np.int32)


@lru_cache(maxsize=256)
def weights(source: int, target: int) -> NDArray[np.int32] | None:
    """(target, 1 + TAPS): the first source pixel that counts for each target pixel, and the weights of it and of those
    after it, in 2^-22. None where nothing changes.

    Source: Pillow's `Resample.c` (`precompute_coeffs` and `normalize_coeffs_8bpc`), with the triangle of its bilinear
    filter.
    """
    if source == target:
        return None
    scale = source / target
    support = max(scale, 1.0)
    centre = (np.arange(target) + 0.5) * scale
    first = np.maximum((centre - support + 0.5).astype(np.intp), 0)
    end = np.minimum((centre + support + 0.5).astype(np.intp), source)
    needed = max(LEAST_TAPS, int((end - first).max()))
    start = np.minimum(first, source - needed)  # so that none lies outside; those before `first` count nothing
    at = start[:, None] + np.arange(TAPS)
    share = np.maximum(1 - np.abs((at - centre[:, None] + 0.5) * (1 / support)), 0)
    share *= (at >= first[:, None]) & (at < end[:, None])
    share /= share.sum(axis=1, keepdims=True)
    whole = (share * (1 << _BITS) + 0.5).astype(np.int32)
    return np.ascontiguousarray(np.concatenate([start[:, None].astype(np.int32), whole], axis=1))
