"""Paint on the road, worn by traffic: lane lines, edge lines, bays, arrows, stop lines, zebra crossings."""

import numpy as np

from scenes.drawing.noise import Field, sample_smooth, tile
from scenes.street import Street
from scenes.surroundings.surfaces import Patch

WHITE = (228, 228, 222)
YELLOW = (210, 172, 74)


def paint_markings(colours: Field, road: Patch, street: Street, rng: np.random.Generator) -> Field:
    """colours (N, 3) of the road's pixels, changed in place and returned."""
    worn = 1 - 0.6 * np.clip(sample_smooth(tile(1.2), road.offset * 40, road.ahead * 40) - 0.5, 0, 1)
    worn *= np.float32(rng.uniform(0.6, 0.95))
    white = _white_paint(road, street, rng)
    colours += (white * worn)[:, None] * (np.array(WHITE, np.float32) - colours)
    if street.double_yellow:
        yellow = _double_yellow(road, street)
        colours += (yellow * worn)[:, None] * (np.array(YELLOW, np.float32) - colours)
    return colours


def _white_paint(road: Patch, street: Street, rng: np.random.Generator) -> Field:
    """(N,) how much of each pixel is painted."""
    paint = np.zeros_like(road.offset)
    for lane, following in zip(street.lanes[:-1], street.lanes[1:], strict=True):
        opposite = lane.away != following.away
        np.maximum(paint, _lane_line(road, lane.offset + lane.width / 2, opposite, rng), out=paint)
    for verge in (street.left, street.right):
        if verge.parking:
            np.maximum(paint, _parking_bays(road, street, verge.sign), out=paint)
        elif not street.double_yellow and rng.random() < 0.5:
            edge = verge.sign * (street.kerb(verge.sign) - 0.35)
            np.maximum(paint, _band(road.offset, edge, 0.12, road.wide), out=paint)
    if rng.random() < 0.3:
        np.maximum(paint, _arrows(road, street, rng), out=paint)
    if street.junction is not None:
        paint *= (road.ahead < street.junction[0]) | (road.ahead > street.junction[1])
        paint *= np.abs(road.offset) < max(street.kerb(-1), street.kerb(1))
    return _zebra(paint, road, street) if street.crossing is not None else paint


def _lane_line(road: Patch, offset: float, opposite: bool, rng: np.random.Generator) -> Field:
    stroke, gap = ((4.0, 2.0), (2.0, 4.0), (1.0, 5.0))[int(rng.integers(3))] if opposite else (3.0, 6.0)
    if opposite and rng.random() < 0.25:
        sides = (_band(road.offset, offset + shift, 0.1, road.wide) for shift in (-0.13, 0.13))
        return np.asarray(sum(sides), dtype=np.float32)
    phase = (road.ahead + np.float32(rng.uniform(0, 9))) % np.float32(stroke + gap)
    inside = np.minimum(phase, stroke - phase)
    return np.asarray(_band(road.offset, offset, 0.12, road.wide) * np.clip(inside / road.long + 0.5, 0, 1))


def _parking_bays(road: Patch, street: Street, sign: int) -> Field:
    line = _band(road.offset, sign * street.carriage, 0.1, road.wide)
    phase = (road.ahead + 2.6) % np.float32(5.3)
    ticks = np.clip(np.minimum(phase, 0.12 - phase) / road.long + 0.5, 0, 1) * np.minimum(1, 0.15 / road.long)
    return np.asarray(np.maximum(line, ticks * (road.offset * sign > street.carriage)), dtype=np.float32)


def _arrows(road: Patch, street: Street, rng: np.random.Generator) -> Field:
    """One arrow in each lane, pointing where its traffic goes."""
    near, paint = rng.uniform(7, 22), np.zeros_like(road.offset)
    for lane in street.lanes:
        along = road.ahead - np.float32(near) if lane.away else np.float32(near + 3.4) - road.ahead
        across = np.abs(road.offset - np.float32(lane.offset))
        head = np.minimum((3.4 - along) * 0.36, along - 2.2)
        shape = np.maximum(
            np.minimum(0.09 - across, np.minimum(along, 2.3 - along)), np.minimum(head - across, along - 2.2)
        )
        np.maximum(paint, np.clip(shape / road.wide + 0.5, 0, 1), out=paint)
    return paint


def _zebra(paint: Field, road: Patch, street: Street) -> Field:
    near = street.crossing or 0.0
    far = near + 3.2
    inside = np.clip(np.minimum(road.ahead - near, far - road.ahead) / road.long + 0.5, 0, 1)
    on_road = (road.offset > -street.kerb(-1)) & (road.offset < street.kerb(1))
    phase = (road.offset + 0.25) % 1.0
    stripes = np.clip(np.minimum(phase, 0.5 - phase) / road.wide + 0.5, 0, 1) * on_road
    clear = (road.ahead > near - 1.6) & (road.ahead < far + 1.0)
    stop = _band(road.ahead, near - 1.8, 0.3, road.long) * (np.abs(road.offset) < street.carriage)
    return np.asarray(np.maximum(np.where(clear, inside * stripes, paint), stop), dtype=np.float32)


def _double_yellow(road: Patch, street: Street) -> Field:
    lines = np.zeros_like(road.offset)
    for sign in (-1, 1):
        for inset in (0.22, 0.42):
            np.maximum(lines, _band(road.offset, sign * (street.kerb(sign) - inset), 0.08, road.wide), out=lines)
    if street.junction is not None:
        lines *= (road.ahead < street.junction[0]) | (road.ahead > street.junction[1])
    return lines


def _band(position: Field, centre: float, width: float, size: Field) -> Field:
    """How much of a pixel lies on a stripe."""
    inside = np.float32(width / 2) - np.abs(position - np.float32(centre))
    return np.asarray(np.clip(inside / size + 0.5, 0, 1) * np.minimum(1, width * 1.3 / size + 0.1), dtype=np.float32)
