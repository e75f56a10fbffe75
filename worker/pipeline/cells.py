"""Class ids cell by cell: between four neighbouring logits most often a single class can win, and nothing is computed.

For the usual picture, a few times as large as its logits; `upsample.best_class` has another way for all others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from worker.kernels.class_ids import cells_of

Logits = NDArray[np.float32]
Whole = NDArray[np.intp]

LARGEST_CELL = 256  # pixels
MOST_DISPUTED = 0.6  # share of the cells: beyond, whole blocks are quicker
_CHUNK = 2**16  # pixels that are computed at once, few enough to stay in the processor's cache


@dataclass(frozen=True, slots=True)
class _Axis:
    """One axis, its values repeated once at either end, so that no pixel lies outside.

    cell: (target,) of each pixel. pixels: (cells, most) of each cell, the last one repeated; shares: the same, of the
    value after it, in [0, 1).
    """

    cell: Whole
    pixels: Whole
    shares: Logits


@dataclass(frozen=True, slots=True)
class _Cells:
    """Where they are; how many classes may win in each, falling; where in `channels` these begin, ascending."""

    down: Whole
    across: Whole
    count: Whole
    starts: Whole
    channels: Whole

    def rival(self, rank: int) -> Whole:
        """The class of this rank in the cells that have so many."""
        having = int(np.searchsorted(-self.count, -rank, side="left"))  # falling: those above `rank` come first
        return self.channels[self.starts[:having] + rank]


def fits(logits: Logits, height: int, width: int) -> bool:
    """Whether the picture is larger than its logits, and not too much."""
    _, rows, columns = logits.shape
    larger = rows < height and columns < width
    return bool(larger and -(-height // rows) * -(-width // columns) <= LARGEST_CELL)


def ids_by_cells(padded: Logits, possible: NDArray[np.bool_], height: int, width: int) -> NDArray[np.uint8] | None:
    """As `upsample.best_class`, for what `fits`; None where too many cells are disputed. possible: classes of `padded`
    logits."""
    count = np.add.reduce(possible.view(np.uint8), axis=0, dtype=np.uint8)
    if np.count_nonzero(count > 1) > MOST_DISPUTED * count.size:
        return None
    rows, columns = _axis(padded.shape[1] - 2, height), _axis(padded.shape[2] - 2, width)
    ids: NDArray[np.uint8] = possible.argmax(axis=0).astype(np.uint8).take(columns.cell, axis=1).take(rows.cell, axis=0)
    for cells in _disputed(possible, count, rows.pixels.shape[1] * columns.pixels.shape[1]):
        right, lower = columns.shares[cells.across], rows.shares[cells.down][:, :, None]
        places = rows.pixels[cells.down][:, :, None] * width + columns.pixels[cells.across][:, None, :]
        ids.reshape(-1)[places] = _winners(padded, cells, right, lower)
    return ids


def _winners(padded: Logits, cells: _Cells, right: Logits, lower: Logits) -> NDArray[np.uint8]:
    """(cells, rows, columns): the class of the largest value, the first of equals."""
    across = padded.shape[2]
    flat = padded.reshape(len(padded), -1)
    corners = (cells.down * across + cells.across)[:, None] + np.array([0, 1, across, across + 1])
    first = flat[cells.rival(0)[:, None], corners]
    ids = np.empty((len(corners), lower.shape[1], right.shape[1]), np.uint8)
    ids[:] = cells.rival(0)[:, None, None]
    lead = np.zeros(ids.shape, np.float32)  # of the best so far over the first
    for rank in range(1, int(cells.count[0])):
        rival = cells.rival(rank)
        some = slice(0, len(rival))
        gain = _between(flat[rival[:, None], corners[some]] - first[some], right[some], lower[some])
        np.copyto(ids[some], rival.astype(np.uint8)[:, None, None], where=gain > lead[some])
        np.maximum(lead[some], gain, out=lead[some])
    return ids


def _between(corners: Logits, right: Logits, lower: Logits) -> Logits:
    """(cells, rows, columns) bilinear values. corners: (cells, 4), by rows; right: (cells, columns)."""
    beside = corners[:, 1::2] - corners[:, ::2]
    edges = right[:, None, :] * beside[:, :, None]
    edges += corners[:, ::2, None]
    values: Logits = (edges[:, 1] - edges[:, 0])[:, None] * lower
    values += edges[:, :1]
    return values


def _disputed(possible: NDArray[np.bool_], count: NDArray[np.uint8], pixels: int) -> Iterator[_Cells]:
    """Those with two classes or more, so many at once that their pixels are few."""
    down, across = np.nonzero(count > 1)
    order = np.argsort(-count[down, across].astype(np.intp), kind="stable")
    down, across = down[order], across[order]
    counts = count[down, across].astype(np.intp)
    channels = np.nonzero(possible[:, down, across].T)[1]
    starts = np.cumsum(counts) - counts
    size = max(1, _CHUNK // pixels)
    for first in range(0, len(down), size):
        some = slice(first, first + size)
        yield _Cells(down[some], across[some], counts[some], starts[some], channels)


def padded_logits(logits: Logits) -> Logits:
    """Each side once more, so that no pixel of the picture lies outside."""
    classes, rows, columns = logits.shape
    padded = np.empty((classes, rows + 2, columns + 2), np.float32)
    padded[:, 1:-1, 1:-1] = logits
    padded[:, 0, 1:-1], padded[:, -1, 1:-1] = logits[:, 0], logits[:, -1]
    padded[:, :, 0], padded[:, :, -1] = padded[:, :, 1], padded[:, :, -2]
    return padded


def possible_classes(logits: Logits) -> NDArray[np.bool_]:
    """(C, h-1, w-1), at least 1: whether a class may have the largest value somewhere between four neighbours.

    It cannot where the largest of its four corners is below another class's smallest.
    """
    largest, smallest = _corners(logits, np.maximum), _corners(logits, np.minimum)
    result: NDArray[np.bool_] = largest >= smallest.max(axis=0)
    return result


def _corners(logits: Logits, reduce: np.ufunc) -> Logits:
    """`reduce` over the corners of each cell."""
    if logits.shape[1] > 1:
        logits = reduce(logits[:, :-1], logits[:, 1:])
    if logits.shape[2] > 1:
        logits = reduce(logits[:, :, :-1], logits[:, :, 1:])
    return logits


@lru_cache(maxsize=32)
def _axis(source: int, target: int) -> _Axis:
    cell, share = cells_of(source, target)
    first = np.searchsorted(cell, np.arange(source + 1))
    sizes = np.diff(np.append(first, target))
    pixels = first[:, None] + np.minimum(np.arange(sizes.max()), np.maximum(sizes - 1, 0)[:, None])
    pixels = np.minimum(pixels, target - 1)
    return _Axis(cell, pixels, share[pixels].astype(np.float32))
