"""Pictures by tiles: where the tiles lie, and how their logits are blended where they overlap.

Only the tiles of the rows that overlap the current output are held, at the network's size, so memory grows with a
picture's width and not with its area.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.pipeline.upsample import BLOCK_ROWS, Stretch, block_columns, blocks, choose, interpolate, stretch


@dataclass(frozen=True, slots=True)
class Span:
    """One tile along one axis, in pixels: [start, end), and its weight at each. The weights of all spans sum to 1."""

    start: int
    end: int
    weight: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TileResult:
    """What the network said of one tile. planes: (C + 1, h, w), its logits and, as the last plane, its confidence."""

    columns: Span
    planes: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TileRow:
    rows: Span
    tiles: Sequence[TileResult]


def span_count(length: int, *, size: int, overlap: int) -> int:
    return 1 if length <= size else math.ceil((length - overlap) / (size - overlap))


def spans(length: int, *, size: int, overlap: int) -> list[Span]:
    """Spans of `size` pixels (or `length`, if that is less), evenly spread, overlapping by at least `overlap`."""
    count = span_count(length, size=size, overlap=overlap)
    size = min(size, length)
    starts = [round(index * (length - size) / max(1, count - 1)) for index in range(count)]
    weights = [_ramps(starts, index, size) for index in range(count)]
    total = np.zeros(length, np.float32)
    for start, weight in zip(starts, weights, strict=True):
        total[start : start + size] += weight
    return [
        Span(start, start + size, weight / total[start : start + size])
        for start, weight in zip(starts, weights, strict=True)
    ]


class Band(NamedTuple):
    """Rows of a blended picture. ids: channels; both (rows, width) uint8."""

    ids: NDArray[np.uint8]
    confidence: NDArray[np.uint8]


def blend(tile_rows: Iterable[TileRow], height: int, width: int) -> Band:
    """All of a picture, as `blended_bands` gives it."""
    whole = Band(np.empty((height, width), np.uint8), np.empty((height, width), np.uint8))
    top = 0
    for band in blended_bands(tile_rows, height, width):
        rows = slice(top, top + len(band.ids))
        whole.ids[rows], whole.confidence[rows] = band
        top = rows.stop
    return whole


def blended_bands(tile_rows: Iterable[TileRow], height: int, width: int) -> Iterator[Band]:
    """Bands from top to bottom, which together are the picture. `tile_rows` come likewise and are let go when done.

    Logits are blended, not ids: where one tile lies alone, its own logits decide.
    """
    held: list[TileRow] = []
    done = 0
    for row in tile_rows:
        yield from _bands(held, done, row.rows.start, width)
        done = row.rows.start
        held = [each for each in held if each.rows.end > row.rows.start] + [row]
    yield from _bands(held, done, height, width)


def _bands(held: Sequence[TileRow], first: int, last: int, width: int) -> Iterator[Band]:
    """The rows [first, last), from the tiles that cover them, all of which are held by now."""
    for top, bottom in blocks(last - first, BLOCK_ROWS):
        band = Band(np.empty((bottom - top, width), np.uint8), np.empty((bottom - top, width), np.uint8))
        for left, right in blocks(width, _block_columns(held[0].tiles[0])):
            planes = _blended(held, _Area(first + top, first + bottom, left, right))
            logits, columns = planes[:-1], slice(left, right)
            choose(logits, np.arange(len(logits)), band.ids[:, columns])
            band.confidence[:, columns] = np.rint(planes[-1] * 255)
        yield band


def _block_columns(tile: TileResult) -> int:
    return block_columns(tile.planes.shape[2], tile.columns.end - tile.columns.start)


@dataclass(frozen=True, slots=True)
class _Area:
    top: int
    bottom: int
    left: int
    right: int


def _blended(held: Sequence[TileRow], area: _Area) -> NDArray[np.float32]:
    """(C + 1, rows, columns): the weighted sum of the planes of all tiles that cover a part of the area."""
    planes = len(held[0].tiles[0].planes)
    total = np.zeros((planes, area.bottom - area.top, area.right - area.left), np.float32)
    for row in held:
        rows = _overlap(row.rows, area.top, area.bottom)
        for tile in row.tiles:
            columns = _overlap(tile.columns, area.left, area.right)
            if rows and columns:
                part = interpolate(tile.planes, _stretch_of(tile.planes.shape[1], row.rows, rows),
                                   _stretch_of(tile.planes.shape[2], tile.columns, columns))  # fmt: skip
                part *= row.rows.weight[rows.start - row.rows.start : rows.stop - row.rows.start, None]
                part *= tile.columns.weight[columns.start - tile.columns.start : columns.stop - tile.columns.start]
                down, across = _moved(rows, -area.top), _moved(columns, -area.left)
                total[:, down, across] += part
    return total


def _overlap(span: Span, first: int, last: int) -> range:
    return range(max(first, span.start), min(last, span.end))


def _stretch_of(source: int, span: Span, pixels: range) -> Stretch:
    return stretch(source, span.end - span.start, pixels.start - span.start, pixels.stop - span.start)


def _moved(pixels: range, by: int) -> slice:
    return slice(pixels.start + by, pixels.stop + by)


def _ramps(starts: Sequence[int], index: int, size: int) -> NDArray[np.float32]:
    """1 where the span lies alone, falling towards 0 over the overlap with each neighbour; never 0."""
    weight = np.ones(size, np.float32)
    if index > 0:
        shared = starts[index - 1] + size - starts[index]
        weight[:shared] = np.arange(1, shared + 1) / (shared + 1)
    if index + 1 < len(starts):
        shared = starts[index] + size - starts[index + 1]
        weight[size - shared :] = np.minimum(weight[size - shared :], np.arange(shared, 0, -1) / (shared + 1))
    return weight
