"""Facade textures: walls with windows, doors, shop fronts and cornices, painted flat and mapped onto houses later."""

from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw

from data.scenes.canvas import Colour, rounded
from data.scenes.mood import Mood
from data.scenes.noise import TILE, tile

Rectangle = tuple[float, float, float, float]

BRICKS: tuple[Colour, ...] = (
    (150, 84, 64),
    (128, 72, 58),
    (172, 120, 88),
    (186, 160, 116),
    (112, 78, 68),
    (164, 100, 72),
)
PLASTERS: tuple[Colour, ...] = (
    (222, 214, 196), (204, 190, 164), (232, 226, 214), (196, 178, 150), (178, 186, 188), (214, 186, 150),
    (190, 150, 122), (168, 172, 164), (226, 206, 170), (170, 140, 130),
)  # fmt: skip
STONES: tuple[Colour, ...] = ((176, 164, 142), (150, 142, 128), (190, 182, 168), (134, 126, 116))
SHOP_COLOURS: tuple[Colour, ...] = (
    (32, 62, 92), (120, 30, 34), (24, 74, 58), (40, 40, 44), (196, 160, 60), (90, 40, 80), (210, 206, 196), (190, 84, 40),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class FacadeStyle:
    wall: Colour
    trim: Colour
    brick: bool
    storeys: int
    storey_m: float
    ground_m: float
    bay_m: float
    window: tuple[float, float]  # width and height as a share of bay and storey
    ground: str  # "shop", "door" or "windows"
    curtain: bool  # glass from edge to edge
    balconies: bool
    shop: Colour

    @property
    def height(self) -> float:
        return self.ground_m + self.storey_m * (self.storeys - 1) + 0.5


def choose_style(rng: np.random.Generator, kind: str) -> FacadeStyle:
    tall = {"high street": (2, 5), "residential": (2, 3), "avenue": (3, 7), "downtown": (4, 14), "park": (2, 4)}[kind]
    brick = bool(rng.random() < {"high street": 0.45, "residential": 0.55, "downtown": 0.15}.get(kind, 0.35))
    walls = BRICKS if brick else (STONES if rng.random() < 0.25 else PLASTERS)
    wall = _varied(rng, walls[rng.integers(len(walls))], 14)
    light_trim = rng.random() < 0.75
    shop_share = {"high street": 0.85, "avenue": 0.45, "downtown": 0.6}.get(kind, 0.04)
    return FacadeStyle(
        wall=wall,
        trim=_varied(rng, (228, 224, 214), 10) if light_trim else _varied(rng, (74, 70, 66), 12),
        brick=brick,
        storeys=int(rng.integers(tall[0], tall[1])),
        storey_m=float(rng.uniform(2.8, 3.5)),
        ground_m=float(rng.uniform(3.2, 4.2)) if kind != "residential" else float(rng.uniform(2.7, 3.1)),
        bay_m=float(rng.uniform(2.0, 3.4)),
        window=(float(rng.uniform(0.36, 0.6)), float(rng.uniform(0.48, 0.66))),
        ground="shop" if rng.random() < shop_share else ("door" if rng.random() < 0.75 else "windows"),
        curtain=bool(kind == "downtown" and rng.random() < 0.4),
        balconies=bool(kind in ("avenue", "downtown") and rng.random() < 0.3),
        shop=_varied(rng, SHOP_COLOURS[rng.integers(len(SHOP_COLOURS))], 12),
    )


@dataclass(slots=True)
class Wall:
    """A texture in metres: x from the left, y up from the ground."""

    image: Image.Image
    height: float
    across: float  # texture pixels per metre
    up: float
    lamps: list[Rectangle] = field(default_factory=list)

    def rectangle(self, area: Rectangle, colour: Colour) -> None:
        """area: left, bottom, right, top."""
        draw = ImageDraw.Draw(self.image)
        draw.rectangle(self.pixels(area), fill=rounded(colour))

    def pixels(self, area: Rectangle) -> Rectangle:
        left, bottom, right, top = area
        x0, x1 = left * self.across, right * self.across
        y0, y1 = (self.height - top) * self.up, (self.height - bottom) * self.up
        return x0, y0, max(x0, x1 - 0.5), max(y0, y1 - 0.5)


def paint_facade(style: FacadeStyle, width: float, scale: tuple[float, float], rng: np.random.Generator) -> Wall:
    """width in metres; scale: texture pixels per metre across and up."""
    size = (max(4, round(width * scale[0])), max(4, round(style.height * scale[1])))
    wall = Wall(_bare_wall(style, size, scale, rng), style.height, size[0] / width, size[1] / style.height)
    bays = max(1, round(width / style.bay_m))
    bay = width / bays
    for storey in range(1, style.storeys):
        floor = style.ground_m + (storey - 1) * style.storey_m
        for index in range(bays):
            _window_bay(wall, style, (index * bay, floor), bay, rng)
    _ground_floor(wall, style, width, rng)
    if not style.curtain:
        wall.rectangle((0, style.height - 0.35, width, style.height), _scaled(style.trim, 0.92))
        wall.rectangle((0, style.height - 0.42, width, style.height - 0.35), _scaled(style.wall, 0.6))
    return wall


def _bare_wall(
    style: FacadeStyle, size: tuple[int, int], scale: tuple[float, float], rng: np.random.Generator
) -> Image.Image:
    rows = np.arange(size[1], dtype=np.float32)[:, None] / scale[1]
    columns = np.arange(size[0], dtype=np.float32)[None, :] / scale[0]
    shift = rng.integers(0, TILE, 2)
    stains = tile(1.4)[(rows * 10 + shift[0]).astype(int) % TILE, (columns * 20 + shift[1]).astype(int) % TILE]
    value = 1 + 0.05 * stains
    if style.brick and scale[1] > 9:
        course = np.floor(rows / 0.075)
        joint_rows = (rows % 0.075) < 0.014
        joint_columns = ((columns + 0.11 * (course % 2)) % 0.22) < 0.014
        tone = tile(0.0)[course.astype(int) % TILE, np.floor((columns + 0.11 * (course % 2)) / 0.22).astype(int) % TILE]
        fine = min(1.0, (scale[1] - 9) / 30)
        value = value * (1 + fine * (0.09 * tone + 0.28 * (joint_rows | joint_columns)))
    foot = np.clip(1 - (style.height - rows) / 1.2, 0, 1)
    value = value * (1 - 0.16 * foot)
    return Image.fromarray(np.clip(value[..., None] * np.array(style.wall, np.float32), 0, 255).astype(np.uint8))


def _window_bay(
    wall: Wall, style: FacadeStyle, corner: tuple[float, float], bay: float, rng: np.random.Generator
) -> None:
    left, floor = corner
    if style.curtain:
        pane = (left + 0.04, floor + 0.35, left + bay - 0.04, floor + style.storey_m - 0.05)
        _glass(wall, pane, rng, blue=True)
        wall.rectangle((left, floor, left + bay, floor + 0.35), _scaled(style.wall, 0.7))
        return
    half = bay * style.window[0] / 2
    middle, bottom = left + bay / 2, floor + style.storey_m * 0.26
    top = bottom + style.storey_m * style.window[1]
    if style.balconies:
        bottom = floor + 0.08
    area = (middle - half, bottom, middle + half, top)
    wall.rectangle((area[0] - 0.1, bottom - 0.1, area[2] + 0.1, top + 0.16), _mixed(style.wall, style.trim, 0.55))
    wall.rectangle((area[0] - 0.14, bottom - 0.16, area[2] + 0.14, bottom - 0.06), style.trim)
    wall.rectangle(area, style.trim)
    inner = (area[0] + 0.07, area[1] + 0.07, area[2] - 0.07, area[3] - 0.07)
    _glass(wall, inner, rng, blue=False)
    wall.rectangle((middle - 0.03, inner[1], middle + 0.03, inner[3]), style.trim)
    wall.rectangle((inner[0], (bottom + top) / 2 - 0.03, inner[2], (bottom + top) / 2 + 0.03), style.trim)
    if style.balconies:
        _balcony(wall, (middle - half - 0.35, floor - 0.05, middle + half + 0.35, floor + 1.0))


def _balcony(wall: Wall, area: Rectangle) -> None:
    left, bottom, right, top = area
    wall.rectangle((left, bottom - 0.12, right, bottom + 0.05), (168, 164, 158))
    wall.rectangle((left, top - 0.06, right, top), (52, 52, 54))
    for x in np.arange(left, right, 0.16).tolist():
        wall.rectangle((x, bottom, x + 0.03, top), (58, 58, 60))


def _glass(wall: Wall, area: Rectangle, rng: np.random.Generator, *, blue: bool) -> None:
    """Dark glass that mirrors the sky towards its top; sometimes a curtain."""
    x0, y0, x1, y1 = (round(v) for v in wall.pixels(area))
    if x1 <= x0 or y1 <= y0:
        return
    sky = rng.uniform(0.3, 1.0)
    top = np.array([110, 140, 168] if blue else [112, 128, 142]) * (0.55 + 0.5 * sky)
    low = np.array([46, 58, 70] if blue else [34, 38, 44]) * (0.8 + 0.6 * rng.random())
    share = np.linspace(0, 1, y1 - y0 + 1)[:, None, None] ** 0.8
    column = np.clip(top * (1 - share) + low * share, 0, 255).astype(np.uint8)
    wall.image.paste(Image.fromarray(column).resize((x1 - x0 + 1, y1 - y0 + 1)), (x0, y0))
    if not blue and rng.random() < 0.4:
        left, bottom, right, upper = area
        cloth = _varied(rng, (206, 200, 188), 16)
        width = (right - left) * rng.uniform(0.12, 0.35)
        wall.rectangle((left, bottom, left + width, upper), _scaled(cloth, 0.75))
        wall.rectangle((right - width, bottom, right, upper), _scaled(cloth, 0.75))
    wall.lamps.append(area)


def _ground_floor(wall: Wall, style: FacadeStyle, width: float, rng: np.random.Generator) -> None:
    if style.ground == "shop":
        fronts = max(1, round(width / rng.uniform(5, 9)))
        for index in range(fronts):
            _shop(wall, style, (index * width / fronts, (index + 1) * width / fronts), rng)
        return
    bays = max(1, round(width / style.bay_m))
    bay = width / bays
    door = int(rng.integers(bays)) if style.ground == "door" else -1
    for index in range(bays):
        left = index * bay
        if index == door:
            _door(wall, style, left + bay / 2, rng)
            continue
        half = bay * style.window[0] / 2
        area = (left + bay / 2 - half, 0.95, left + bay / 2 + half, style.ground_m - 0.75)
        wall.rectangle((area[0] - 0.12, area[1] - 0.14, area[2] + 0.12, area[3] + 0.14), style.trim)
        _glass(wall, area, rng, blue=False)
        wall.rectangle((left + bay / 2 - 0.03, area[1], left + bay / 2 + 0.03, area[3]), style.trim)


def _door(wall: Wall, style: FacadeStyle, middle: float, rng: np.random.Generator) -> None:
    colour = _varied(rng, SHOP_COLOURS[rng.integers(len(SHOP_COLOURS))], 10)
    wall.rectangle((middle - 0.62, 0, middle + 0.62, 2.6), style.trim)
    wall.rectangle((middle - 0.48, 0.12, middle + 0.48, 2.1), colour)
    wall.rectangle((middle - 0.36, 1.1, middle + 0.36, 1.9), _scaled(colour, 0.75))
    wall.rectangle((middle - 0.36, 0.3, middle + 0.36, 0.95), _scaled(colour, 0.85))
    _glass(wall, (middle - 0.48, 2.16, middle + 0.48, 2.5), rng, blue=False)
    wall.rectangle((middle - 0.8, 0, middle + 0.8, 0.12), (150, 146, 140))


def _shop(wall: Wall, style: FacadeStyle, span: tuple[float, float], rng: np.random.Generator) -> None:
    left, right = span
    colour = _varied(rng, style.shop if rng.random() < 0.4 else SHOP_COLOURS[rng.integers(len(SHOP_COLOURS))], 12)
    top = style.ground_m - 0.25
    wall.rectangle((left, 0, right, top), _scaled(colour, 0.9))
    wall.rectangle((left, top, right, top + 0.14), _scaled(style.trim, 0.9))
    door = left + 0.3 + rng.random() * max(0.1, right - left - 1.6)
    panes = [(left + 0.25, door - 0.08), (door + 1.08, right - 0.25)]
    for start, end in panes:
        if end - start > 0.5:
            _display(wall, (start, 0.5, end, top - 0.85), rng)
    _glass(wall, (door + 0.1, 0.15, door + 0.9, top - 0.9), rng, blue=False)
    _lettering(wall, (left + 0.25, top - 0.65, right - 0.25, top - 0.15), colour, rng)
    if rng.random() < 0.3:
        _awning(wall, (left + 0.15, top - 1.55, right - 0.15, top - 0.7), rng)


def _display(wall: Wall, area: Rectangle, rng: np.random.Generator) -> None:
    left, bottom, right, top = area
    _glass(wall, area, rng, blue=False)
    for _ in range(int((right - left) * 3)):
        x, size = rng.uniform(left, right - 0.3), rng.uniform(0.15, 0.5)
        colour = tuple(rng.uniform(50, 190, 3).tolist())
        wall.rectangle((x, bottom, min(right, x + size), bottom + size * rng.uniform(0.8, 2.2)), colour)
    for x in np.arange(left, right + 0.1, 1.6).tolist():
        wall.rectangle((x - 0.04, bottom, x + 0.04, top), (40, 40, 42))


def _lettering(wall: Wall, area: Rectangle, background: Colour, rng: np.random.Generator) -> None:
    """Bars that read as letters from across the street."""
    left, bottom, right, top = area
    bright = sum(background) < 380
    ink: Colour = (236, 230, 214) if bright else (40, 40, 48)
    x = left + (right - left) * rng.uniform(0.05, 0.3)
    end = right - (right - left) * rng.uniform(0.05, 0.3)
    while x < end:
        width = rng.uniform(0.1, 0.26)
        if rng.random() < 0.86:
            wall.rectangle((x, bottom, x + 0.06, top), ink)
            wall.rectangle((x, top - 0.08, x + width, top), ink)
            if rng.random() < 0.6:
                wall.rectangle((x, (bottom + top) / 2, x + width, (bottom + top) / 2 + 0.07), ink)
            if rng.random() < 0.6:
                wall.rectangle((x + width - 0.06, bottom, x + width, top), ink)
        x += width + 0.09


def _awning(wall: Wall, area: Rectangle, rng: np.random.Generator) -> None:
    left, bottom, right, top = area
    first = SHOP_COLOURS[rng.integers(len(SHOP_COLOURS))]
    for index, x in enumerate(np.arange(left, right, 0.35).tolist()):
        wall.rectangle((x, bottom, min(right, x + 0.35), top), first if index % 2 else (226, 220, 208))
    wall.rectangle((left, bottom - 0.1, right, bottom), _scaled(first, 0.6))


def finish(
    wall: Wall, mood: Mood, normal: tuple[float, float, float], depth: float, rng: np.random.Generator
) -> Image.Image:
    """The texture in the scene's light and haze, with lamps on behind some windows when it is dark."""
    factor = mood.light(np.array(normal))
    share = mood.haze_share(depth)
    table: list[int] = []
    for light, haze in zip(factor.tolist(), mood.haze, strict=True):
        table += [min(255, int(value * light * (1 - share) + haze * share)) for value in range(256)]
    wall.image = wall.image.point(table)
    if mood.lamps:
        for area in wall.lamps:
            if rng.random() < 0.42 * mood.lamps + (0.35 if area[1] < 1.0 else 0):
                glow = rng.uniform(0.7, 1.0)
                wall.rectangle(area, mood.hazed((255 * glow, 214 * glow, 140 * glow), depth))
    return wall.image


def _varied(rng: np.random.Generator, colour: Colour, spread: float) -> Colour:
    shared = rng.normal(0, spread)
    red, green, blue = (float(np.clip(c + shared + rng.normal(0, spread / 4), 8, 250)) for c in colour)
    return red, green, blue


def _scaled(colour: Colour, factor: float) -> Colour:
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


def _mixed(first: Colour, second: Colour, share: float) -> Colour:
    red, green, blue = (a + (b - a) * share for a, b in zip(first, second, strict=True))
    return red, green, blue
