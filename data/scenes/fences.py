"""What borders a garden or a park: walls, railings, wooden fences, hedges."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from data.scenes.canvas import Colour
from data.scenes.ids import FENCE, VEGETATION, WALL
from data.scenes.noise import TILE, tile
from data.scenes.stage import Shadow, Stage
from data.scenes.street import Street
from data.scenes.tones import BRICKS, STONES


@dataclass(frozen=True, slots=True, kw_only=True)
class Border:
    """kind: "wall", "hedge", "planks" or "railing"; offset from the centre line with its sign."""

    kind: str
    offset: float
    near: float
    far: float
    height: float
    colour: Colour

    @property
    def depth(self) -> float:
        return self.far


def choose_border(rng: np.random.Generator, kind: str, offset: float, span: tuple[float, float]) -> Border:
    height = {
        "wall": rng.uniform(0.7, 2.2),
        "hedge": rng.uniform(0.9, 1.9),
        "planks": rng.uniform(1.2, 1.9),
        "railing": rng.uniform(0.9, 1.5),
    }
    masonry = (*BRICKS, *STONES)
    colour: Colour = {
        "wall": masonry[rng.integers(len(masonry))],
        "hedge": (58 + rng.uniform(-8, 24), 84 + rng.uniform(-6, 14), 42),
        "planks": (126 + rng.uniform(-30, 30), 100 + rng.uniform(-20, 20), 76),
        "railing": (36, 40, 40),
    }[kind]
    return Border(kind=kind, offset=offset, near=span[0], far=span[1], height=float(height[kind]), colour=colour)


def shadow_of(border: Border, street: Street) -> Shadow:
    thick = 0.9 if border.kind == "hedge" else 0.15
    outline = street.strip_outline(
        border.offset - thick / 2, border.offset + thick / 2, max(border.near, -15), border.far
    )
    return Shadow(outline[:, [0, 2]], border.height)


def draw_border(stage: Stage, border: Border) -> None:
    near = max(border.near, 2.5)
    if border.far < near + 0.5:
        return
    label = {"wall": WALL, "hedge": VEGETATION}.get(border.kind, FENCE)
    street, high = stage.street, border.height
    sign = 1 if border.offset > 0 else -1
    if border.kind == "hedge":
        _draw_top(stage, border, near, sign)
    if border.kind == "railing":
        _draw_railing(stage, border, near)
        return
    corners = np.array(
        [street.at(border.offset, z, y) for z, y in ((near, high), (border.far, high), (border.far, 0), (near, 0))]
    )
    texture = _lit(stage, border, _texture(stage, border, near), near)
    positions, _ = stage.camera.project(corners)
    stage.canvas.textured(positions, texture, label)


def _texture(stage: Stage, border: Border, near: float) -> Image.Image:
    scale = float(np.clip(stage.camera.pixels_per_metre(max(near, abs(border.offset))), 6, 60))
    rows = (np.arange(max(4, round(border.height * scale)), dtype=np.float32) / scale)[:, None]
    columns = (np.arange(max(4, round((border.far - near) * scale)), dtype=np.float32) / scale)[None, :]
    value = 1 + 0.07 * _lookup(1.3, rows * 20, columns * 20)
    if border.kind == "wall":
        course = np.floor(rows / 0.15)
        shifted = columns + 0.2 * (course % 2)
        value = (
            value
            + 0.1 * _lookup(0.0, course, np.floor(shifted / 0.4))
            - 0.18 * ((rows % 0.15 < 0.02) | (shifted % 0.4 < 0.02))
        )
        value = np.where(rows < 0.12, 1.12, value)
    elif border.kind == "planks":
        value = value + 0.08 * _lookup(0.0, rows * 0, np.floor(columns / 0.14)) - 0.35 * (columns % 0.14 < 0.018)
    else:
        value = value + 0.24 * _lookup(0.35, rows * 26, columns * 26) - 0.25 * rows / border.height
    return Image.fromarray(np.clip(value[..., None] * np.array(border.colour, np.float32), 0, 255).astype(np.uint8))


def _lookup(exponent: float, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    return tile(exponent)[rows.astype(int) % TILE, columns.astype(int) % TILE]


def _lit(stage: Stage, border: Border, texture: Image.Image, near: float) -> Image.Image:
    sign = 1.0 if border.offset > 0 else -1.0
    factor = stage.mood.light(np.array([-sign, 0.0, 0.0]))
    share = stage.mood.haze_share((near + border.far) / 2)
    table: list[int] = []
    for light, haze in zip(factor.tolist(), stage.mood.haze, strict=True):
        table += [min(255, int(value * light * (1 - share) + haze * share)) for value in range(256)]
    return texture.point(table)


def _draw_top(stage: Stage, border: Border, near: float, sign: int) -> None:
    street = stage.street
    corners = [
        street.at(border.offset + sign * shift, z, border.height)
        for shift, z in ((0, near), (0.9, near), (0.9, border.far), (0, border.far))
    ]
    stage.face(np.array(corners), stage.mood.lit(border.colour, (0.0, 1.0, 0.0), near), VEGETATION)


def _draw_railing(stage: Stage, border: Border, near: float) -> None:
    """Bars and rails; for the label map the whole area is fence, as in hand-made labels."""
    street, high = stage.street, border.height
    outline = np.array(
        [street.at(border.offset, z, y) for z, y in ((near, high), (border.far, high), (border.far, 0), (near, 0))]
    )
    positions, _ = stage.camera.project(outline)
    marks = stage.canvas
    colour = stage.mood.lit(border.colour, (0.0, 0.3, -0.95), near)
    marks.mark(positions, FENCE)
    step = 0.14 if near < 25 else 0.5
    for z in np.arange(near, border.far, step).tolist():
        ends, depths = stage.camera.project(
            np.array([street.at(border.offset, z, 0.0), street.at(border.offset, z, high)])
        )
        width = stage.camera.pixels_per_metre(float(depths[0])) * 0.022
        marks.line([(x, y) for x, y in ends.tolist()], width, colour, None)
    for y in (0.12, high):
        ends, depths = stage.camera.project(
            np.array([street.at(border.offset, near, y), street.at(border.offset, border.far, y)])
        )
        marks.line(
            [(a, b) for a, b in ends.tolist()], stage.camera.pixels_per_metre(float(depths.mean())) * 0.05, colour, None
        )
