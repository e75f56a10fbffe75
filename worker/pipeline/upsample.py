"""Logits at the network's size to class ids at the picture's: bilinear, then arg max, without the (C, H, W) in between.

Works in strips of rows that stay in the processor's cache and keeps a running maximum. Classes that cannot win anywhere
in a strip are left out: interpolated values never exceed the largest of their four neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.float32]

_STRIP_BYTES = 256 * 1024
_LEAST_ROWS = 16


def best_class(logits: Logits, height: int, width: int) -> NDArray[np.uint8]:
    """(C, h, w) → (height, width) uint8: the channel of the largest bilinearly interpolated logit, the first of equals.

    Half-pixel centres, as in `torch.nn.functional.interpolate(align_corners=False)`.
    """
    ids = np.empty((height, width), np.uint8)
    possible = _possible(logits)
    for first, last in strips(height, width):
        above, below, share = source_rows(logits.shape[1], height, first, last)
        top = min(above[0], possible.shape[1] - 1)  # below the last row of centres, the last cell still decides
        classes = np.flatnonzero(possible[:, top : max(below[-1], top + 1)].any(axis=1))
        winner = RunningMaximum(last - first, width)
        for channel in classes:
            winner.offer(int(channel), stretch(logits[channel], width, (above, below, share)))
        ids[first:last] = winner.ids
    return ids


class RunningMaximum:
    """Class ids of the largest values so far. Classes are offered in ascending order; the first of equals stays."""

    def __init__(self, rows: int, width: int) -> None:
        self.ids = np.zeros((rows, width), np.uint8)
        self._largest: Logits | None = None
        self._wins = np.empty((rows, width), np.bool_)

    def offer(self, channel: int, values: Logits) -> None:
        """values: (rows, width), owned by this object from now on."""
        if self._largest is None:
            self._largest = values
            self.ids[:] = channel
            return
        np.greater(values, self._largest, out=self._wins)
        won = self._wins.view(np.uint8)
        np.multiply(won, np.uint8(channel), out=won)
        np.maximum(self.ids, won, out=self.ids)  # channel is the highest so far: where it wins, it is the maximum
        np.maximum(self._largest, values, out=self._largest)


def strips(height: int, width: int) -> Iterator[tuple[int, int]]:
    """Row ranges [first, last) that cover `height`."""
    rows = max(_LEAST_ROWS, _STRIP_BYTES // (4 * width))
    for first in range(0, height, rows):
        yield first, min(height, first + rows)


def source_rows(
    rows: int, height: int, first: int, last: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """For each target row of [first, last): the source row above, the one below, and the share of the one below."""
    at = np.clip((np.arange(first, last) + 0.5) * (rows / height) - 0.5, 0, rows - 1)
    above = np.floor(at).astype(np.intp)
    return above, np.minimum(above + 1, rows - 1), (at - above).astype(np.float32)


def stretch(plane: Logits, width: int, rows: tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]) -> Logits:
    """(h, w) → (len(rows), width): the target rows named by `source_rows`, bilinear."""
    above, below, share = rows
    upper = plane[above]
    mixed = upper + (plane[below] - upper) * share[:, None]
    return np.asarray(cv2.resize(mixed, (width, len(above)), interpolation=cv2.INTER_LINEAR), np.float32)


def _possible(logits: Logits) -> NDArray[np.bool_]:
    """(C, h-1 or 1) bool: whether a class may have the largest value somewhere between row i and row i + 1.

    It cannot where the largest of its four corners is below another class's smallest.
    """
    largest, smallest = _corners(logits, np.maximum), _corners(logits, np.minimum)
    result: NDArray[np.bool_] = (largest >= smallest.max(axis=0)).any(axis=2)
    return result


def _corners(logits: Logits, reduce: np.ufunc) -> Logits:
    """(C, h, w) → (C, max(1, h-1), max(1, w-1)): `reduce` over the corners of each cell."""
    for axis in (1, 2):
        if logits.shape[axis] > 1:
            before = [slice(None)] * 3
            after = [slice(None)] * 3
            before[axis], after[axis] = slice(None, -1), slice(1, None)
            logits = reduce(logits[tuple(before)], logits[tuple(after)])
    return logits
