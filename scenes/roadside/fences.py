"""What borders a garden or a park: walls, railings, wooden fences, hedges."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageFilter

from scenes.drawing.camera import Points
from scenes.drawing.canvas import Colour
from scenes.drawing.noise import TILE, tile
from scenes.drawing.stage import Shadow, Stage
from scenes.drawing.tones import BRICKS, STONES, pick, varied
from scenes.houses.walls import MIDDLE, bare_wall, in_light, tinted
from scenes.ids import FENCE, VEGETATION, WALL
from scenes.roadside.plants import shape
from scenes.street import Street

KINDS = ("wall", "hedge", "planks", "railing")
HEIGHTS = {"wall": (0.7, 2.2), "hedge": (0.8, 1.8), "planks": (1.2, 1.9), "railing": (0.9, 1.5)}
HEDGE_DEEP_M = 0.9
FIRST_VISIBLE_M = 2.5
LEAF_PIXELS_PER_METRE = 110


@dataclass(frozen=True, slots=True, kw_only=True)
class Border:
    """kind: one of KINDS; offset from the centre line with its sign."""

    kind: str
    offset: float
    near: float
    far: float
    height: float
    colour: Colour

    @property
    def sign(self) -> int:
        return 1 if self.offset > 0 else -1

    def middle(self, street: Street) -> tuple[float, float]:
        """X and Z."""
        z = (self.near + self.far) / 2
        return street.at(self.offset, z)[0], z


def choose_border(rng: np.random.Generator, kind: str, offset: float, span: tuple[float, float]) -> Border:
    colours: dict[str, Colour] = {
        "wall": pick(rng, (*BRICKS, *STONES)),
        "hedge": varied(rng, (72, 88, 52), 10),
        "planks": varied(rng, (122, 100, 78), 18),
        "railing": varied(rng, (40, 44, 44), 8),
    }
    height = float(rng.uniform(*HEIGHTS[kind]))
    return Border(kind=kind, offset=offset, near=span[0], far=span[1], height=height, colour=colours[kind])


def shadow_of(border: Border, street: Street) -> Shadow:
    deep = (HEDGE_DEEP_M if border.kind == "hedge" else 0.15) * border.sign
    outline = street.strip_outline(border.offset, border.offset + deep, max(border.near, -15), border.far)
    return Shadow(outline[:, [0, 2]], border.height)


def draw_border(stage: Stage, border: Border) -> None:
    near = max(border.near, FIRST_VISIBLE_M)
    if border.far < near + 0.5:
        return
    if border.kind == "railing":
        _draw_railing(stage, border, near)
        return
    if border.kind == "hedge" and border.height < stage.camera.y:
        _draw_hedge_top(stage, border, near)
    label = {"wall": WALL, "hedge": VEGETATION, "planks": FENCE}[border.kind]
    facing = (-float(border.sign), 0.0, 0.0)
    texture = in_light(_texture(stage, border, near), stage.mood, facing, (near + border.far) / 2)
    _hang(stage, texture, _upright(stage.street, border, near), label)


def _upright(street: Street, border: Border, near: float) -> Points:
    high, far = border.height, border.far
    return np.array([street.at(border.offset, z, y) for z, y in ((near, high), (far, high), (far, 0.0), (near, 0.0))])


def _hang(stage: Stage, texture: Image.Image, corners: Points, label: int) -> None:
    positions, _ = stage.camera.project(corners)
    stage.canvas.textured(positions, texture, label)


def _texture(stage: Stage, border: Border, near: float) -> Image.Image:
    scale = float(np.clip(stage.camera.pixels_per_metre(max(near, abs(border.offset))), 6, 60))
    metres = (border.far - near, border.height)
    if border.kind == "hedge":
        return _leaves(border.colour, metres, scale)
    if border.kind == "planks":
        return _planks(border.colour, metres, scale)
    rng = np.random.Generator(np.random.PCG64(int(abs(border.near * 97 + border.offset * 13))))
    wall = bare_wall(border.colour, metres, (scale, scale), rng, brick=True)
    wall.rectangle((0, border.height - 0.12, metres[0], border.height), (176, 170, 160))
    wall.rectangle((0, border.height - 0.15, metres[0], border.height - 0.12), (84, 78, 72))
    return wall.image


def _leaves(colour: Colour, metres: tuple[float, float], scale: float) -> Image.Image:
    source = _leaf_tile()
    start = round(colour[0] * 97) % source.width  # two hedges rarely look the same
    wide, tall = (max(2, round(side * LEAF_PIXELS_PER_METRE)) for side in metres)
    grey = Image.new("L", (wide, tall))
    for left in range(-start, grey.width, source.width):
        for top in range(0, grey.height, source.height):
            grey.paste(source, (left, top))
    size = (max(4, round(metres[0] * scale)), max(4, round(metres[1] * scale)))
    return tinted(grey.resize(size, Image.Resampling.BOX), colour)


@cache
def _leaf_tile() -> Image.Image:
    """Pieces from the middles of crowns, laid over one another with soft edges; it repeats without a seam."""
    rng = np.random.Generator(np.random.PCG64(TILE))
    wide, tall, size = 660, 330, 110
    whole = Image.new("L", (wide, tall), 60)
    soft = Image.new("L", (size, size))
    soft.paste(255, (14, 14, size - 14, size - 14))
    soft = soft.filter(ImageFilter.GaussianBlur(7))
    for _ in range(140):
        crown = shape("leafy", int(rng.integers(4))).leaves
        x, y = crown.width // 2 + int(rng.integers(-70, 20)), crown.height // 3 + int(rng.integers(-70, 20))
        part = crown.crop((x, y, x + size, y + size)).point([min(255, 36 + value) for value in range(256)])
        left, top = int(rng.integers(wide)), int(rng.integers(tall))
        for shift_x in (0, -wide):
            for shift_y in (0, -tall):
                whole.paste(part, (left + shift_x, top + shift_y), soft)
    return whole


def _planks(colour: Colour, metres: tuple[float, float], scale: float) -> Image.Image:
    rows = np.arange(max(4, round(metres[1] * scale)), dtype=np.float32)[:, None] / scale
    columns = np.arange(max(4, round(metres[0] * scale)), dtype=np.float32)[None, :] / scale
    plank = np.floor(columns / 0.14).astype(int) % TILE
    grain = tile(1.3)[(rows * 8).astype(int) % TILE, (columns * 60).astype(int) % TILE]
    value = 1 + 0.06 * grain + 0.07 * tile(0.0)[plank * 0, plank] - 0.35 * (columns % 0.14 < 0.018)
    value = value - 0.2 * (np.abs(rows - 0.35) < 0.02) - 0.15 * np.clip(rows - metres[1] + 0.3, 0, 1)
    return tinted(Image.fromarray(np.clip(value * MIDDLE, 0, 255).astype(np.uint8)), colour)


def _draw_hedge_top(stage: Stage, border: Border, near: float) -> None:
    street, far, high = stage.street, border.far, border.height
    edges = (border.offset + border.sign * HEDGE_DEEP_M, border.offset)
    corners = [street.at(edges[0], near, high), street.at(edges[0], far, high), street.at(edges[1], far, high)]
    corners.append(street.at(edges[1], near, high))
    texture = _leaves(border.colour, (far - near, HEDGE_DEEP_M), 20)
    lit = in_light(texture, stage.mood, (0.0, 1.0, 0.0), (near + far) / 2)
    _hang(stage, lit, np.array(corners), VEGETATION)


def _draw_railing(stage: Stage, border: Border, near: float) -> None:
    """Bars and rails; for the label map the whole area is fence, as in hand-made labels."""
    street, high, canvas = stage.street, border.height, stage.canvas
    corners, _ = stage.camera.project(_upright(street, border, near))
    canvas.mark(corners, FENCE)
    colour = stage.mood.lit(border.colour, (0.0, 0.3, -0.95), near)
    places = np.arange(near, border.far, 0.14 if near < 25 else 0.5)
    feet = np.array([street.at(border.offset, z) for z in places.tolist()])
    low, depths = stage.camera.project(feet)
    top, _ = stage.camera.project(feet + np.array([0.0, high, 0.0]))
    for foot, head, depth in zip(low.tolist(), top.tolist(), depths.tolist(), strict=True):
        width = stage.camera.pixels_per_metre(depth) * 0.022
        canvas.line([(foot[0], foot[1]), (head[0], head[1])], width, colour, None)
    for share in (0.1, 1.0):
        rail = [(a + (b - a) * share).tolist() for a, b in ((low[0], top[0]), (low[-1], top[-1]))]
        width = stage.camera.pixels_per_metre(float(depths.mean())) * 0.05
        canvas.line([(x, y) for x, y in rail], width, colour, None)
