"""Tiles: where they lie, and that blending changes nothing where a tile lies alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from worker.pipeline.certainty import measure, stretched
from worker.pipeline.tiles import Span, TileResult, TileRow, blend, spans
from worker.pipeline.upsample import best_class

Network = Callable[[int, int, int, int], NDArray[np.float32]]


@settings(deadline=None)
@given(length=st.integers(1, 2000), size=st.integers(8, 600), data=st.data())
def test_spans_cover_the_length_and_their_weights_sum_to_one(length: int, size: int, data: st.DataObject):
    overlap = data.draw(st.integers(0, size // 2))
    found = spans(length, size=size, overlap=overlap)
    total = np.zeros(length)
    for each in found:
        assert each.end - each.start == min(size, length)
        assert (each.weight > 0).all()
        total[each.start : each.end] += each.weight
    np.testing.assert_allclose(total, 1, atol=1e-5)


@settings(deadline=None)
@given(length=st.integers(1, 2000), size=st.integers(8, 600), data=st.data())
def test_neighbouring_spans_overlap_at_least_as_asked(length: int, size: int, data: st.DataObject):
    overlap = data.draw(st.integers(0, size // 2))
    found = spans(length, size=size, overlap=overlap)
    for before, after in pairwise(found):
        assert before.end - after.start >= overlap - 1  # evenly spread, rounded to whole pixels


def test_a_picture_smaller_than_a_tile_is_one_tile():
    (only,) = spans(300, size=512, overlap=64)
    assert (only.start, only.end) == (0, 300)
    assert (only.weight == 1).all()


def rows_of(network: Network, height: int, width: int, *, size: int, overlap: int) -> Iterator[TileRow]:
    columns = spans(width, size=size, overlap=overlap)
    for rows in spans(height, size=size, overlap=overlap):
        tiles = []
        for each in columns:
            logits = network(rows.start, rows.end, each.start, each.end)
            tiles.append(TileResult(each, np.concatenate([logits, measure(logits).confidence[None]])))
        yield TileRow(rows, tiles)


def noise(top: int, bottom: int, left: int, right: int) -> NDArray[np.float32]:
    """Four classes; another answer for every tile."""
    shape = (4, max(1, (bottom - top) // 4), max(1, (right - left) // 4))
    return np.random.default_rng(top * 7919 + left).normal(size=shape).astype(np.float32)


def coarse(top: int, bottom: int, left: int, right: int) -> NDArray[np.float32]:
    """As networks in 8 bits answer: the logits are multiples of a step, and two of them are equal in many places."""
    return np.rint(noise(top, bottom, left, right) * 3) * np.float32(0.1)


def moved(network: Network, *, down: int, across: int) -> Network:
    """The network on a part of the picture that begins there."""
    return lambda top, bottom, left, right: network(top + down, bottom + down, left + across, right + across)


def alone(all_spans: list[Span], index: int) -> slice:
    """The pixels of a span that no other span covers."""
    before = max((each.end for each in all_spans[:index]), default=0)
    after = min((each.start for each in all_spans[index + 1 :]), default=all_spans[-1].end)
    return slice(max(before, all_spans[index].start), max(before, min(after, all_spans[index].end)))


@pytest.mark.parametrize("network", [noise, coarse])
@pytest.mark.parametrize(("height", "width"), [(200, 330), (64, 1000), (500, 64), (129, 129)])
def test_where_a_tile_lies_alone_it_says_what_it_says_as_a_picture_of_its_own(
    height: int, width: int, network: Network
):
    found = blend(rows_of(network, height, width, size=128, overlap=24), height, width)
    rows, columns = spans(height, size=128, overlap=24), spans(width, size=128, overlap=24)
    compared = 0
    for row_index, row in enumerate(rows):
        for column_index, column in enumerate(columns):
            logits = network(row.start, row.end, column.start, column.end)
            size = row.end - row.start, column.end - column.start
            own = best_class(logits, *size), stretched(measure(logits).confidence, *size)
            down, across = alone(rows, row_index), alone(columns, column_index)
            part = (
                slice(down.start - row.start, down.stop - row.start),
                slice(across.start - column.start, across.stop - column.start),
            )
            for whole, of_tile in zip(found, own, strict=True):
                np.testing.assert_array_equal(whole[down, across], of_tile[part])
            compared += own[0][part].size
    assert compared > 0


def test_a_part_with_the_same_tiles_has_the_ids_of_the_whole():
    """Two by two of four by four tiles: up to the tiles that only the whole has, nothing differs."""
    size, overlap, step = 131, 30, 101
    side = size + 3 * step
    whole = blend(rows_of(coarse, side, side, size=size, overlap=overlap), side, side)
    part_side = size + step
    cut = moved(coarse, down=step, across=2 * step)
    part = blend(rows_of(cut, part_side, part_side, size=size, overlap=overlap), part_side, part_side)
    down, across = slice(step + overlap, 2 * step + step), slice(2 * step + overlap, 2 * step + part_side)
    for of_whole, of_part in zip(whole, part, strict=True):
        np.testing.assert_array_equal(of_whole[down, across], of_part[overlap : 2 * step, overlap:])


def test_tiles_that_agree_give_the_ids_of_the_whole():
    """A network that sees no borders: class by position, the same from whichever tile."""

    def stripes(top: int, bottom: int, left: int, right: int) -> NDArray[np.float32]:
        x = np.arange(left, right, 4) + 2
        plane = np.broadcast_to(np.sin(x / 40).astype(np.float32), ((bottom - top) // 4, (right - left) // 4))
        return np.stack([plane, -plane])

    height, width = 256, 896
    whole = best_class(stripes(0, height, 0, width), height, width)
    ids, _ = blend(rows_of(stripes, height, width, size=128, overlap=32), height, width)
    assert (ids == whole).mean() > 0.99


def test_in_an_overlap_the_answer_moves_from_one_tile_to_the_other():
    def step(top: int, bottom: int, left: int, right: int) -> NDArray[np.float32]:
        logits = np.zeros((2, (bottom - top) // 4, (right - left) // 4), np.float32)
        logits[0 if left == 0 else 1] = 1
        return logits

    ids, _ = blend(rows_of(step, 64, 112, size=64, overlap=16), 64, 112)
    changes = np.flatnonzero(np.diff(ids[10].astype(int)))
    assert changes.tolist() == [55]  # the middle of the overlap 48…64


def test_the_confidence_is_blended_too():
    def two_kinds(top: int, bottom: int, left: int, right: int) -> NDArray[np.float32]:
        """Half sure on the left, as good as certain on the right."""
        logits = np.zeros((2, (bottom - top) // 4, (right - left) // 4), np.float32)
        logits[0] = 0 if left == 0 else 20
        return logits

    _, confidence = blend(rows_of(two_kinds, 64, 112, size=64, overlap=16), 64, 112)
    assert confidence.shape == (64, 112)
    assert (np.diff(confidence[10].astype(int)) >= 0).all()
    assert {128, 255} < set(confidence[10].tolist())


def test_only_the_tiles_of_the_current_rows_are_held():
    alive = 0
    most = 0

    class Counted(np.ndarray[tuple[int, ...], np.dtype[np.float32]]):
        def __del__(self) -> None:
            nonlocal alive
            if self.base is None:
                alive -= 1

    def counted(top: int, bottom: int, left: int, right: int) -> NDArray[np.float32]:
        nonlocal alive, most
        alive += 1
        most = max(most, alive)
        made = Counted((2, (bottom - top) // 4, (right - left) // 4), np.float32)
        made[:] = 0
        return made

    blend(rows_of(counted, 2000, 128, size=128, overlap=16), 2000, 128)
    assert most <= 4
