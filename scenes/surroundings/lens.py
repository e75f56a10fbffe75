"""What a camera does to a picture: glow around lamps, exposure, blur, vignette, colour cast, contrast, sensor noise."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter

from scenes.mood import Mood

Field = NDArray[np.float32]
BRIGHTNESS = {"day": 122.0, "overcast": 122.0, "rain": 104.0, "dusk": 76.0}  # what the exposure aims at
GRAIN_SLACK = 64


def develop(picture: NDArray[np.uint8], mood: Mood, rng: np.random.Generator) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 as the light falls in, to (H, W, 3) uint8 as the camera stores it."""
    if mood.lamps > 0.2:
        picture = _bloom(picture, mood)
    if rng.random() < 0.5:
        radius = rng.uniform(0.2, 0.6) * picture.shape[1] / 1024
        picture = np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius)))
    tables = _tone_tables(picture, mood, rng)
    image = Image.fromarray(picture).point(tables)
    developed = np.asarray(image, np.float32) * _vignette(picture.shape[:2], rng)[..., None]
    developed += _grain(picture.shape[:2], rng) * np.float32(rng.uniform(0.8, 3.0) * (1.5 if mood.lamps else 1.0))
    return np.asarray(np.clip(developed, 0, 255), dtype=np.uint8)


def _bloom(picture: NDArray[np.uint8], mood: Mood) -> NDArray[np.uint8]:
    small = np.asarray(Image.fromarray(picture).reduce(4), np.float32)
    bright = np.clip((small - 190) * 2.6, 0, 255)
    bright[: len(bright) // 3] *= 0.4
    glow = Image.fromarray(bright.astype(np.uint8)).filter(ImageFilter.GaussianBlur(picture.shape[1] / 400))
    wide = glow.filter(ImageFilter.GaussianBlur(picture.shape[1] / 100))
    both = np.asarray(glow, np.float32) * 0.45 + np.asarray(wide, np.float32) * 0.5
    large = Image.fromarray(np.clip(both * mood.lamps, 0, 255).astype(np.uint8)).resize(picture.shape[1::-1])
    return np.asarray(ImageChops.add(Image.fromarray(picture), large))


def _tone_tables(picture: NDArray[np.uint8], mood: Mood, rng: np.random.Generator) -> list[int]:
    """Exposure, colour cast, a soft shoulder and some contrast, as one look-up table per channel."""
    mean = float(picture[::8, ::8].mean())
    gain = (BRIGHTNESS[mood.name] / max(20.0, mean)) ** 0.75 * rng.uniform(0.9, 1.12)
    amount = rng.uniform(0.0, 0.28)
    tables: list[int] = []
    for cast in (rng.normal(1, 0.02), 1.0, rng.normal(1, 0.03)):
        value = np.arange(256) / 255 * gain * cast
        value = value / (1 + np.maximum(0, value) ** 5 * 0.5) ** 0.2 * 1.06
        share = np.clip(value, 0, 1)
        curved = share * share * (3 - 2 * share)
        tables += np.rint((share + (curved - share) * amount) * 255).astype(int).tolist()
    return tables


def _vignette(size: tuple[int, ...], rng: np.random.Generator) -> Field:
    down = np.linspace(-1, 1, size[0], dtype=np.float32)[:, None]
    across = np.linspace(-1, 1, size[1], dtype=np.float32)[None, :]
    return np.asarray(1 - np.float32(rng.uniform(0.02, 0.13)) * (across**2 + down**2), dtype=np.float32)


def _grain(size: tuple[int, ...], rng: np.random.Generator) -> Field:
    """A random piece of a sheet of noise, perhaps mirrored."""
    top, left = rng.integers(0, GRAIN_SLACK, 2).tolist()
    piece = _grain_sheet(size[0], size[1])[top : top + size[0], left : left + size[1]]
    return piece[:: int(rng.choice([-1, 1])), :: int(rng.choice([-1, 1]))]


@cache
def _grain_sheet(height: int, width: int) -> Field:
    rng = np.random.Generator(np.random.PCG64(GRAIN_SLACK))
    shape = (height + GRAIN_SLACK, width + GRAIN_SLACK)
    shared = rng.standard_normal((*shape, 1), dtype=np.float32) * np.float32(0.8)
    return np.asarray(shared + rng.standard_normal((*shape, 3), dtype=np.float32) * np.float32(0.5))
