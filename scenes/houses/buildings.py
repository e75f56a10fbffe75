"""Houses: boxes along the street with textured faces, roofs and chimneys."""

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from scenes.drawing.camera import Points
from scenes.drawing.canvas import Colour
from scenes.drawing.stage import Shadow, Stage
from scenes.drawing.tones import pick, scaled
from scenes.houses.facades import FacadeStyle, choose_style, paint_facade
from scenes.houses.walls import Wall, bare_wall, finish, in_light, roof_tile
from scenes.ids import BUILDING
from scenes.street import Street

FIRST_VISIBLE_M = 3.0
LAST_M = 190.0
ROOFS: tuple[Colour, ...] = ((112, 72, 58), (84, 82, 86), (96, 88, 82), (68, 70, 76), (132, 88, 66))
DENSITY = {"high street": 0.97, "downtown": 0.93, "avenue": 0.85, "residential": 0.75, "park": 0.28}


@dataclass(frozen=True, slots=True, kw_only=True)
class Building:
    sign: int  # side of the street
    offset: float  # of the street face from the centre line, without sign
    near: float
    far: float
    deep: float  # away from the street
    style: FacadeStyle
    roof: Colour
    pitched: float  # rise of the roof, 0 for a flat one
    chimney: bool
    seed: int
    end_from: float = 0.0  # the end towards the camera is hidden up to this height, by a neighbour

    @property
    def top(self) -> float:
        return self.style.height + self.pitched

    def middle(self, street: Street) -> tuple[float, float]:
        """X and Z, somewhat behind the street face."""
        z = (self.near + self.far) / 2
        return street.at(self.sign * (self.offset + 5.0), z)[0], z


def choose_row(rng: np.random.Generator, street: Street, sign: int) -> list[Building]:
    """Buildings along one side, from near to far."""
    row: list[Building] = []
    z = rng.uniform(-6, 4)
    while z < LAST_M:
        narrow = street.kind in ("high street", "residential")
        end = z + (rng.uniform(6, 12) if narrow else rng.uniform(10, 24))
        if street.junction is not None and street.in_junction(z, end, 1.5):
            end = min(end, street.junction[0] - 1.5)
        if end - z > 2.5 and rng.random() < DENSITY[street.kind]:
            house = _choose_building(rng, street, sign, (z, end))
            before = row[-1] if row else None
            joined = before is not None and z - before.far < 0.1 and street.curve * sign < 2e-4
            row.append(replace(house, end_from=before.style.height - 0.3) if joined and before else house)
        elif street.junction is not None and end - z <= 2.5:
            end = street.junction[1] + 1.5
        gap = rng.uniform(2.5, 6) if street.kind == "residential" else rng.uniform(2, 5) * (rng.random() < 0.1)
        z = max(end, z + 1) + gap
    return row


def _choose_building(rng: np.random.Generator, street: Street, sign: int, span: tuple[float, float]) -> Building:
    style = choose_style(rng, street.kind)
    pitch_share = {"downtown": 0.05, "avenue": 0.4}.get(street.kind, 0.75)
    pitched = style.storeys < 5 and style.upper == "windows" and rng.random() < pitch_share
    setback = 0.0 if street.kind == "high street" else float(abs(rng.normal(0, 0.25)))
    return Building(
        sign=sign,
        offset=street.building_line(sign) + setback,
        near=span[0],
        far=span[1],
        deep=float(rng.uniform(8, 14)),
        style=style,
        roof=pick(rng, ROOFS),
        pitched=float(rng.uniform(1.8, 3.4)) if pitched else 0.0,
        chimney=bool(pitched and rng.random() < 0.6),
        seed=int(rng.integers(2**31)),
    )


def shadow_of(building: Building, street: Street) -> Shadow:
    inner, outer = building.sign * building.offset, building.sign * (building.offset + building.deep)
    outline = street.strip_outline(inner, outer, max(building.near, -20), building.far)[:, [0, 2]]
    return Shadow(outline, building.style.height + building.pitched * 0.5)


def draw_building(stage: Stage, building: Building) -> None:
    if building.far < FIRST_VISIBLE_M + 1:
        return
    rng = np.random.Generator(np.random.PCG64(building.seed))
    if building.near > FIRST_VISIBLE_M and building.top > building.end_from:
        _draw_end(stage, building, rng)
    if building.pitched:
        _draw_roof(stage, building)
    _draw_front(stage, building, rng)


def _draw_front(stage: Stage, building: Building, rng: np.random.Generator) -> None:
    near, far = building.near, building.far
    first = max(near, FIRST_VISIBLE_M)
    visible = max(first, building.offset * 0.9)
    up = float(np.clip(stage.camera.pixels_per_metre(visible) * 0.8, 3, 46))
    across = float(np.clip(up * min(1.0, 1.3 * building.offset / visible), 2, 46))
    style = _visible_part(stage, building.style, far)
    wall = paint_facade(style, far - near, (across, up), rng)
    texture = finish(wall, stage.mood, (-float(building.sign), 0.0, 0.0), (visible + far) / 2, rng)
    if building.sign < 0:  # the texture's left edge is the far one, so that letters read the right way round
        texture = texture.crop((round((first - near) / (far - near) * texture.width), 0, texture.width, texture.height))
    else:
        texture = texture.crop((0, 0, round((far - first) / (far - near) * texture.width), texture.height))
    ends = (first, far) if building.sign < 0 else (far, first)
    x, top, street = building.sign * building.offset, style.height, stage.street
    corners = [street.at(x, ends[0], top), street.at(x, ends[1], top), street.at(x, ends[1]), street.at(x, ends[0])]
    _hang(stage, texture, np.array(corners))


def _visible_part(stage: Stage, style: FacadeStyle, far: float) -> FacadeStyle:
    """Without the storeys that lie above the picture's edge."""
    seen = int((stage.camera.highest_seen(far) - style.ground_m) / style.storey_m) + 3
    return style if seen >= style.storeys else replace(style, storeys=max(2, seen))


def _draw_end(stage: Stage, building: Building, rng: np.random.Generator) -> None:
    """The face towards the camera: with windows, or a blind wall, above what a neighbour hides."""
    z, sign, low = building.near, building.sign, building.end_from
    style, normal, street = _visible_part(stage, building.style, z), (0.0, 0.0, -1.0), stage.street
    left, right = sorted((sign * building.offset, sign * (building.offset + building.deep)))
    top = style.height
    if top - low > 0.1:
        wall = _end_wall(stage, building, style, rng)
        texture = finish(wall, stage.mood, normal, z, rng)
        corners = [street.at(left, z, top), street.at(right, z, top), street.at(right, z, low), street.at(left, z, low)]
        _hang(stage, texture, np.array(corners))
    if building.pitched:
        ridge = street.at((left + right) / 2, z, top + building.pitched)
        gable = np.array([street.at(left, z, top), ridge, street.at(right, z, top)])
        stage.face(gable, stage.mood.lit(scaled(style.wall, 0.97), normal, z), BUILDING)


def _end_wall(stage: Stage, building: Building, style: FacadeStyle, rng: np.random.Generator) -> Wall:
    scale = float(np.clip(stage.camera.pixels_per_metre(building.near) * 0.8, 3, 34))
    windows = building.end_from == 0 and rng.random() < (0.8 if building.style.storeys > 4 else 0.35)
    if windows:
        return paint_facade(style, building.deep, (scale, scale), rng)
    metres = (building.deep, style.height - building.end_from)
    return bare_wall(scaled(style.wall, 0.95), metres, (scale, scale), rng, brick=style.brick)


def _hang(stage: Stage, texture: Image.Image, corners: Points) -> None:
    positions, _ = stage.camera.project(corners)
    stage.canvas.textured(positions, texture, BUILDING)


def _draw_roof(stage: Stage, building: Building) -> None:
    street, sign, top = stage.street, building.sign, building.style.height
    near, far = max(building.near, FIRST_VISIBLE_M), building.far
    eaves, ridge = sign * (building.offset - 0.3), sign * (building.offset + building.deep / 2)
    high = top + building.pitched
    slope = [
        street.at(ridge, near, high),
        street.at(ridge, far, high),
        street.at(eaves, far, top),
        street.at(eaves, near, top),
    ]
    normal = np.array([-sign * building.pitched, building.deep / 2, 0.0])
    unit = tuple((normal / np.linalg.norm(normal)).tolist())
    if building.chimney:
        _draw_chimney(stage, building, high)
    texture = roof_tile(building.roof, (far - near, building.deep / 2 + 0.3), stage.camera.pixels_per_metre(near))
    _hang(stage, in_light(texture, stage.mood, unit, (near + far) / 2), np.array(slope))
    eaves_line = [
        street.at(eaves, near, top),
        street.at(eaves, far, top),
        street.at(eaves, far, top - 0.16),
        street.at(eaves, near, top - 0.16),
    ]
    stage.face(np.array(eaves_line), stage.mood.lit((92, 90, 88), (-float(sign), 0.0, 0.0), near), BUILDING)


def _draw_chimney(stage: Stage, building: Building, high: float) -> None:
    street, sign = stage.street, building.sign
    inner, outer = (sign * (building.offset + building.deep / 2 + shift) for shift in (-0.5, 0.3))
    near = max(building.near, FIRST_VISIBLE_M) + 0.4
    low, top = high - 1.2, high + 0.9
    side = [
        street.at(inner, near, low),
        street.at(inner, near + 1.3, low),
        street.at(inner, near + 1.3, top),
        street.at(inner, near, top),
    ]
    front = [
        street.at(inner, near, low),
        street.at(outer, near, low),
        street.at(outer, near, top),
        street.at(inner, near, top),
    ]
    stage.face(np.array(side), stage.mood.lit((124, 84, 68), (-float(sign), 0.0, 0.0), near), BUILDING)
    stage.face(np.array(front), stage.mood.lit((124, 84, 68), (0.0, 0.0, -1.0), near), BUILDING)
    middle = (inner + outer) / 2
    for z in (near + 0.25, near + 0.7):
        pot = [
            street.at(middle - 0.13, z, top),
            street.at(middle + 0.13, z, top),
            street.at(middle + 0.1, z, top + 0.4),
            street.at(middle - 0.1, z, top + 0.4),
        ]
        stage.face(np.array(pot), stage.mood.lit((156, 96, 70), (0.0, 0.0, -1.0), near), BUILDING)
