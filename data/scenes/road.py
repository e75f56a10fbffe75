"""The ground, coloured and labelled pixel by pixel: asphalt, markings, kerbs, paving, grass."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.scenes.camera import Camera
from data.scenes.canvas import Colour
from data.scenes.ids import ROAD, SIDEWALK, TERRAIN
from data.scenes.mood import Mood
from data.scenes.noise import Field, sample, sample_smooth, tile
from data.scenes.street import Street

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


def look_at_ground(camera: Camera, street: Street) -> Ground:
    x, y, z = camera.ground_rays()
    reach = camera.y / np.maximum(-y, 1e-6)
    seen = (y < 0) & (reach * z < FARTHEST_M)
    reach, ahead = reach[seen], (reach * z)[seen]
    offset = camera.x + reach * x[seen] - street.curve * np.minimum(ahead, 240) ** 2
    wide = reach / np.float32(camera.focal)
    return Ground(offset, ahead, wide, wide * reach / np.float32(camera.y), seen)


def paint_ground(
    ground: Ground, street: Street, mood: Mood, rng: np.random.Generator
) -> tuple[Field, NDArray[np.uint8]]:
    """Colours (N, 3) and labels (N,) of the ground's pixels, before shadows."""
    right = ground.offset > 0
    distance = np.abs(ground.offset)
    kerb = np.where(right, street.kerb(1), street.kerb(-1)).astype(np.float32)
    walk_from = kerb + np.where(right, street.right.strip, street.left.strip).astype(np.float32)
    walk_to = walk_from + np.where(right, street.right.sidewalk, street.left.sidewalk).astype(np.float32)
    paved = np.where(right, street.right.paved, street.left.paved)
    on_road = distance < kerb
    if street.junction is not None:
        on_road |= (ground.ahead > street.junction[0]) & (ground.ahead < street.junction[1])
    on_walk = ~on_road & (((distance >= walk_from) & ((distance < walk_to) | paved)) | (distance < kerb + CURB_M))
    colours = _grass(ground, mood, rng)
    colours[on_walk] = _paving(ground, street, rng)[on_walk]
    colours[on_road] = _asphalt(ground, street, rng)[on_road]
    curb = ~on_road & (distance < kerb + CURB_M)
    colours[curb] = _curb(ground, distance - kerb)[curb]
    _mark_lanes(colours, ground, street, rng)
    labels = np.where(on_road, ROAD, np.where(on_walk, SIDEWALK, TERRAIN)).astype(np.uint8)
    return _lit(colours, ground, mood), labels


def _lit(colours: Field, ground: Ground, mood: Mood) -> Field:
    colours = colours * mood.light(np.array([0.0, 1.0, 0.0])).astype(np.float32)
    if mood.wet:
        colours *= np.float32(1 - 0.35 * mood.wet)
    share = (1 - np.exp(-ground.ahead / mood.sight_m))[:, None].astype(np.float32)
    return np.asarray(colours * (1 - share) + np.array(mood.haze, np.float32) * share, dtype=np.float32)


def _asphalt(ground: Ground, street: Street, rng: np.random.Generator) -> Field:
    base = rng.uniform(88, 128)
    tint = np.array([1.0, 1.0, rng.uniform(0.98, 1.06)], np.float32)
    shift = rng.uniform(0, 512, 2).astype(np.float32)
    near = np.clip(0.02 / ground.long, 0, 1)
    grain = sample(tile(0.35), ground.offset * 70, ground.ahead * 70) * near
    stains = sample_smooth(tile(1.4), ground.offset * 9 + shift[0], ground.ahead * 3.2 + shift[1])
    value = base * (1 + 0.07 * grain + 0.045 * stains)
    for lane in street.lanes:
        across = np.abs(np.abs(ground.offset - lane.offset) - 0.78)
        value *= 1 - 0.06 * np.exp(-((across / 0.3) ** 2))
        value *= 1 - 0.035 * np.exp(-(((ground.offset - lane.offset) / 0.35) ** 2))
    cracks = np.abs(sample_smooth(tile(1.6), ground.offset * 22 + shift[1], ground.ahead * 14 + shift[0]))
    value *= 1 - 0.28 * np.clip(1 - cracks * 28, 0, 1) * np.clip(0.03 / ground.long, 0, 1) * (stains > 0.4)
    return np.asarray(value[:, None] * tint, dtype=np.float32)


def _paving(ground: Ground, street: Street, rng: np.random.Generator) -> Field:
    """Slabs or small bricks, with joints that fade out with the distance."""
    base = np.array([150, 146, 140], np.float32) * rng.uniform(0.85, 1.15)
    if street.brick_paving:
        base = np.array([158, 118, 100], np.float32) * rng.uniform(0.85, 1.1)
    across, along = (0.2, 0.1) if street.brick_paving else (0.6, float(rng.choice([0.6, 0.9])))
    column, row = ground.offset / across, ground.ahead / along
    column = column + 0.5 * (np.floor(row) % 2)
    tone = sample(tile(0.0), np.floor(column), np.floor(row)) * np.clip(across * 0.4 / ground.wide - 1, 0, 1)
    stains = sample_smooth(tile(1.4), ground.offset * 12, ground.ahead * 12)
    value = 1 + 0.045 * np.clip(tone, -2, 2) * np.clip(along * 0.5 / ground.long, 0, 1) + 0.05 * stains
    value *= 1 - 0.3 * _joint(column * across, across, ground.wide)
    value *= 1 - 0.3 * _joint(row * along, along, ground.long)
    return np.asarray(value[:, None] * base, dtype=np.float32)


def _joint(position: Field, period: float, size: Field) -> Field:
    """How much of a pixel a joint of 12 mm takes that comes back every period."""
    inside = np.abs((position + period / 2) % period - period / 2)
    half = np.maximum(0.012, size) / 2
    return np.asarray(np.clip((half + size / 2 - inside) / size, 0, 1) * np.minimum(1, 0.012 / size) ** 0.6)


def _curb(ground: Ground, beyond: Field) -> Field:
    """The face of the curb, in its own shade, then the stone's top."""
    stones = 1 - 0.25 * _joint(ground.ahead, 0.9, ground.long)
    face = np.clip((0.1 - beyond) / np.maximum(ground.wide, 0.02) + 0.5, 0, 1)
    value = (176 - 78 * face) * stones * (1 + 0.05 * sample(tile(0.6), ground.offset * 60, ground.ahead * 30))
    return np.asarray(value[:, None] * np.array([1.0, 0.99, 0.96], np.float32), dtype=np.float32)


def _grass(ground: Ground, mood: Mood, rng: np.random.Generator) -> Field:
    fresh = rng.uniform(0, 1)
    base = np.array([96 - 20 * fresh, 112 + 8 * fresh, 60 - 6 * fresh], np.float32)
    blades = sample(tile(0.5), ground.offset * 60, ground.ahead * 24) * np.clip(0.05 / ground.long, 0.1, 1)
    patches = sample_smooth(tile(1.5), ground.offset * 8, ground.ahead * 8)
    value = 1 + 0.16 * blades + 0.1 * patches
    dry = np.clip(patches - 1.1, 0, 1)[:, None] * np.array([40, 18, 6], np.float32)
    return np.asarray(value[:, None] * base + dry, dtype=np.float32)


def _mark_lanes(colours: Field, ground: Ground, street: Street, rng: np.random.Generator) -> None:
    """Paint, worn by traffic: lane lines, edge lines, a stop line and a zebra crossing."""
    worn = 1 - 0.55 * np.clip(sample_smooth(tile(1.2), ground.offset * 40, ground.ahead * 40) - 0.55, 0, 1)
    worn *= rng.uniform(0.65, 0.95)
    paint = np.zeros_like(ground.offset)
    for lane, following in zip(street.lanes[:-1], street.lanes[1:], strict=True):
        opposite = lane.away != following.away
        paint = np.maximum(paint, _lane_line(ground, lane.offset + lane.width / 2, opposite, rng))
    for verge in (street.left, street.right):
        if verge.parking:
            paint = np.maximum(paint, _band(ground.offset, verge.sign * street.carriage, 0.1, ground.wide))
    if street.junction is not None:
        paint *= (ground.ahead < street.junction[0]) | (ground.ahead > street.junction[1])
    if street.crossing is not None:
        paint = _zebra(paint, ground, street)
    share = (paint * worn)[:, None]
    colours += share * (np.array([226, 226, 220], np.float32) - colours)
    if street.double_yellow:
        _double_yellow(colours, ground, street, worn)


def _lane_line(ground: Ground, offset: float, opposite: bool, rng: np.random.Generator) -> Field:
    stroke, gap = (4.0, 2.0) if opposite else (3.0, 6.0)
    line = _band(ground.offset, offset, 0.12, ground.wide)
    if opposite and rng.random() < 0.3:
        return _band(ground.offset, offset - 0.13, 0.1, ground.wide) + _band(
            ground.offset, offset + 0.13, 0.1, ground.wide
        )
    phase = (ground.ahead + rng.uniform(0, 9)) % (stroke + gap)
    inside = np.minimum(phase, stroke - phase)
    return np.asarray(line * np.clip(inside / ground.long + 0.5, 0, 1))


def _zebra(paint: Field, ground: Ground, street: Street) -> Field:
    near = street.crossing or 0.0
    far = near + 3.2
    inside = np.clip(np.minimum(ground.ahead - near, far - ground.ahead) / ground.long + 0.5, 0, 1)
    on_road = (ground.offset > -street.kerb(-1)) & (ground.offset < street.kerb(1))
    phase = (ground.offset + 0.25) % 1.0
    stripes = np.clip(np.minimum(phase, 0.5 - phase) / ground.wide + 0.5, 0, 1) * on_road
    clear = (ground.ahead > near - 1.6) & (ground.ahead < far + 1.0)
    stop = _band(ground.ahead, near - 1.8, 0.3, ground.long) * (np.abs(ground.offset) < street.carriage)
    return np.asarray(np.maximum(np.where(clear, inside * stripes, paint), stop))


def _double_yellow(colours: Field, ground: Ground, street: Street, worn: Field) -> None:
    yellow: Colour = (206, 170, 74)
    for sign in (-1, 1):
        for inset in (0.22, 0.42):
            line = _band(ground.offset, sign * (street.kerb(sign) - inset), 0.08, ground.wide) * worn
            if street.junction is not None:
                line = line * ((ground.ahead < street.junction[0]) | (ground.ahead > street.junction[1]))
            colours += line[:, None] * (np.array(yellow, np.float32) - colours)


def _band(position: Field, centre: float, width: float, size: Field) -> Field:
    """How much of a pixel lies on a stripe."""
    inside = width / 2 - np.abs(position - centre)
    return np.asarray(np.clip(inside / size + 0.5, 0, 1) * np.minimum(1, width / size * 1.3 + 0.1))
