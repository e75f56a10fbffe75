"""What a picture may cost is known before anything is spent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.options import TileOptions
from segmentation.errors import ImageTooLarge
from tests.factories import make_card
from worker.pipeline.budget import Budget
from worker.pipeline.tiles import span_count, spans

SMALL = TileOptions(size=64, overlap=32)
CARD = make_card()  # sees 64 pixels at a stride of 4


@pytest.mark.parametrize(("length", "size", "overlap"), [(1, 64, 0), (64, 64, 32), (65, 64, 32), (1000, 128, 16)])
def test_tiles_are_counted_without_being_laid_out(length: int, size: int, overlap: int):
    assert span_count(length, size=size, overlap=overlap) == len(spans(length, size=size, overlap=overlap))


def test_a_picture_of_too_many_tiles_is_refused_with_the_way_out():
    with pytest.raises(ImageTooLarge, match=r"4000×4000 in tiles of 64 .* are 15376 runs .* allowed are 4096; choose"):
        Budget().check_tiles(4000, 4000, SMALL, models=1)
    Budget().check_tiles(4000, 4000, TileOptions(size=256, overlap=32), models=1)


def test_each_model_counts():
    budget = Budget(tiles=100)
    budget.check_tiles(640, 640, TileOptions(size=64, overlap=0), models=1)
    with pytest.raises(ImageTooLarge, match="through 2 models are 200 runs"):
        budget.check_tiles(640, 640, TileOptions(size=64, overlap=0), models=2)


def test_a_row_of_tiles_that_would_fill_the_memory_is_refused():
    """As 1,000,000 × 64 pixels in tiles of 64, whose single row of logits takes gigabytes."""
    large = make_card(preprocessing=replace(CARD.preprocessing, long_side=480))
    with pytest.raises(ImageTooLarge, match=r"takes \d{4,} MiB of memory with tiny"):
        Budget(tiles=10**6).check_memory(1_000_000, 64, SMALL, large, classes=19)
    Budget().check_memory(10_000, 10_000, TileOptions(), large, classes=19)


@pytest.mark.parametrize(("height", "rows"), [(64, 1), (96, 2), (1000, 3)])
def test_the_memory_is_that_of_the_rows_that_are_held(height: int, rows: int):
    needed = 4 * rows * span_count(1000, size=64, overlap=32) * (11 + 1) * 16 * 16
    Budget(tile_bytes=needed).check_memory(1000, height, SMALL, CARD, classes=11)
    with pytest.raises(ImageTooLarge):
        Budget(tile_bytes=needed - 1).check_memory(1000, height, SMALL, CARD, classes=11)
