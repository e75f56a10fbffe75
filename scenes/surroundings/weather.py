"""What rain does to a picture: mirrors on the street, streaks in the air."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from scenes.drawing.noise import fractal_noise, value_noise
from scenes.ids import ROAD, SIDEWALK, TERRAIN
from scenes.mood import Mood

Picture = NDArray[np.uint8]


def mirror_street(picture: Picture, labels: Picture, mood: Mood, rng: np.random.Generator) -> Picture:
    """Each wet pixel shows what stands above the nearest foot of a thing in its column, blurred downwards."""
    height, width = labels.shape
    ground = (labels == ROAD) | (labels == SIDEWALK)
    rows = np.arange(height, dtype=np.int32)[:, None]
    foot = np.maximum.accumulate(np.where(ground | (labels == TERRAIN), np.int32(-1), rows), axis=0)
    first = int(np.argmax(ground.any(axis=1)))
    ripple = (value_noise(rng, height, width, (max(2, height // 6), max(2, width // 40))) - 0.5) * 12
    source = np.clip(2 * foot + 1 - rows + ripple.astype(np.int32), 0, height - 1)[first:]
    mirrored = picture[source, np.arange(width)[None, :]]
    below = height - first
    small = Image.fromarray(mirrored).resize((width, max(2, below // 7)), Image.Resampling.BOX)
    soft = small.filter(ImageFilter.BoxBlur(1)).resize((width, below), Image.Resampling.BILINEAR)
    puddles = np.clip((fractal_noise(rng, height, width, (10, 6), 3)[first:] - 0.42) * 5, 0, 1)
    share = mood.wet * (0.26 + 0.36 * puddles) * ground[first:] * (foot[first:] >= 0)
    share = share * np.where(labels[first:] == SIDEWALK, 0.6, 1.0)
    mask = Image.fromarray((share * 255).astype(np.uint8))
    result = Image.fromarray(picture)
    result.paste(soft, (0, first), mask)
    return np.asarray(result)


def add_streaks(picture: Picture, rng: np.random.Generator) -> Picture:
    """Drops that the shutter draws out: many faint short ones, a few long ones near the lens."""
    height, width = picture.shape[:2]
    image = Image.new("L", (width, height))
    draw = ImageDraw.Draw(image)
    slant = rng.normal(0, 0.12)
    count = int(width * height / 1100 * rng.uniform(0.5, 1.3))
    places = rng.random((count, 2)) * (width, height)
    lengths = height * (0.008 + rng.exponential(0.012, count))
    tones = rng.integers(12, 52, count).tolist()
    for (x, y), length, tone in zip(places.tolist(), lengths.tolist(), tones, strict=True):
        draw.line([(x, y), (x + slant * length, y + length)], fill=tone, width=1)
    mask = image.filter(ImageFilter.GaussianBlur(0.4 * width / 1024))
    light = int(np.clip(picture[: height // 3].mean() * 1.1 + 30, 0, 255))
    result = Image.fromarray(picture)
    result.paste(Image.new("RGB", (width, height), (light, light, light)), (0, 0), mask)
    return np.asarray(result)
