"""Houses: boxes along the street with textured faces, roofs and chimneys."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from data.scenes.camera import Points
from data.scenes.canvas import Colour
from data.scenes.facades import FacadeStyle, Wall, choose_style, finish, paint_facade
from data.scenes.ids import BUILDING
from data.scenes.stage import Shadow, Stage
from data.scenes.street import Street

FIRST_VISIBLE_M = 3.0
ROOFS: tuple[Colour, ...] = ((104, 66, 54), (78, 76, 80), (92, 84, 78), (62, 64, 70), (128, 84, 62))


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

    @property
    def depth(self) -> float:
        return self.far


def choose_row(rng: np.random.Generator, street: Street, sign: int) -> list[Building]:
    """Buildings along one side, from near to far."""
    row: list[Building] = []
    z = rng.uniform(-6, 4)
    dense = {"high street": 0.97, "downtown": 0.93, "avenue": 0.85, "residential": 0.75, "park": 0.28}[street.kind]
    while z < 190:
        width = rng.uniform(6, 12) if street.kind in ("high street", "residential") else rng.uniform(10, 24)
        if street.junction is not None and street.in_junction(z, z + width, 1.5):
            z = max(z + 1.0, street.junction[1] + 1.5) if z > street.junction[0] - 4.5 else z
            width = street.junction[0] - 1.5 - z if z < street.junction[0] else width
        if rng.random() < dense and width > 2.5:
            row.append(_choose_building(rng, street, sign, (z, z + width)))
        gap = (
            rng.uniform(2.5, 6) if street.kind == "residential" else (rng.uniform(2, 5) if rng.random() < 0.1 else 0.0)
        )
        z += max(width, 1.0) + gap
    return row


def _choose_building(rng: np.random.Generator, street: Street, sign: int, span: tuple[float, float]) -> Building:
    style = choose_style(rng, street.kind)
    pitched = rng.random() < {"downtown": 0.05, "avenue": 0.4}.get(street.kind, 0.75) and style.storeys < 5
    return Building(
        sign=sign,
        offset=street.building_line(sign) + float(abs(rng.normal(0, 0.25)) if street.kind != "high street" else 0.0),
        near=span[0],
        far=span[1],
        deep=float(rng.uniform(8, 14)),
        style=style,
        roof=ROOFS[rng.integers(len(ROOFS))],
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
    if building.near > FIRST_VISIBLE_M:
        _draw_end(stage, building, rng)
    if building.pitched:
        _draw_roof(stage, building)
    _draw_front(stage, building, rng)


def _draw_front(stage: Stage, building: Building, rng: np.random.Generator) -> None:
    near, far = building.near, building.far
    first = max(near, FIRST_VISIBLE_M)
    visible = max(first, building.offset * 0.9)
    up = float(np.clip(stage.camera.pixels_per_metre(visible), 3, 56))
    across = float(np.clip(up * min(1.0, 1.3 * building.offset / visible), 2, 56))
    wall = paint_facade(building.style, far - near, (across, up), rng)
    normal = (-float(building.sign), 0.0, 0.0)
    texture = finish(wall, stage.mood, normal, (visible + far) / 2, rng)
    cut = (first - near) / (far - near) * texture.width
    if cut >= 1:
        texture = texture.crop((round(cut), 0, texture.width, texture.height))
    _hang(stage, texture, _face(stage.street, building, (first, far)))


def _face(street: Street, building: Building, span: tuple[float, float]) -> Points:
    """Top left, top right, bottom right, bottom left; the texture's left edge is the near one."""
    x, top = building.sign * building.offset, building.style.height
    near, far = span
    return np.array([street.at(x, near, top), street.at(x, far, top), street.at(x, far), street.at(x, near)])


def _draw_end(stage: Stage, building: Building, rng: np.random.Generator) -> None:
    """The face towards the camera: a wall with few windows."""
    z, sign = building.near, building.sign
    style = building.style
    scale = float(np.clip(stage.camera.pixels_per_metre(z), 3, 40))
    size = (max(4, round(building.deep * scale)), max(4, round(style.height * scale)))
    blank = Image.new("RGB", size, tuple(int(c * 0.94) for c in style.wall))
    wall = Wall(blank, style.height, scale, scale)
    if style.storeys > 2 or rng.random() < 0.5:
        wall = paint_facade(style, building.deep, (scale, scale), rng)
    texture = finish(wall, stage.mood, (0.0, 0.0, -1.0), z, rng)
    inner, outer = sign * building.offset, sign * (building.offset + building.deep)
    street, top = stage.street, style.height
    corners = np.array([street.at(inner, z, top), street.at(outer, z, top), street.at(outer, z), street.at(inner, z)])
    _hang(stage, texture, corners)
    if building.pitched:
        ridge = street.at((inner + outer) / 2, z, top + building.pitched)
        colour = stage.mood.lit(style.wall, (0.0, 0.0, -1.0), z)
        stage.face(np.array([street.at(inner, z, top), ridge, street.at(outer, z, top)]), colour, BUILDING)


def _hang(stage: Stage, texture: Image.Image, corners: Points) -> None:
    positions, _ = stage.camera.project(corners)
    stage.canvas.textured(positions, texture, BUILDING)


def _draw_roof(stage: Stage, building: Building) -> None:
    street, sign, top = stage.street, building.sign, building.style.height
    near, far = max(building.near, FIRST_VISIBLE_M), building.far
    eaves, ridge = sign * (building.offset - 0.3), sign * (building.offset + building.deep / 2)
    high = top + building.pitched
    slope = np.array(
        [
            street.at(eaves, near, top),
            street.at(ridge, near, high),
            street.at(ridge, far, high),
            street.at(eaves, far, top),
        ]
    )
    normal = np.array([-sign * building.pitched, building.deep / 2, 0.0])
    unit = tuple((normal / np.linalg.norm(normal)).tolist())
    if building.chimney:
        _draw_chimney(stage, building, high)
    stage.face(slope, stage.mood.lit(building.roof, unit, near), BUILDING)


def _draw_chimney(stage: Stage, building: Building, high: float) -> None:
    street, sign = stage.street, building.sign
    x, z = sign * (building.offset + building.deep / 2 - 0.5), max(building.near, FIRST_VISIBLE_M) + 0.8
    for face, normal in (
        (((x, z), (x, z + 1.0)), (-float(sign), 0.0, 0.0)),
        (((x, z), (x + sign * 0.7, z)), (0.0, 0.0, -1.0)),
    ):
        (x0, z0), (x1, z1) = face
        corners = [
            street.at(x0, z0, high - 1),
            street.at(x1, z1, high - 1),
            street.at(x1, z1, high + 0.9),
            street.at(x0, z0, high + 0.9),
        ]
        stage.face(np.array(corners), stage.mood.lit((120, 78, 62), normal, z), BUILDING)
