"""The sky: a gradient, the sun's glow, and clouds on a flat layer far above."""

import numpy as np
from numpy.typing import NDArray

from data.scenes.camera import Camera
from data.scenes.mood import Mood
from data.scenes.noise import sample_smooth, tile

Field = NDArray[np.float32]


def paint_sky(camera: Camera, mood: Mood, rng: np.random.Generator) -> Field:
    """(height, width, 3) float32 colours 0..255 for every pixel; those below the horizon go on in the horizon's colour."""
    x, y, z = camera.ground_rays()
    length = np.sqrt(x * x + y * y + z * z)
    up = np.clip(y / length, 0, 1)
    share = (1 - np.exp(-up * 3.2))[..., None]
    sky = np.array(mood.horizon, np.float32) * (1 - share) + np.array(mood.zenith, np.float32) * share
    sky += _glow(mood, x / length, y / length, z / length)
    return np.asarray(_with_clouds(sky, (x, up, z), mood, rng), dtype=np.float32)


def _glow(mood: Mood, x: Field, y: Field, z: Field) -> Field:
    sun = mood.to_sun
    near = np.maximum(0, x * sun[0] + y * sun[1] + z * sun[2])
    strength = sum(mood.sun) * 60
    halo = near**12 * strength + near**220 * strength * 1.6
    return np.asarray(halo[..., None] * np.array([1.0, 0.88, 0.68]), dtype=np.float32)


def _with_clouds(sky: Field, ray: tuple[Field, Field, Field], mood: Mood, rng: np.random.Generator) -> Field:
    x, up, z = ray
    height = 46.0 / (up + 0.09)
    shift_x, shift_y = rng.uniform(0, 512, 2).astype(np.float32)
    field = sample_smooth(tile(1.55), x * height + shift_x, z * height + shift_y)
    edge = 1.3 - 2.5 * mood.clouds
    cover = np.clip((field - edge) / 1.1, 0, 1) * min(1.0, 0.35 + mood.clouds)
    cover = cover * np.clip(up * 14, 0.25 if mood.clouds > 0.9 else 0, 1)
    top = np.array(mood.horizon, np.float32) * 0.55 + 115
    if mood.lamps:
        top = np.array(mood.horizon, np.float32) * 0.6 + np.array(mood.zenith, np.float32) * 0.45
    if mood.clouds > 0.9:
        top = np.array(mood.horizon, np.float32) + 8
    shade = np.clip(0.98 - 0.16 * np.clip(field - edge - 0.8, 0, 1.6), 0.6, 1)[..., None]
    cover = cover[..., None]
    return sky * (1 - cover) + top * shade * cover
