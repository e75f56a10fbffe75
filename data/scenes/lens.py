"""What a camera does to a picture: glow around lamps, blur, vignette, colour cast, contrast, sensor noise."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from data.scenes.mood import Mood

Field = NDArray[np.float32]


def develop(picture: Field, mood: Mood, rng: np.random.Generator) -> NDArray[np.uint8]:
    """(H, W, 3) float32 0..255 to uint8."""
    if mood.lamps > 0.2:
        picture = _bloom(picture, mood)
    if rng.random() < 0.5:
        radius = rng.uniform(0.2, 0.6) * picture.shape[1] / 1024
        soft = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius))
        picture = np.asarray(soft, np.float32)
    cast = np.array([rng.normal(1, 0.025), 1.0, rng.normal(1, 0.035)], np.float32) * rng.uniform(0.9, 1.1)
    picture = picture * cast * _vignette(picture.shape[:2], rng)[..., None]
    picture = _contrast(picture, rng.uniform(0.0, 0.3))
    strength = rng.uniform(0.8, 3.0) * (1.5 if mood.lamps else 1.0)
    height, width = picture.shape[:2]
    noise = rng.standard_normal((height, width, 1), dtype=np.float32) * 0.8
    noise = noise + rng.standard_normal((height, width, 3), dtype=np.float32) * 0.5
    return np.clip(picture + noise * np.float32(strength), 0, 255).astype(np.uint8)


def _bloom(picture: Field, mood: Mood) -> Field:
    height, width = picture.shape[:2]
    bright = np.clip((picture - 205) * 2.2, 0, 255)
    bright[: height // 3] *= 0.4
    small = Image.fromarray(bright.astype(np.uint8)).reduce(4).filter(ImageFilter.GaussianBlur(width / 400))
    glow = np.asarray(small.resize((width, height), Image.Resampling.BILINEAR), np.float32)
    return picture + glow * np.float32(0.55 * mood.lamps)


def _vignette(size: tuple[int, ...], rng: np.random.Generator) -> Field:
    down = np.linspace(-1, 1, size[0], dtype=np.float32)[:, None]
    across = np.linspace(-1, 1, size[1], dtype=np.float32)[None, :]
    return np.asarray(1 - rng.uniform(0.02, 0.13) * (across**2 + down**2), dtype=np.float32)


def _contrast(picture: Field, amount: float) -> Field:
    """A gentle S-curve; amount 0 leaves the picture as it is."""
    share = np.clip(picture / 255, 0, 1)
    curved = share * share * (3 - 2 * share)
    return np.asarray((share + (curved - share) * amount) * 255, dtype=np.float32)
