"""What one picture may cost a model, known before anything is spent: runs of the network, and memory for tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jobs.options import TileOptions
from segmentation.errors import ImageTooLarge
from segmentation.model_card import ModelCard
from worker.pipeline.tiles import span_count

HELD_ROWS = 3  # of tiles: those that overlap what is put together, and the next one
_FLOAT = 4  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """tiles: of one picture, over all models that it goes through. tile_bytes: what is held of them at once."""

    tiles: int = 4096
    tile_bytes: int = 2**30

    def check_tiles(self, width: int, height: int, tile: TileOptions, *, models: int) -> None:
        """Raises ImageTooLarge."""
        runs = models * _tiles(width, tile) * _tiles(height, tile)
        if runs > self.tiles:
            shared = f" through {models} models" if models > 1 else ""
            raise ImageTooLarge(
                f"{width}×{height} in tiles of {tile.size} pixels with {tile.overlap} of overlap{shared} are {runs} "
                f"runs of the model, allowed are {self.tiles}; choose larger tiles"
            )

    def check_memory(self, width: int, height: int, tile: TileOptions, card: ModelCard, *, classes: int) -> None:
        """Raises ImageTooLarge. Source of the size: `worker.pipeline.tiles`, which holds logits and confidence."""
        seen = card.preprocessing.input_size(min(height, tile.size), min(width, tile.size))
        down, across = (math.ceil(side / card.output_stride) for side in seen)
        rows = min(HELD_ROWS, _tiles(height, tile))
        needed = _FLOAT * rows * _tiles(width, tile) * (classes + 1) * down * across
        if needed > self.tile_bytes:
            raise ImageTooLarge(
                f"{width}×{height} in tiles of {tile.size} pixels takes {needed >> 20} MiB of memory with {card.name}, "
                f"allowed are {self.tile_bytes >> 20}; choose larger tiles, or turn the picture"
            )


def _tiles(length: int, tile: TileOptions) -> int:
    return span_count(length, size=tile.size, overlap=tile.overlap)
