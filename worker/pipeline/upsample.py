"""Logits at the network's size to class ids at the picture's: bilinear, then arg max, without the (C, H, W) in between.

Works block by block: a block stays in the processor's cache, and classes that cannot win anywhere in it are left out,
since interpolated values never exceed the largest of their four neighbours. Most blocks are left with one or two.
Pictures that are not much larger than their logits go cell by cell (`cells.py`), in half the time, or in a tenth where
that is compiled (`worker/kernels`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from worker.kernels.class_ids import MOST_CLASSES, class_ids
from worker.kernels.library import library
from worker.pipeline.cells import fits, ids_by_cells, padded_logits, possible_classes

Logits = NDArray[np.float32]

BLOCK_ROWS = 96
_BLOCK_COLUMNS = (192, 160, 128, 96, 64, 32)
_PRODUCTS = 2**18  # larger matrix products are spread over threads, which only get in the way of other pictures


@dataclass(frozen=True, slots=True)
class Between:
    """Where target pixels lie on an axis: their neighbours among its values, and the second one's share, in [0, 1)."""

    before: NDArray[np.intp]
    after: NDArray[np.intp]
    share: Logits


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bilinear interpolation along one axis, for some target pixels.

    pixels: which ones; source: the part of the source that they depend on; weights: (pixels, source), rows sum to 1.
    """

    pixels: slice
    source: slice
    weights: Logits


def between(source: int, target: int, first: int, last: int) -> Between:
    """The pixels [first, last) of `source` values stretched to `target` pixels.

    Half-pixel centres, as in `torch.nn.functional.interpolate(align_corners=False)`.
    """
    at = np.clip((np.arange(first, last) + 0.5) * (source / target) - 0.5, 0, source - 1)
    before = np.floor(at).astype(np.intp)
    return Between(before, np.minimum(before + 1, source - 1), (at - before).astype(np.float32))


def stretch(source: int, target: int, first: int, last: int) -> Stretch:
    """As `between`, for a product of matrices."""
    lies = between(source, target, first, last)
    values = slice(int(lies.before[0]), int(lies.after[-1]) + 1)
    weights = np.zeros((last - first, values.stop - values.start), np.float32)
    pixels = np.arange(last - first)
    weights[pixels, lies.before - values.start] = 1 - lies.share
    weights[pixels, lies.after - values.start] += lies.share
    return Stretch(slice(first, last), values, weights)


@lru_cache(maxsize=16)
def stretches(source: int, target: int, size: int) -> tuple[Stretch, ...]:
    """All pixels of an axis, in blocks of `size`."""
    return tuple(stretch(source, target, first, last) for first, last in blocks(target, size))


def block_columns(source: int, target: int) -> int:
    """How wide a block may be when `source` columns become `target`."""
    fitting = (each for each in _BLOCK_COLUMNS if BLOCK_ROWS * each * (each * source // target + 2) <= _PRODUCTS)
    return next(fitting, _BLOCK_COLUMNS[-1])


def blocks(length: int, size: int) -> Iterator[tuple[int, int]]:
    """Ranges [first, last) of up to `size` that cover `length`."""
    for first in range(0, length, size):
        yield first, min(length, first + size)


def interpolate(planes: Logits, rows: Between, columns: Between) -> Logits:
    """(C, h, w) → (C, rows, columns), one block of the stretched planes.

    To the bit the same in whatever block a pixel lies, which products of matrices do not promise: networks in 8 bits
    give equal values to two classes so often that the last bit decides.
    """
    first, last = columns.before[0], columns.after[-1] + 1
    edges = _mixed(planes[:, rows.before, first:last], planes[:, rows.after, first:last], rows.share[:, None])
    return _mixed(edges.take(columns.before - first, axis=2), edges.take(columns.after - first, axis=2), columns.share)


def _mixed(before: Logits, after: Logits, share: Logits) -> Logits:
    """after: is overwritten."""
    after -= before
    after *= share
    after += before
    return after


def best_class(logits: Logits, height: int, width: int) -> NDArray[np.uint8]:
    """(C, h, w) → (height, width) uint8: the channel of the largest interpolated logit, the first of equals."""
    if not fits(logits, height, width):
        return _by_blocks(logits, possible_classes(logits), height, width)
    if (compiled := library()) is not None and len(logits) <= MOST_CLASSES:
        return class_ids(compiled, logits, height, width)
    padded = padded_logits(logits)
    possible = possible_classes(padded)
    ids = ids_by_cells(padded, possible, height, width)
    if ids is not None:
        return ids
    inner = possible[:, 1:-1, 1:-1] if min(logits.shape[1:]) > 1 else possible_classes(logits)
    return _by_blocks(logits, inner, height, width)


def _by_blocks(logits: Logits, possible: NDArray[np.bool_], height: int, width: int) -> NDArray[np.uint8]:
    """possible: of `possible_classes`."""
    ids = np.empty((height, width), np.uint8)
    all_rows = stretches(logits.shape[1], height, BLOCK_ROWS)
    all_columns = stretches(logits.shape[2], width, block_columns(logits.shape[2], width))
    possible = _in_blocks(_in_blocks(possible, all_rows, axis=1), all_columns, axis=2)
    for row, rows in enumerate(all_rows):
        for column, columns in enumerate(all_columns):
            channels = np.flatnonzero(possible[:, row, column])
            block = ids[rows.pixels, columns.pixels]
            if len(channels) == 1:
                block[:] = channels[0]
            else:
                corner = logits[:, rows.source, columns.source][channels]
                choose(np.asarray(rows.weights @ corner @ columns.weights.T, np.float32), channels, block)
    return ids


def choose(values: Logits, channels: NDArray[np.intp], ids: NDArray[np.uint8]) -> None:
    """ids (n, m) becomes, at each pixel, the channel of the largest of `values` (k, n, m), the first of equals.

    channels: (k,), ascending. values[0] is overwritten.
    """
    largest = values[0]
    ids[:] = channels[0]
    for index in range(1, len(channels)):
        won = (values[index] > largest).view(np.uint8)
        won *= np.uint8(channels[index])
        np.maximum(ids, won, out=ids)  # the channel is the highest so far: where it wins, it is the maximum
        if index + 1 < len(channels):
            np.maximum(largest, values[index], out=largest)


def _in_blocks(possible: NDArray[np.bool_], axis_blocks: Sequence[Stretch], *, axis: int) -> NDArray[np.bool_]:
    """Whether it is possible anywhere in each block. A lone row (or column) belongs to the cell before it."""
    if len(axis_blocks) == 1:
        return np.logical_or.reduce(possible, axis, keepdims=True)
    cells = possible.shape[axis]
    bounds = []
    for block in axis_blocks:
        first = min(block.source.start, cells - 1)
        bounds += [first, max(first + 1, block.source.stop - 1)]
    padded = np.concatenate([possible, possible.take([-1], axis)], axis)  # reduceat wants every bound inside
    result: NDArray[np.bool_] = np.logical_or.reduceat(padded, bounds, axis)
    return result.take(range(0, len(bounds), 2), axis)
