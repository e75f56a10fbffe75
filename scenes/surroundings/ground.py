"""The ground, coloured and labelled pixel by pixel: which place each pixel shows, and what lies there."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scenes.drawing.camera import Camera
from scenes.drawing.noise import Field
from scenes.ids import ROAD, SIDEWALK, TERRAIN
from scenes.mood import Mood
from scenes.street import Street
from scenes.surroundings.markings import paint_markings
from scenes.surroundings.surfaces import paint_asphalt, paint_curb, paint_grass, paint_paving

FARTHEST_M = 400.0
CURB_M = 0.28


@dataclass(frozen=True, slots=True)
class Ground:
    """Where each ground pixel lies: metres right of the centre line, metres ahead, and a pixel's size both ways."""

    offset: Field
    ahead: Field
    wide: Field
    long: Field
    seen: NDArray[np.bool_]  # (H, W) which pixels of the picture these are

    def part(self, mask: NDArray[np.bool_]) -> "Ground":
        return replace(
            self, offset=self.offset[mask], ahead=self.ahead[mask], wide=self.wide[mask], long=self.long[mask]
        )


def look_at_ground(camera: Camera, street: Street) -> Ground:
    x, y, z = camera.ground_rays()
    seen = y * FARTHEST_M < -camera.y * z
    reach = np.float32(-camera.y) / y[seen]
    ahead = reach * z[seen]
    bend = np.float32(street.curve) * np.minimum(ahead, 240) ** 2
    offset: Field = np.asarray(np.float32(camera.x) + reach * x[seen] - bend, dtype=np.float32)
    wide: Field = reach / np.float32(camera.focal)
    return Ground(offset, ahead, wide, np.asarray(wide * reach / camera.y, dtype=np.float32), seen)


def paint_ground(
    ground: Ground, street: Street, mood: Mood, rng: np.random.Generator
) -> tuple[Field, NDArray[np.uint8]]:
    """Colours (N, 3) and labels (N,) of the ground's pixels, before shadows."""
    on_road, on_walk, on_curb = _areas(ground, street)
    colours = np.empty((len(ground.offset), 3), np.float32)
    road = ground.part(on_road)
    colours[on_road] = paint_markings(paint_asphalt(road, street, rng), road, street, rng)
    colours[on_walk] = paint_paving(ground.part(on_walk), street.brick_paving, rng)
    curb = ground.part(on_curb)
    colours[on_curb] = paint_curb(curb, np.abs(curb.offset) - _by_side(curb, street.kerb(-1), street.kerb(1)))
    rest = ~(on_road | on_walk | on_curb)
    colours[rest] = paint_grass(ground.part(rest), rng)
    labels = np.full(len(colours), TERRAIN, np.uint8)
    labels[on_walk | on_curb] = SIDEWALK
    labels[on_road] = ROAD
    return _lit(colours, ground, mood), labels


def _areas(ground: Ground, street: Street) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Which pixels are road, sidewalk and curb; the rest is grass."""
    distance = np.abs(ground.offset)
    kerb = _by_side(ground, street.kerb(-1), street.kerb(1))
    left, right = street.left, street.right
    walk_from = kerb + _by_side(ground, left.strip, right.strip)
    walk_to = walk_from + _by_side(ground, *(verge.sidewalk + 99 * verge.paved for verge in (left, right)))
    on_road = distance < kerb
    if street.junction is not None:
        on_road |= (ground.ahead > street.junction[0]) & (ground.ahead < street.junction[1])
    on_curb = ~on_road & (distance < kerb + CURB_M)
    on_walk = ~on_road & ~on_curb & (distance >= walk_from) & (distance < walk_to)
    return on_road, on_walk, on_curb


def _by_side(ground: Ground, left: float, right: float) -> Field:
    return np.where(ground.offset > 0, np.float32(right), np.float32(left))


def _lit(colours: Field, ground: Ground, mood: Mood) -> Field:
    light = mood.light(np.array([0.0, 1.0, 0.0])) * (1 - 0.35 * mood.wet)
    share = (1 - np.exp(ground.ahead * np.float32(-1 / mood.sight_m)))[:, None]
    lit = colours * light.astype(np.float32)
    lit += (np.array(mood.haze, np.float32) - lit) * share
    return np.asarray(lit, dtype=np.float32)
