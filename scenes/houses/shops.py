"""Ground floors: shop fronts with displays, lettering and awnings; doors; garages."""

import numpy as np

from scenes.drawing.canvas import Colour
from scenes.drawing.tones import SHOP_COLOURS, mixed, pick, scaled
from scenes.houses.walls import Rectangle, Wall
from scenes.houses.windows import draw_glass

GOODS: tuple[Colour, ...] = (
    (150, 138, 120), (110, 60, 54), (66, 84, 104), (172, 160, 138), (84, 92, 70), (60, 54, 56), (168, 130, 78),
    (190, 186, 180),
)  # fmt: skip
INK_LIGHT: Colour = (232, 226, 210)
INK_DARK: Colour = (44, 42, 48)


def draw_shops(wall: Wall, width: float, top: float, trim: Colour, rng: np.random.Generator) -> None:
    """Fill the ground floor of a wall with one or more shop fronts up to `top` metres."""
    fronts = max(1, round(width / rng.uniform(5, 9)))
    for index in range(fronts):
        _draw_shop(wall, (index * width / fronts, (index + 1) * width / fronts), top - 0.25, trim, rng)


def _draw_shop(wall: Wall, span: tuple[float, float], top: float, trim: Colour, rng: np.random.Generator) -> None:
    left, right = span
    colour = pick(rng, SHOP_COLOURS)
    wall.rectangle((left, 0, right, top), scaled(colour, 0.9))
    wall.rectangle((left, 0, right, 0.16), scaled(colour, 0.5))
    wall.rectangle((left, top, right, top + 0.14), scaled(trim, 0.92))
    wall.rectangle((left, top - 0.78, right, top - 0.7), scaled(colour, 0.55))
    for x in (left, right - 0.2):
        wall.rectangle((x, 0, x + 0.2, top - 0.72), scaled(colour, 1.15))
    door = left + 0.3 + rng.random() * max(0.1, right - left - 1.6)
    for start, end in ((left + 0.28, door - 0.08), (door + 1.08, right - 0.28)):
        if end - start > 0.5:
            _draw_display(wall, (start, 0.55, end, top - 0.85), rng)
    wall.rectangle((door, 0.05, door + 1.0, top - 0.85), scaled(colour, 0.7))
    draw_glass(wall, (door + 0.12, 0.35, door + 0.88, 2.05), rng, sky=0.3)
    background = colour if rng.random() < 0.7 else pick(rng, SHOP_COLOURS)
    wall.rectangle((left + 0.1, top - 0.68, right - 0.1, top - 0.08), background)
    draw_lettering(wall, (left + 0.3, top - 0.57, right - 0.3, top - 0.19), background, rng)
    if rng.random() < 0.25:
        _draw_awning(wall, (left + 0.15, top - 1.5, right - 0.15, top - 0.7), rng)


def _draw_display(wall: Wall, area: Rectangle, rng: np.random.Generator) -> None:
    left, bottom, right, top = area
    draw_glass(wall, area, rng, sky=0.25)
    if wall.shows(0.15):
        inside = scaled((96, 86, 72), rng.uniform(0.6, 1.1))
        wall.rectangle((left, bottom, right, bottom + (top - bottom) * 0.6), mixed(inside, (40, 42, 46), 0.45))
        wall.rectangle((left, top - 0.35, right, top - 0.28), mixed(inside, (230, 220, 190), 0.5))
        _draw_goods(wall, area, rng)
        slant = (top - bottom) * 0.5
        start = left + (right - left) * rng.uniform(0.0, 0.6)
        wall.shape(
            [(start, bottom), (start + 0.3, bottom), (start + 0.3 + slant, top), (start + slant, top)], (84, 92, 98)
        )
    posts = max(1, round((right - left) / 1.7))
    for index in range(posts + 1):
        x = left + (right - left) * index / posts
        wall.rectangle((x - 0.04, bottom, x + 0.04, top), (46, 44, 44))


def _draw_goods(wall: Wall, area: Rectangle, rng: np.random.Generator) -> None:
    left, bottom, right, top = area
    x = left + rng.uniform(0.1, 0.4)
    while x < right - 0.3:
        size = rng.uniform(0.15, 0.45)
        colour = scaled(pick(rng, GOODS, 14), 0.8)
        tall = min(top - bottom, size * rng.uniform(0.8, 3.0))
        wall.rectangle((x, bottom, min(right, x + size), bottom + tall), colour)
        wall.rectangle((x, bottom, min(right, x + size * 0.4), bottom + tall * 0.7), scaled(colour, 0.7))
        x += size + rng.exponential(0.5)
    if rng.random() < 0.2 and right - left > 1.4:
        x = rng.uniform(left, right - 1.0)
        wall.rectangle((x, bottom + 0.3, x + 0.9, top - 0.25), pick(rng, SHOP_COLOURS))
        wall.rectangle((x + 0.12, bottom + 0.5, x + 0.78, bottom + 0.9), INK_LIGHT)


def draw_lettering(wall: Wall, area: Rectangle, background: Colour, rng: np.random.Generator) -> None:
    """Strokes that read as a word from across the street."""
    left, bottom, right, top = area
    ink = INK_LIGHT if sum(background) < 380 else INK_DARK
    high = top - bottom
    count = int(rng.integers(4, 11))
    width = min(high * 0.62, (right - left) / (count + 1))
    if width < 0.05:
        return
    if not wall.shows(0.09):
        wall.rectangle(
            (
                left + (right - left) / 2 - count * width / 2,
                bottom + high * 0.2,
                left + (right - left) / 2 + count * width / 2,
                top - high * 0.2,
            ),
            mixed(background, ink, 0.5),
        )
        return
    x = left + max(0.0, (right - left - count * width) * rng.choice([0.1, 0.5]))
    for _ in range(count):
        if rng.random() < 0.9:
            _draw_letter(wall, (x, bottom, x + width * 0.72, top), ink, int(rng.integers(8)))
        x += width


def _draw_letter(wall: Wall, area: Rectangle, ink: Colour, form: int) -> None:
    """form: which of the eight combinations of strokes."""
    left, bottom, right, top = area
    thick, middle = (top - bottom) * 0.17, (bottom + top) / 2
    strokes = {
        "stem": (left, bottom, left + thick, top),
        "back": (right - thick, bottom, right, top),
        "head": (left, top - thick, right, top),
        "belt": (left, middle - thick / 2, right, middle + thick / 2),
        "foot": (left, bottom, right, bottom + thick),
        "axis": ((left + right) / 2 - thick / 2, bottom, (left + right) / 2 + thick / 2, top),
    }
    letters = (
        "stem head belt foot", "stem back head belt", "stem foot", "stem back head foot", "axis head", "stem back belt",
        "stem head belt", "axis",
    )  # fmt: skip
    for name in letters[form].split():
        wall.rectangle(strokes[name], ink)


def _draw_awning(wall: Wall, area: Rectangle, rng: np.random.Generator) -> None:
    left, bottom, right, top = area
    cloth, stripes = pick(rng, SHOP_COLOURS), rng.random() < 0.6
    wall.rectangle((left, bottom - 0.45, right, bottom), (38, 36, 36))
    for index, x in enumerate(np.arange(left, right, 0.32).tolist()):
        tone = (216, 210, 198) if stripes and index % 2 == 0 else cloth
        wall.rectangle((x, bottom, min(right, x + 0.33), top), tone)
        wall.rectangle((x, bottom - 0.12, min(right, x + 0.33), bottom + 0.02), scaled(tone, 0.72))


def draw_door(wall: Wall, middle: float, trim: Colour, rng: np.random.Generator) -> None:
    colour = pick(rng, SHOP_COLOURS)
    wall.rectangle((middle - 0.66, 0, middle + 0.66, 2.7), trim)
    wall.rectangle((middle - 0.52, 0.12, middle + 0.52, 2.56), scaled(trim, 0.6))
    wall.rectangle((middle - 0.48, 0.15, middle + 0.48, 2.1), colour)
    if wall.shows(0.08):
        for low, high in ((1.15, 1.9), (0.32, 1.0)):
            for left in (middle - 0.38, middle + 0.04):
                wall.rectangle((left, low, left + 0.34, high), scaled(colour, 0.78))
        wall.rectangle((middle + 0.36, 1.0, middle + 0.42, 1.1), (190, 164, 96))
    draw_glass(wall, (middle - 0.48, 2.16, middle + 0.48, 2.52), rng)
    wall.rectangle((middle - 0.8, 0, middle + 0.8, 0.15), (150, 146, 140))


def draw_garage(wall: Wall, middle: float, trim: Colour, rng: np.random.Generator) -> None:
    colour = pick(rng, ((206, 204, 198), (120, 122, 124), (96, 78, 62)))
    wall.rectangle((middle - 1.35, 0, middle + 1.35, 2.4), trim)
    for y in np.arange(0, 2.25, 0.28).tolist():
        wall.rectangle((middle - 1.22, y, middle + 1.22, y + 0.25), colour)
        wall.rectangle((middle - 1.22, y + 0.24, middle + 1.22, y + 0.28), scaled(colour, 0.7))
