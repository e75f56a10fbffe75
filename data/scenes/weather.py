"""What rain does to a picture: mirrors on the street, streaks in the air."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from data.scenes.ids import ROAD, SIDEWALK
from data.scenes.mood import Mood
from data.scenes.noise import fractal_noise

Field = NDArray[np.float32]


def mirror_street(picture: Field, labels: NDArray[np.uint8], mood: Mood, rng: np.random.Generator) -> Field:
    """Each wet pixel shows what stands above the nearest foot of a thing in its column, blurred downwards."""
    height, width = labels.shape
    ground = (labels == ROAD) | (labels == SIDEWALK)
    rows = np.broadcast_to(np.arange(height)[:, None], (height, width))
    foot = np.maximum.accumulate(np.where(ground, -1, rows), axis=0)
    ripple = ((fractal_noise(rng, height, width, (height // 6, width // 40), 2) - 0.5) * 14).astype(np.int64)
    source = np.clip(2 * foot + 1 - rows + ripple, 0, height - 1)
    columns = np.broadcast_to(np.arange(width)[None, :], (height, width))
    mirrored = picture[source, columns]
    soft = Image.fromarray(np.clip(mirrored, 0, 255).astype(np.uint8)).resize(
        (width, max(1, height // 8)), Image.Resampling.BOX
    )
    blurred = np.asarray(
        soft.resize((width, height), Image.Resampling.BILINEAR).filter(ImageFilter.GaussianBlur(1.5)), np.float32
    )
    puddles = np.clip((fractal_noise(rng, height, width, (10, 6), 3) - 0.42) * 5, 0, 1)
    share = mood.wet * (0.28 + 0.34 * puddles) * ground * (foot >= 0)
    near = np.where(labels == SIDEWALK, 0.6, 1.0)
    share = (share * near)[..., None].astype(np.float32)
    return np.asarray(picture * (1 - share) + blurred * share, dtype=np.float32)


def add_streaks(picture: Field, rng: np.random.Generator) -> Field:
    height, width = picture.shape[:2]
    drops = (rng.random((height, width // 2)) > 0.9965).astype(np.float32) * 255
    image = Image.fromarray(drops.astype(np.uint8)).resize((width, height), Image.Resampling.NEAREST)
    slant = rng.uniform(-0.12, 0.12)
    length = max(3, height // 40)
    total = np.zeros((height, width), np.float32)
    source = np.asarray(image, np.float32)
    for step in range(length):
        total += np.roll(source, (step, round(step * slant)), axis=(0, 1))
    return np.asarray(picture + np.clip(total, 0, 255)[..., None] * 0.09, dtype=np.float32)
