"""What the ground is made of: asphalt, slabs and bricks, curb stones, grass."""

from typing import Protocol

import numpy as np

from scenes.drawing.noise import Field, sample, sample_smooth, tile
from scenes.street import Street


class Patch(Protocol):
    """Pixels of ground: metres right of the centre line, metres ahead, and a pixel's size both ways."""

    @property
    def offset(self) -> Field: ...
    @property
    def ahead(self) -> Field: ...
    @property
    def wide(self) -> Field: ...
    @property
    def long(self) -> Field: ...


def paint_asphalt(ground: Patch, street: Street, rng: np.random.Generator) -> Field:
    """(N, 3) with grain, stains, wheel tracks, repairs, cracks and manholes."""
    shift = rng.uniform(0, 512, 2).astype(np.float32)
    grain = sample(tile(0.35), ground.offset * 70, ground.ahead * 70) * np.clip(0.02 / ground.long, 0, 1)
    stains = sample_smooth(tile(1.4), ground.offset * 9 + shift[0], ground.ahead * 3.2 + shift[1])
    value = 1 + np.float32(0.07) * grain + np.float32(rng.uniform(0.02, 0.06)) * stains
    value *= _wheel_tracks(ground, street)
    _repair(value, ground, street, rng)
    fine = np.clip(0.03 / ground.long, 0, 1)
    cracks = np.abs(sample_smooth(tile(1.6), ground.offset * 22 + shift[1], ground.ahead * 14 + shift[0]))
    value *= 1 - np.float32(0.28) * np.clip(1 - cracks * 28, 0, 1) * fine * (stains > rng.uniform(0.2, 1.4))
    _draw_manholes(value, ground, street, rng)
    base = rng.uniform(86, 132) * np.array([1.0, 1.0, rng.uniform(0.97, 1.06)])
    colours = np.asarray(value[:, None] * base.astype(np.float32), dtype=np.float32)
    if rng.random() < 0.1:
        _tint_cycle_lane(colours, ground, street, rng)
    return colours


def _wheel_tracks(ground: Patch, street: Street) -> Field:
    """Two bands in each lane that tyres polished, and oil between them."""
    width = street.lanes[0].width
    inside = (ground.offset - np.float32(street.lanes[0].offset) + width / 2) % width - width / 2
    tracks = np.exp(-(((np.abs(inside) - 0.78) / 0.3) ** 2))
    oil = np.exp(-((inside / 0.35) ** 2))
    on_lanes = np.abs(ground.offset) < street.carriage
    gutter = np.clip(1 - np.minimum(street.kerb(1) - ground.offset, street.kerb(-1) + ground.offset) / 0.5, 0, 1)
    return np.asarray((1 - (0.06 * tracks + 0.04 * oil) * on_lanes) * (1 - 0.13 * gutter), dtype=np.float32)


def _repair(value: Field, ground: Patch, street: Street, rng: np.random.Generator) -> None:
    """Darker or lighter rectangles with sealed edges."""
    for _ in range(int(rng.poisson(2.5))):
        offset, near = rng.uniform(-street.kerb(-1), street.kerb(1)), rng.uniform(3, 40)
        half, long = rng.uniform(0.3, 1.3), rng.uniform(0.8, 14)
        sideways = np.abs(ground.offset - np.float32(offset)) - half
        inside = (sideways < 0) & (ground.ahead > near) & (ground.ahead < near + long)
        value[inside] *= rng.uniform(0.8, 1.08)
        value[inside & (sideways > -0.05 - ground.wide)] *= 0.82


def _draw_manholes(value: Field, ground: Patch, street: Street, rng: np.random.Generator) -> None:
    for _ in range(int(rng.poisson(1.5))):
        offset, ahead = rng.uniform(-street.carriage, street.carriage), rng.uniform(4, 30)
        away = np.hypot(ground.offset - np.float32(offset), ground.ahead - np.float32(ahead))
        inside = away < 0.33
        stripes = np.where((ground.offset[inside] * 16).astype(int) % 2 == 0, 0.62, 0.74)
        value[inside] = np.where(away[inside] > 0.27, 0.45, stripes)


def _tint_cycle_lane(colours: Field, ground: Patch, street: Street, rng: np.random.Generator) -> None:
    sign, tint = int(rng.choice([-1, 1])), ((1.2, 0.82, 0.74), (0.78, 1.02, 0.86))[int(rng.integers(2))]
    edge = street.carriage - 1.5
    inside = (ground.offset * sign > edge) & (ground.offset * sign < street.carriage)
    colours[inside] *= np.array(tint, np.float32)


def paint_paving(ground: Patch, bricks: bool, rng: np.random.Generator) -> Field:
    """(N, 3) slabs or small bricks, with joints that fade out with the distance."""
    base = np.array([150, 146, 140], np.float32) * rng.uniform(0.85, 1.15)
    if bricks:
        base = np.array([158, 118, 100], np.float32) * rng.uniform(0.85, 1.1)
    across, along = (0.2, 0.1) if bricks else (0.6, float(rng.choice([0.6, 0.9])))
    column, row = ground.offset / np.float32(across), ground.ahead / np.float32(along)
    column = column + np.float32(0.5) * (np.floor(row) % 2)
    tone = sample(tile(0.0), np.floor(column), np.floor(row)) * np.clip(across * 0.4 / ground.wide - 1, 0, 1)
    stains = sample_smooth(tile(1.4), ground.offset * 12, ground.ahead * 12)
    value = 1 + 0.05 * np.clip(tone, -2, 2) * np.clip(along * 0.5 / ground.long, 0, 1) + 0.05 * stains
    value *= 1 - 0.3 * _joint(column * np.float32(across), across, ground.wide)
    value *= 1 - 0.3 * _joint(row * np.float32(along), along, ground.long)
    gum = sample(tile(0.0), ground.offset * 26, ground.ahead * 26) > 3.0
    value *= 1 - 0.25 * gum * (ground.long < 0.04)
    return np.asarray(value[:, None] * base.astype(np.float32), dtype=np.float32)


def _joint(position: Field, period: float, size: Field) -> Field:
    """How much of a pixel a joint of 12 mm takes that comes back every period."""
    inside = np.abs((position + np.float32(period / 2)) % np.float32(period) - np.float32(period / 2))
    half = np.maximum(np.float32(0.012), size) / 2
    return np.asarray(np.clip((half + size / 2 - inside) / size, 0, 1) * np.sqrt(np.minimum(1, 0.012 / size)))


def paint_curb(ground: Patch, beyond: Field) -> Field:
    """(N, 3) the face of the curb, in its own shade, then the stone's top; beyond: metres from the curb's edge."""
    stones = 1 - 0.25 * _joint(ground.ahead, 0.9, ground.long)
    face = np.clip((0.1 - beyond) / np.maximum(ground.wide, 0.02) + 0.5, 0, 1)
    value = (172 - 84 * face) * stones * (1 + 0.06 * sample(tile(0.6), ground.offset * 60, ground.ahead * 30))
    return np.asarray(value[:, None] * np.array([1.0, 0.99, 0.96], np.float32), dtype=np.float32)


def paint_grass(ground: Patch, rng: np.random.Generator) -> Field:
    """(N, 3)"""
    fresh = rng.uniform(0, 1)
    base = np.array([104 - 20 * fresh, 118 + 6 * fresh, 66 - 6 * fresh], np.float32)
    blades = sample(tile(0.5), ground.offset * 60, ground.ahead * 24) * np.clip(0.05 / ground.long, 0.1, 1)
    patches = sample_smooth(tile(1.5), ground.offset * 8, ground.ahead * 8)
    value = 1 + 0.17 * blades + 0.1 * patches
    dry = np.clip(patches - 0.8, 0, 1)[:, None] * np.array([44, 22, 10], np.float32)
    return np.asarray(value[:, None] * base + dry, dtype=np.float32)
