"""Pictures by tiles: where the tiles lie, and how their logits are blended where they overlap.

Only the tiles of the rows that overlap the current output are held, at the network's size, so memory grows with a
picture's width and not with its area.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.pipeline.certainty import stretched
from worker.pipeline.upsample import (
    BLOCK_ROWS,
    Between,
    best_class,
    between,
    block_columns,
    blocks,
    choose,
    interpolate,
)


@dataclass(frozen=True, slots=True)
class Span:
    """One tile along one axis, in pixels: [start, end), and its weight at each. The weights of all spans sum to 1.

    alone: the pixels that no other span covers.
    """

    start: int
    end: int
    weight: NDArray[np.float32]
    alone: range


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
    befores, afters = [0, *(start + size for start in starts)], [*starts[1:], length]
    return [
        Span(start, start + size, weight / total[start : start + size], range(before, max(before, after)))
        for start, weight, before, after in zip(starts, weights, befores, afters, strict=False)
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

    Logits are blended, not ids. Where a tile lies alone, ids and confidence are to the bit those of the tile as a
    picture of its own; elsewhere they depend on nothing but the tiles that cover the pixel, and where those beside lie.
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
    lone = _LoneTiles(held)
    columns = [tile.columns for tile in held[0].tiles] if held else []
    for top, bottom in _parts(first, last, BLOCK_ROWS, [row.rows for row in held]):
        band = Band(np.empty((bottom - top, width), np.uint8), np.empty((bottom - top, width), np.uint8))
        for left, right in _parts(0, width, _block_columns(held[0].tiles[0]), columns):
            area, part = _Area(top, bottom, left, right), slice(left, right)
            band.ids[:, part], band.confidence[:, part] = lone.at(area) or _of_blended(held, area)
        yield band


def _parts(first: int, last: int, size: int, spans: Sequence[Span]) -> Iterator[tuple[int, int]]:
    """Ranges of up to `size` that cover [first, last); a span lies alone in all of a range, or nowhere in it."""
    bounds = {each for span in spans for each in (span.alone.start, span.alone.stop) if first < each < last}
    for begin, end in pairwise(sorted({first, last} | bounds)):
        for start, stop in blocks(end - begin, size):
            yield begin + start, begin + stop


def _block_columns(tile: TileResult) -> int:
    return block_columns(tile.planes.shape[2], tile.columns.end - tile.columns.start)


@dataclass(frozen=True, slots=True)
class _Area:
    top: int
    bottom: int
    left: int
    right: int


class _LoneTiles:
    """What tiles say where no other covers them."""

    def __init__(self, held: Sequence[TileRow]) -> None:
        self._held = held
        self._made: dict[int, Band] = {}  # by where their columns begin, of the one row of tiles that lies alone

    def at(self, area: _Area) -> Band | None:
        """None where several tiles cover the area."""
        for row in self._held:
            for tile in row.tiles:
                rows, columns = row.rows.alone, tile.columns.alone
                if area.top in rows and area.left in columns:
                    if columns.start not in self._made:
                        self._made[columns.start] = _alone(row.rows, tile)
                    part = (
                        _moved(range(area.top, area.bottom), -rows.start),
                        _moved(range(area.left, area.right), -columns.start),
                    )
                    return Band(*(each[part] for each in self._made[columns.start]))
        return None


def _alone(rows: Span, tile: TileResult) -> Band:
    """All of a tile that no other covers, as of a picture as large as the tile."""
    columns = tile.columns
    height, width = rows.end - rows.start, columns.end - columns.start
    ids, confidence = best_class(tile.planes[:-1], height, width), stretched(tile.planes[-1], height, width)
    part = _moved(rows.alone, -rows.start), _moved(columns.alone, -columns.start)
    return Band(ids[part].copy(), confidence[part].copy())


def _of_blended(held: Sequence[TileRow], area: _Area) -> Band:
    planes = _blended(held, area)
    ids = np.empty(planes.shape[1:], np.uint8)
    choose(planes[:-1], np.arange(len(planes) - 1), ids)
    return Band(ids, np.rint(planes[-1] * 255).astype(np.uint8))


def _blended(held: Sequence[TileRow], area: _Area) -> NDArray[np.float32]:
    """(C + 1, rows, columns): the weighted sum of the planes of all tiles that cover a part of the area."""
    planes = len(held[0].tiles[0].planes)
    total = np.zeros((planes, area.bottom - area.top, area.right - area.left), np.float32)
    for row in held:
        rows = _overlap(row.rows, area.top, area.bottom)
        for tile in row.tiles:
            columns = _overlap(tile.columns, area.left, area.right)
            if rows and columns:
                part = interpolate(tile.planes, _between(tile.planes.shape[1], row.rows, rows),
                                   _between(tile.planes.shape[2], tile.columns, columns))  # fmt: skip
                part *= row.rows.weight[rows.start - row.rows.start : rows.stop - row.rows.start, None]
                part *= tile.columns.weight[columns.start - tile.columns.start : columns.stop - tile.columns.start]
                down, across = _moved(rows, -area.top), _moved(columns, -area.left)
                total[:, down, across] += part
    return total


def _overlap(span: Span, first: int, last: int) -> range:
    return range(max(first, span.start), min(last, span.end))


def _between(source: int, span: Span, pixels: range) -> Between:
    return between(source, span.end - span.start, pixels.start - span.start, pixels.stop - span.start)


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
