"""Shadows on the ground, cast by the sun, and the darkness under things."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from scenes.drawing.camera import SUPERSAMPLING, Camera, Points
from scenes.drawing.noise import Field, sample_smooth, tile
from scenes.drawing.stage import Shadow
from scenes.mood import Mood
from scenes.surroundings.ground import Ground

LONGEST_M = 60.0


def shade_ground(colours: Field, ground: Ground, shadows: Sequence[Shadow], camera: Camera, mood: Mood) -> Field:
    """colours (N, 3) of the ground's pixels, darker where the sun does not reach and, softly, under things."""
    at_rest = [shadow.outline for shadow in shadows if shadow.bottom < 0.5]
    contact = _mask(at_rest, camera, blur=camera.width / 180)[ground.seen]
    colours = colours * (1 - np.float32(0.5) * contact[:, None])
    if max(mood.sun) < 0.15:
        return colours
    hard = _mask([_cast(shadow, mood) for shadow in shadows if not shadow.leafy], camera, blur=camera.width / 900)
    soft = _mask([_cast(shadow, mood) for shadow in shadows if shadow.leafy], camera, blur=camera.width / 300)
    cast = np.maximum(hard[ground.seen], soft[ground.seen] * _dapple(ground))
    ambient, sun = np.array(mood.ambient), np.array(mood.sun) * mood.to_sun[1]
    lost = (1 - ambient * 0.95 / (ambient + sun)).astype(np.float32)
    return np.asarray(colours * (1 - cast[:, None] * lost), dtype=np.float32)


def _dapple(ground: Ground) -> Field:
    """Spots of sun under a crown."""
    field = sample_smooth(tile(1.0), ground.offset * 14, ground.ahead * 14)
    return np.asarray(np.clip(0.95 - np.clip(field - 0.35, 0, 1) * 1.1, 0, 1), dtype=np.float32)


def _cast(shadow: Shadow, mood: Mood) -> Points:
    """The ground outline of a prism's shadow: its foot and its top, moved away from the sun."""
    across, up, along = mood.to_sun
    away = -np.array([across, along]) / max(up, 0.05)
    low, high = (away * min(height, LONGEST_M / np.hypot(*away)) for height in (shadow.bottom, shadow.top))
    return convex_hull(np.concatenate([shadow.outline + low, shadow.outline + high]))


def _mask(outlines: Sequence[Points], camera: Camera, blur: float) -> Field:
    image = Image.new("L", (camera.width, camera.height))
    draw = ImageDraw.Draw(image)
    for outline in outlines:
        corners = np.zeros((len(outline), 3))
        corners[:, [0, 2]] = outline
        points = camera.outline(corners)
        if len(points) >= 3:
            draw.polygon((points / SUPERSAMPLING).ravel().tolist(), fill=255)
    soft = image.filter(ImageFilter.GaussianBlur(blur))
    return np.asarray(soft, dtype=np.float32) / np.float32(255)


def convex_hull(points: Points) -> Points:
    """(M, 2) corners of the hull of (N, 2) points, in order (Andrew's monotone chain)."""
    ordered = sorted(map(tuple, points.tolist()))
    return np.array(_half_hull(ordered)[:-1] + _half_hull(ordered[::-1])[:-1])


def _half_hull(points: list[tuple[float, ...]]) -> list[tuple[float, ...]]:
    hull: list[tuple[float, ...]] = []
    for point in points:
        while len(hull) > 1 and _turn(hull[-2], hull[-1], point) <= 0:
            hull.pop()
        hull.append(point)
    return hull


def _turn(a: tuple[float, ...], b: tuple[float, ...], c: tuple[float, ...]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
