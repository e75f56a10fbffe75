"""Windows and what hangs at them: panes, frames, sills, shutters, curtains, balconies."""

import numpy as np

from scenes.drawing.canvas import Colour
from scenes.drawing.tones import mixed, pick, scaled, varied
from scenes.houses.walls import Rectangle, Wall

SKY_TINT: Colour = (132, 150, 166)
CLOTHS: tuple[Colour, ...] = ((196, 190, 178), (160, 150, 138), (120, 112, 104), (176, 160, 140))


def draw_glass(wall: Wall, area: Rectangle, rng: np.random.Generator, *, sky: float = 0.5) -> None:
    """A pane that is dark at its foot and mirrors the sky towards its top; sky: how much of it, 0..1."""
    left, bottom, right, top = area
    if right - left < 0.02 or top - bottom < 0.02:
        return
    low: Colour = scaled((40, 45, 52), rng.uniform(0.75, 1.3))
    high = mixed(low, SKY_TINT, min(1.0, sky * rng.uniform(0.5, 1.3)))
    steps = min(7, max(1, int((top - bottom) * wall.up / 8)))
    for step in range(steps):
        share = (step + 0.5) / steps
        floor = bottom + (top - bottom) * step / steps
        wall.rectangle((left, floor, right, top), mixed(low, high, share**1.4))
    if wall.shows(0.06):
        wall.rectangle((left, top - 0.09, right, top), scaled(low, 0.6))
    wall.lamps.append(area)


def draw_window(wall: Wall, area: Rectangle, trim: Colour, panes: str, rng: np.random.Generator) -> None:
    """panes: "sash" (a cross), "casement" (one bar) or "plain"; the area includes the frame."""
    left, bottom, right, top = area
    if not wall.shows(0.09):
        draw_glass(wall, area, rng)
        return
    wall.rectangle(area, trim)
    frame = 0.06
    inner = (left + frame, bottom + frame, right - frame, top - frame)
    draw_glass(wall, inner, rng)
    _draw_curtain(wall, inner, rng)
    if not wall.shows(0.05) or panes == "plain":
        return
    middle = (left + right) / 2
    wall.rectangle((middle - 0.025, inner[1], middle + 0.025, inner[3]), trim)
    if panes == "sash":
        half = (bottom + top) / 2
        wall.rectangle((inner[0], half - 0.03, inner[2], half + 0.03), trim)


def _draw_curtain(wall: Wall, area: Rectangle, rng: np.random.Generator) -> None:
    draw = rng.random()
    if draw > 0.45 or not wall.shows(0.12):
        return
    left, bottom, right, top = area
    cloth = scaled(pick(rng, CLOTHS), 0.72)
    if draw < 0.15:
        wall.rectangle((left, top - (top - bottom) * rng.uniform(0.2, 0.9), right, top), cloth)
        return
    width = (right - left) * rng.uniform(0.12, 0.34)
    wall.rectangle((left, bottom, left + width, top), cloth)
    wall.rectangle((right - width, bottom, right, top), scaled(cloth, 0.9))


def draw_surround(wall: Wall, area: Rectangle, stone: Colour, *, arched: bool) -> None:
    """Lintel, sill and the shade that they throw."""
    if not wall.shows(0.11):
        return
    left, bottom, right, top = area
    if arched:
        wall.arch((left - 0.1, top, right + 0.1, top + (right - left) * 0.36), stone)
    else:
        wall.rectangle((left - 0.12, top, right + 0.12, top + 0.18), stone)
    if wall.shows(0.08):
        wall.rectangle((left - 0.08, bottom, left, top), mixed(stone, (90, 84, 78), 0.3))
        wall.rectangle((right, bottom, right + 0.08, top), stone)
        wall.rectangle((left - 0.1, bottom - 0.2, right + 0.16, bottom - 0.1), scaled(stone, 0.55))
    wall.rectangle((left - 0.14, bottom - 0.11, right + 0.14, bottom), stone)


def draw_shutters(wall: Wall, area: Rectangle, colour: Colour) -> None:
    left, bottom, right, top = area
    width = (right - left) * 0.48
    for start in (left - width - 0.03, right + 0.03):
        wall.rectangle((start, bottom, start + width, top), colour)
        if wall.shows(0.06):
            for y in np.arange(bottom + 0.08, top - 0.05, 0.12).tolist():
                wall.rectangle((start + 0.05, y, start + width - 0.05, y + 0.04), scaled(colour, 0.75))


def draw_balcony(wall: Wall, area: Rectangle) -> None:
    left, bottom, right, top = area
    wall.rectangle((left, bottom - 0.3, right, bottom - 0.12), (70, 68, 66))
    wall.rectangle((left, bottom - 0.14, right, bottom + 0.04), (168, 164, 158))
    wall.rectangle((left, top - 0.06, right, top), (52, 52, 54))
    if wall.shows(0.05):
        for x in np.arange(left, right, 0.14).tolist():
            wall.rectangle((x, bottom, x + 0.025, top), (56, 56, 58))


def draw_flowers(wall: Wall, area: Rectangle, rng: np.random.Generator) -> None:
    """A box of flowers on the sill."""
    left, bottom, right, _ = area
    wall.rectangle((left, bottom - 0.05, right, bottom + 0.12), (92, 62, 46))
    for x in np.arange(left, right - 0.1, 0.1).tolist():
        colour = ((66, 104, 52), (76, 118, 58), (190, 60, 70), (206, 120, 140))[int(rng.integers(4))]
        wall.rectangle((x, bottom + 0.1, x + 0.11, bottom + rng.uniform(0.18, 0.3)), varied(rng, colour, 12))


def draw_curtain_wall(wall: Wall, area: Rectangle, pane: float, frame: Colour, rng: np.random.Generator) -> None:
    """A storey of glass from edge to edge, each pane a little different."""
    left, bottom, right, top = area
    wall.rectangle(area, scaled(frame, 0.8))
    count = max(1, round((right - left) / max(pane, 4 / wall.across)))
    width = (right - left) / count
    lift = 0.35 + 0.5 * bottom / max(wall.height, 1.0)
    for index in range(count):
        start = left + index * width
        draw_glass(
            wall, (start + 0.04, bottom + 0.5, start + width - 0.04, top - 0.04), rng, sky=lift + rng.uniform(0, 0.3)
        )
        if rng.random() < 0.15:
            wall.rectangle(
                (start + 0.06, top - rng.uniform(0.5, 1.6), start + width - 0.06, top - 0.06), (150, 150, 146)
            )
