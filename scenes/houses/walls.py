"""Flat textures in metres: bare masonry, and the wall that windows, doors and shops are painted on."""

from dataclasses import dataclass, field
from functools import cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from scenes.drawing.canvas import Colour, rounded
from scenes.drawing.noise import TILE, tile
from scenes.mood import Mood

Rectangle = tuple[float, float, float, float]
MIDDLE = 128  # the grey that stands for a surface's own colour
BRICK_SCALES = (56, 28, 14)
SHOP_SILL_M = 1.0  # windows that start lower are shop windows
BRICK_TILE_M = (5.28, 4.5)  # whole numbers of bricks and courses


@dataclass(slots=True)
class Wall:
    """A texture in metres: x from the left, y up from the ground."""

    image: Image.Image
    height: float
    across: float  # texture pixels per metre
    up: float
    lamps: list[Rectangle] = field(default_factory=list)  # windows that may be lit
    _draw: ImageDraw.ImageDraw = field(init=False)

    def __post_init__(self) -> None:
        self._draw = ImageDraw.Draw(self.image)

    def rectangle(self, area: Rectangle, colour: Colour) -> None:
        """area: left, bottom, right, top."""
        left, bottom, right, top = area
        x, y = left * self.across, (self.height - top) * self.up
        box = (x, y, max(x, right * self.across - 0.5), max(y, (self.height - bottom) * self.up - 0.5))
        self._draw.rectangle(box, fill=rounded(colour))

    def shape(self, points: list[tuple[float, float]], colour: Colour) -> None:
        flat = [(x * self.across, (self.height - y) * self.up) for x, y in points]
        self._draw.polygon(flat, fill=rounded(colour))

    def arch(self, area: Rectangle, colour: Colour) -> None:
        """The upper half of an ellipse, standing on the area's bottom."""
        left, bottom, right, top = area
        box = (
            left * self.across,
            (self.height - top) * self.up,
            right * self.across,
            (self.height - 2 * bottom + top) * self.up,
        )
        self._draw.pieslice(box, 180, 360, fill=rounded(colour))

    def repeat(self, bottom: float, tall: float, times: int) -> None:
        """Copy a strip, `tall` metres from `bottom` up, right above itself, `times` times."""
        high, low = round((self.height - bottom - tall) * self.up), round((self.height - bottom) * self.up)
        strip = self.image.crop((0, high, self.image.width, low))
        below = [area for area in self.lamps if area[1] >= bottom]
        for step in range(1, times + 1):
            self.image.paste(strip, (0, round((self.height - bottom - tall * (step + 1)) * self.up)))
            rise = tall * step
            self.lamps += [(left, low + rise, right, high + rise) for left, low, right, high in below]

    def shows(self, metres: float) -> bool:
        """Whether a detail of this size is worth a drawing."""
        return metres * max(self.across, self.up) >= 0.7


def bare_wall(
    colour: Colour, metres: tuple[float, float], scale: tuple[float, float], rng: np.random.Generator, *, brick: bool
) -> Wall:
    """metres: width and height; scale: texture pixels per metre, across and up."""
    width, height = metres
    size = (max(4, round(width * scale[0])), max(4, round(height * scale[1])))
    grey = _stained(size, rng)
    if brick and scale[1] > 8:
        grey = ImageChops.multiply(
            grey, _bricks(metres, scale[1]).resize(size, Image.Resampling.BILINEAR, reducing_gap=2)
        )
        grey = grey.point([min(255, value * 2) for value in range(256)])
    grey = ImageChops.multiply(
        grey, _weathering(round(height, 1)).resize((1, size[1])).resize(size, Image.Resampling.NEAREST)
    )
    return Wall(tinted(grey, colour), height, size[0] / width, size[1] / height)


def tinted(grey: Image.Image, colour: Colour) -> Image.Image:
    """A grey picture in a colour; MIDDLE becomes the colour itself."""
    ramp = np.arange(256)[:, None] * (np.array(colour) / MIDDLE)
    grey.putpalette(np.minimum(ramp, 255).astype(np.uint8).tobytes())
    return grey.convert("RGB")


def _stained(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Soft stains, a few metres wide."""
    left, top = rng.integers(0, TILE // 2, 2).tolist()
    across, down = rng.integers(TILE // 8, TILE // 2, 2).tolist()
    return _stain_tile().resize(size, Image.Resampling.BILINEAR, box=(left, top, left + across, top + down))


@cache
def _stain_tile() -> Image.Image:
    value = MIDDLE * (1 + 0.055 * tile(1.4) + 0.02 * tile(0.2))
    return Image.fromarray(np.clip(value, 0, 255).astype(np.uint8))


@cache
def _weathering(height: float) -> Image.Image:
    """One column: dirt near the ground and in the shade under the eaves."""
    metres = np.linspace(height, 0, 128, dtype=np.float32)
    dirt = 0.2 * np.clip(1 - metres / 1.4, 0, 1) + 0.16 * np.clip(1 - (height - metres) / 0.9, 0, 1)
    return Image.fromarray((255 * (1 - dirt)).astype(np.uint8)[:, None])


def _bricks(metres: tuple[float, float], up: float) -> Image.Image:
    scale = next((s for s in reversed(BRICK_SCALES) if s >= up * 0.8), BRICK_SCALES[0])
    source = brick_tile(scale)
    grey = Image.new("L", (max(1, round(metres[0] * scale)), max(1, round(metres[1] * scale))))
    for left in range(0, grey.width, source.width):
        for top in range(0, grey.height, source.height):
            grey.paste(source, (left, top))
    return grey


@cache
def brick_tile(scale: int) -> Image.Image:
    """Grey bricks with joints that repeats without a seam; scale in pixels per metre."""
    width, height = (round(side * scale) for side in BRICK_TILE_M)
    rows = (np.arange(height, dtype=np.float32) + 0.5)[:, None] / height * BRICK_TILE_M[1]
    columns = (np.arange(width, dtype=np.float32) + 0.5)[None, :] / width * BRICK_TILE_M[0]
    course = np.floor(rows / 0.075)
    shifted = (columns + 0.11 * (course % 2)) % BRICK_TILE_M[0]
    tone = tile(0.0)[course.astype(int), np.floor(shifted / 0.22).astype(int)]
    joint = (rows % 0.075 < 0.013) | (shifted % 0.22 < 0.013)
    strength = min(1.0, scale / 40)
    value = 0.97 + strength * np.where(joint, 0.3, 0.1 * tone)
    return Image.fromarray(np.clip(value * MIDDLE, 0, 255).astype(np.uint8))


def roof_tile(colour: Colour, metres: tuple[float, float], pixels_per_metre: float) -> Image.Image:
    """Rows of roof tiles; metres: along the eaves and up the slope."""
    scale = float(np.clip(pixels_per_metre, 4, 24))
    grey = _roof_rows().crop((0, 0, max(1, round(metres[0] * 24)), max(1, round(metres[1] * 24))))
    grey = grey.resize((max(4, round(metres[0] * scale)), max(4, round(metres[1] * scale))), Image.Resampling.BOX)
    return tinted(grey, colour)


@cache
def _roof_rows() -> Image.Image:
    """24 pixels a metre, long enough for any house."""
    rows, columns = np.mgrid[0:240, 0:640].astype(np.float32) / 24
    course = np.floor(rows / 0.3)
    shifted = columns + 0.125 * (course % 2)
    value = 1 + 0.09 * tile(0.0)[course.astype(int) % TILE, np.floor(shifted / 0.25).astype(int) % TILE]
    value *= np.where(rows % 0.3 > 0.25, 0.72, 1.0) * np.where(shifted % 0.25 < 0.03, 0.86, 1.0)
    value *= 1 + 0.05 * tile(1.4)[:240, np.arange(640) % TILE]
    return Image.fromarray(np.clip(value * MIDDLE, 0, 255).astype(np.uint8))


def finish(
    wall: Wall, mood: Mood, normal: tuple[float, float, float], depth: float, rng: np.random.Generator
) -> Image.Image:
    """The texture in the scene's light and haze, with lamps on behind some windows when it is dark."""
    lit = Wall(in_light(wall.image, mood, normal, depth), wall.height, wall.across, wall.up)
    for area in wall.lamps if mood.lamps else ():
        at_street = area[1] < SHOP_SILL_M
        if rng.random() < 0.4 * mood.lamps + (0.4 if at_street else 0):
            _light_window(lit, area, mood, depth, rng)
    return lit.image


def _light_window(wall: Wall, area: Rectangle, mood: Mood, depth: float, rng: np.random.Generator) -> None:
    """Brighter towards the ceiling lamp, behind the same bars."""
    left, bottom, right, top = area
    warm, level = rng.uniform(0, 1), rng.uniform(0.6, 1.0) * (0.6 + 0.4 * mood.lamps)
    steps = 4 if wall.up > 8 else 1
    for step in range(steps):
        share = (step + 0.5) / steps
        glow = level * (0.72 + 0.36 * share)
        colour = (255 * glow, (196 + 26 * (1 - warm)) * glow, (118 + 70 * (1 - warm)) * glow)
        low, high = bottom + (top - bottom) * step / steps, bottom + (top - bottom) * (step + 1) / steps
        wall.rectangle((left, low, right, high), mood.hazed(colour, depth))
    dark = mood.hazed((74, 54, 40), depth)
    if bottom < SHOP_SILL_M and wall.across > 6:
        _furnish(wall, area, mood, depth, rng)
    count = max(2, round((right - left) / 1.7)) if bottom < SHOP_SILL_M else 2
    for index in range(1, count) if wall.across > 10 else ():
        middle = left + (right - left) * index / count
        wall.rectangle((middle - 0.03, bottom, middle + 0.03, top), dark)


def _furnish(wall: Wall, area: Rectangle, mood: Mood, depth: float, rng: np.random.Generator) -> None:
    """What stands in a lit shop, against the light: shelves, counters, people, and the lamps above them."""
    left, bottom, right, top = area
    tall = top - bottom
    for level in (0.34, 0.62):
        if rng.random() < 0.6:
            start = rng.uniform(left, (left + right) / 2)
            shelf = (start, bottom + tall * level, rng.uniform(start, right), bottom + tall * level + 0.06)
            wall.rectangle(shelf, mood.hazed((150, 112, 72), depth))
    x = left + rng.exponential(0.5)
    while x < right - 0.2:
        wide, high = rng.uniform(0.15, 0.6), tall * rng.uniform(0.15, 0.62)
        tone = rng.uniform(0.35, 0.8)
        colour = (200 * tone, rng.uniform(110, 170) * tone, rng.uniform(70, 130) * tone)
        wall.rectangle((x, bottom, min(right, x + wide), bottom + high), mood.hazed(colour, depth))
        x += wide + rng.exponential(0.45)
    for lamp in np.arange(left + 0.3, right - 0.2, 0.9).tolist():
        wall.rectangle((lamp, top - 0.22, lamp + 0.22, top - 0.12), mood.hazed((255, 248, 224), depth))


def in_light(image: Image.Image, mood: Mood, normal: tuple[float, float, float], depth: float) -> Image.Image:
    """An RGB picture of a flat surface, in the scene's light and haze."""
    factor = mood.light(np.array(normal))
    share = mood.haze_share(depth)
    ramp = np.outer(factor * (1 - share), np.arange(256)) + (np.array(mood.haze) * share)[:, None]
    table: list[int] = np.minimum(ramp, 255).astype(int).ravel().tolist()
    return image.point(table)
