"""Noise: random fields for clouds, asphalt, plaster and leaves. All of it comes from a generator that is passed in."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Field = NDArray[np.float32]
TILE = 512


def value_noise(rng: np.random.Generator, height: int, width: int, cells: tuple[int, int]) -> Field:
    """(height, width) smooth noise in about [0, 1]; cells: how many random values down and across."""
    seeds = rng.random(cells, dtype=np.float32)
    image = Image.fromarray(seeds, mode=None).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image, dtype=np.float32)


def fractal_noise(rng: np.random.Generator, height: int, width: int, cells: tuple[int, int], octaves: int) -> Field:
    """(height, width) in about [0, 1]: octaves of value noise, each twice as fine and half as strong."""
    total = np.zeros((height, width), dtype=np.float32)
    weight, weights = 1.0, 0.0
    down, across = cells
    for _ in range(octaves):
        total += weight * value_noise(rng, height, width, (max(2, down), max(2, across)))
        weights += weight
        weight, down, across = weight * 0.5, down * 2, across * 2
    return total / np.float32(weights)


@cache
def tile(exponent: float) -> Field:
    """(TILE, TILE) noise that repeats without a seam; mean 0, deviation 1; spectrum 1 / frequency ** exponent."""
    rng = np.random.Generator(np.random.PCG64(TILE))
    spectrum = np.fft.rfft2(rng.standard_normal((TILE, TILE)))
    down = np.fft.fftfreq(TILE)[:, None]
    across = np.fft.rfftfreq(TILE)[None, :]
    frequency = np.hypot(down, across)
    frequency[0, 0] = np.inf
    field = np.fft.irfft2(spectrum / frequency**exponent, s=(TILE, TILE))
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)


def sample(field: Field, x: Field, y: Field) -> Field:
    """The tile at texel coordinates, nearest; coordinates wrap around."""
    columns = x.astype(np.int32)
    columns &= TILE - 1
    rows = y.astype(np.int32)
    rows &= TILE - 1
    rows *= TILE
    rows += columns
    return field.ravel().take(rows)


def sample_smooth(field: Field, x: Field, y: Field) -> Field:
    """The tile at texel coordinates, bilinear; for fields that are looked at from near."""
    left, top = np.floor(x), np.floor(y)
    right_share, bottom_share = x - left, y - top
    columns, rows = left.astype(np.int32) & (TILE - 1), (top.astype(np.int32) & (TILE - 1)) * TILE
    next_columns, next_rows = (columns + 1) & (TILE - 1), (rows + TILE) & (TILE * TILE - 1)
    flat = field.ravel()
    upper = flat.take(rows + columns)
    upper += (flat.take(rows + next_columns) - upper) * right_share
    lower = flat.take(next_rows + columns)
    lower += (flat.take(next_rows + next_columns) - lower) * right_share
    return np.asarray(upper + (lower - upper) * bottom_share, dtype=np.float32)
