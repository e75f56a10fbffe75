"""What closes the view: far trees or a far skyline at the horizon, and the bonnet of the camera's own car."""

import numpy as np

from scenes.drawing.camera import SUPERSAMPLING, Points
from scenes.drawing.canvas import Colour
from scenes.drawing.stage import Stage
from scenes.drawing.tones import scaled
from scenes.ids import BUILDING, EGO_VEHICLE, VEGETATION

RIDGES_M = (420.0, 330.0, 250.0)
FOLIAGE: Colour = (74, 86, 58)
FAR_WALL: Colour = (150, 142, 136)


def draw_horizon(stage: Stage, rng: np.random.Generator) -> None:
    """Up to three rows, one before the other; towns get roofs, parks get trees."""
    town = {"downtown": 1.0, "high street": 0.7, "avenue": 0.6, "residential": 0.4, "park": 0.1}[stage.street.kind]
    for distance in RIDGES_M:
        if rng.random() < town:
            _draw_skyline(stage, distance, rng)
        if rng.random() < 0.8:
            _draw_trees(stage, distance - 20, rng)


def _draw_skyline(stage: Stage, distance: float, rng: np.random.Generator) -> None:
    reach = distance * 1.6
    tall = 34.0 if stage.street.kind == "downtown" else 9.0
    x = -reach
    while x < reach:
        wide, high = rng.uniform(7, 26), tall * rng.uniform(0.5, 1.3)
        colour = stage.mood.lit(scaled(FAR_WALL, rng.uniform(0.75, 1.2)), (0.0, 0.0, -1.0), distance)
        corners = [(x, 0.0), (x + wide, 0.0), (x + wide, high), (x, high)]
        if rng.random() < 0.5 and tall < 20:
            corners = [*corners[:2], (x + wide, high), (x + wide / 2, high + 3), (x, high)]
        stage.face(np.array([(a, b, distance) for a, b in corners]), colour, BUILDING)
        x += wide * rng.choice([1.0, 1.0, 1.6])


def _draw_trees(stage: Stage, distance: float, rng: np.random.Generator) -> None:
    reach, step = distance * 1.6, distance / 160
    x = np.arange(-reach, reach, step)
    swell = np.interp(x, np.linspace(-reach, reach, 24), rng.uniform(1.5, 11, 24))
    high = swell + rng.normal(0, 0.1 + 0.09 * swell, len(x))
    top = np.stack([x, np.maximum(0.3, high), np.full_like(x, distance)], axis=1)
    ground = np.array([[reach, 0.0, distance], [-reach, 0.0, distance]])
    colour = stage.mood.lit(scaled(FOLIAGE, rng.uniform(0.8, 1.2)), (0.0, 0.5, -0.8), distance)
    stage.face(np.concatenate([top, ground]), colour, VEGETATION)


def draw_bonnet(stage: Stage, rng: np.random.Generator) -> None:
    """A dark, glossy curve along the lower edge of the picture."""
    width, height = (side * SUPERSAMPLING for side in (stage.camera.width, stage.camera.height))
    rise, bulge = height * rng.uniform(0.03, 0.08), width * rng.uniform(0.5, 0.7)
    middle = width / 2 + width * rng.normal(0, 0.03)
    tone = float(rng.choice([0.25, 0.4, 0.9]))
    for step in range(5):
        drop = rise * step * 0.12
        shine = tone * (120 - 18 * step)
        colour = tuple((np.array(stage.mood.ambient) * shine + 8).tolist())
        points = _curve(middle, bulge, (height, rise), drop)
        stage.canvas.polygon(points, (colour[0], colour[1], colour[2]), EGO_VEHICLE)


def _curve(middle: float, bulge: float, edge: tuple[float, float], drop: float) -> Points:
    height, rise = edge
    across = np.linspace(-1, 1, 33)
    y = height - rise * (1 - across**2) ** 0.6 + drop
    top = np.stack([middle + bulge * across, y], axis=1)
    return np.concatenate([top, [[middle + bulge, height + 9], [middle - bulge, height + 9]]])
