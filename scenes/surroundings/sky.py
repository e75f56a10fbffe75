"""The sky: a gradient, the sun's glow, and clouds on a flat layer far above."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scenes.drawing.camera import Camera
from scenes.drawing.noise import sample_smooth, tile
from scenes.mood import Mood

Field = NDArray[np.float32]
COARSENESS = 2  # the sky is painted at half the size and scaled up: it has no edges


def paint_sky(camera: Camera, mood: Mood, rng: np.random.Generator) -> NDArray[np.uint8]:
    """(height, width, 3) for every pixel; those below the horizon go on in the horizon's colour."""
    size = (camera.width, camera.height)
    small = replace(
        camera,
        width=-(-camera.width // COARSENESS),
        height=-(-camera.height // COARSENESS),
        focal=camera.focal / COARSENESS,
    )
    shift = rng.uniform(0, 512, 2)
    x, y, z = small.ground_rays()
    above = max(1, int(np.argmin((y > -0.02).any(axis=1))) or small.height)
    rays = x[:above], y[:above], z[:above]
    painted = np.empty((small.height, small.width, 3), np.float32)
    painted[:above] = _paint(rays, mood, shift)
    painted[above:] = np.array(mood.horizon)
    image = Image.fromarray(np.clip(painted, 0, 255).astype(np.uint8))
    return np.array(image.resize(size, Image.Resampling.BILINEAR))


def _paint(rays: tuple[Field, Field, Field], mood: Mood, shift: NDArray[np.float64]) -> Field:
    x, y, z = rays
    length = np.sqrt(x * x + y * y + z * z)
    up = np.clip(y / length, 0, 1)
    share = (1 - np.exp(-up * 3.2))[..., None]
    sky = np.array(mood.horizon, np.float32) * (1 - share) + np.array(mood.zenith, np.float32) * share
    if max(mood.sun) > 0.12:
        sky += _glow(mood, (x * mood.to_sun[0] + y * mood.to_sun[1] + z * mood.to_sun[2]) / length)
    return _with_clouds(sky, (x, up, z), mood, shift.astype(np.float32))


def _glow(mood: Mood, near: Field) -> Field:
    """near: cosine of the angle to the sun."""
    near = np.maximum(0, near)
    strength = sum(mood.sun) * 60
    halo = near**12 * strength + near**220 * strength * 1.6
    return np.asarray(halo[..., None] * np.array([1.0, 0.88, 0.68]), dtype=np.float32)


def _with_clouds(sky: Field, ray: tuple[Field, Field, Field], mood: Mood, shift: Field) -> Field:
    x, up, z = ray
    height = 46.0 / (up + 0.09)
    field = sample_smooth(tile(1.55), x * height + shift[0], z * height + shift[1])
    edge = 1.3 - 2.5 * mood.clouds
    closed = mood.clouds > 0.9
    cover = np.clip((field - edge) / 1.1, 0, 1) * min(1.0, 0.35 + mood.clouds)
    cover = (cover * np.clip(up * 14, 0.25 if closed else 0, 1))[..., None]
    shade = np.clip(0.98 - 0.16 * np.clip(field - edge - 0.8, 0, 1.6), 0.6, 1)[..., None]
    return np.asarray(sky * (1 - cover) + _cloud_colour(mood) * shade * cover, dtype=np.float32)


def _cloud_colour(mood: Mood) -> Field:
    horizon, zenith = np.array(mood.horizon, np.float32), np.array(mood.zenith, np.float32)
    if mood.clouds > 0.9:
        return horizon + 8
    if mood.lamps:
        return horizon * np.float32(0.6) + zenith * np.float32(0.45)
    return horizon * np.float32(0.55) + 115
