"""Pictures by tiles: where the tiles lie, and how their logits are blended where they overlap.

Only the tiles of the rows that overlap the current output are held, at the network's size, so memory grows with a
picture's width and not with its area.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.pipeline.upsample import RunningMaximum, source_rows, stretch, strips


@dataclass(frozen=True, slots=True)
class Span:
    """One tile along one axis, in pixels: [start, end), and its weight at each. The weights of all spans sum to 1."""

    start: int
    end: int
    weight: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TileResult:
    """What the network said of one tile. logits: (C, h, w); confidence: (h, w)."""

    columns: Span
    logits: NDArray[np.float32]
    confidence: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TileRow:
    rows: Span
    tiles: Sequence[TileResult]


def spans(length: int, *, size: int, overlap: int) -> list[Span]:
    """Spans of `size` pixels (or `length`, if that is less), evenly spread, overlapping by at least `overlap`."""
    size = min(size, length)
    count = 1 if size == length else math.ceil((length - overlap) / (size - overlap))
    starts = [round(index * (length - size) / max(1, count - 1)) for index in range(count)]
    weights = [_ramps(starts, index, size) for index in range(count)]
    total = np.zeros(length, np.float32)
    for start, weight in zip(starts, weights, strict=True):
        total[start : start + size] += weight
    return [
        Span(start, start + size, weight / total[start : start + size])
        for start, weight in zip(starts, weights, strict=True)
    ]


def blend(tile_rows: Iterable[TileRow], height: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(ids, confidence), both (height, width) uint8. `tile_rows` come from top to bottom and are let go when done.

    Logits are blended, not ids: where one tile lies alone, its own logits decide.
    """
    ids = np.empty((height, width), np.uint8)
    confidence = np.empty((height, width), np.uint8)
    held: list[TileRow] = []
    done = 0
    for row in tile_rows:
        done = _render(held, ids, confidence, (done, row.rows.start))
        held = [each for each in held if each.rows.end > row.rows.start] + [row]
    _render(held, ids, confidence, (done, height))
    return ids, confidence


def _render(
    held: Sequence[TileRow], ids: NDArray[np.uint8], confidence: NDArray[np.uint8], rows: tuple[int, int]
) -> int:
    """Fill [rows[0], rows[1]) from the tiles that cover it; all of them are held by now. Returns where it ended."""
    begin, end = rows
    width = ids.shape[1]
    for offset, stop in strips(max(0, end - begin), width):
        first, last = begin + offset, begin + stop
        pieces = [piece for row in held for piece in _pieces(row, first, last)]
        winner = RunningMaximum(last - first, width)
        for channel in range(len(held[0].tiles[0].logits)):
            winner.offer(channel, _sum(pieces, channel, (last - first, width)))
        ids[first:last] = winner.ids
        confidence[first:last] = np.rint(_sum(pieces, None, (last - first, width)) * 255).astype(np.uint8)
    return max(begin, end)


@dataclass(frozen=True, slots=True)
class _Piece:
    """The part of one tile that lies in a strip. within: its rows in the strip; source: its rows in the tile."""

    tile: TileResult
    within: slice
    source: tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]
    weight: NDArray[np.float32]


def _pieces(row: TileRow, first: int, last: int) -> Iterable[_Piece]:
    start, end = max(first, row.rows.start), min(last, row.rows.end)
    if start >= end:
        return
    height = row.rows.end - row.rows.start
    local = slice(start - row.rows.start, end - row.rows.start)
    for tile in row.tiles:
        source = source_rows(tile.logits.shape[1], height, local.start, local.stop)
        weight = row.rows.weight[local, None] * tile.columns.weight
        yield _Piece(tile, slice(start - first, end - first), source, weight)


def _sum(pieces: Sequence[_Piece], channel: int | None, shape: tuple[int, int]) -> NDArray[np.float32]:
    """The weighted sum over all tiles of one class's logits, or of the confidence when `channel` is None."""
    total = np.zeros(shape, np.float32)
    for piece in pieces:
        columns = piece.tile.columns
        plane = piece.tile.confidence if channel is None else piece.tile.logits[channel]
        values = stretch(plane, columns.end - columns.start, piece.source)
        values *= piece.weight
        total[piece.within, columns.start : columns.end] += values
    return total


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
