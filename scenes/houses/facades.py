"""Fronts of houses: which style a house has, and its texture from the door to the cornice."""

from dataclasses import dataclass

import numpy as np

from scenes.drawing.canvas import Colour
from scenes.drawing.tones import BRICKS, PLASTERS, SHOP_COLOURS, STONES, mixed, pick, scaled, varied
from scenes.houses.shops import draw_door, draw_garage, draw_shops
from scenes.houses.walls import Wall, bare_wall
from scenes.houses.windows import (
    draw_balcony,
    draw_curtain_wall,
    draw_flowers,
    draw_shutters,
    draw_surround,
    draw_window,
)

STOREYS = {"high street": (2, 5), "residential": (2, 4), "avenue": (3, 7), "downtown": (4, 14), "park": (2, 4)}
BRICK_SHARE = {"high street": 0.45, "residential": 0.55, "avenue": 0.3, "downtown": 0.15, "park": 0.4}
SHOP_SHARE = {"high street": 0.85, "residential": 0.04, "avenue": 0.45, "downtown": 0.6, "park": 0.04}
REPEATED_BELOW = 22.0  # pixels per metre: on farther houses all storeys look like the first
PANES = ("sash", "casement", "plain")


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
    panes: str
    ground: str  # "shop", "door", "garage" or "windows"
    upper: str  # "windows", "glass" (from edge to edge) or "ribbon"
    extras: frozenset[str]  # of "balconies", "shutters", "flowers", "arches", "courses", "quoins", "pipe"
    accent: Colour

    @property
    def height(self) -> float:
        return self.ground_m + self.storey_m * (self.storeys - 1) + 0.5


def choose_style(rng: np.random.Generator, kind: str) -> FacadeStyle:
    brick = bool(rng.random() < BRICK_SHARE[kind])
    wall = pick(rng, BRICKS if brick else (STONES if rng.random() < 0.25 else PLASTERS), 12)
    trim = varied(rng, (222, 218, 208), 10) if rng.random() < 0.72 else varied(rng, (84, 80, 76), 12)
    modern = rng.random() < {"downtown": 0.65, "avenue": 0.2}.get(kind, 0.04)
    ground = "shop" if rng.random() < SHOP_SHARE[kind] else str(rng.choice(["door", "door", "door", "windows"]))
    if kind == "residential" and rng.random() < 0.25:
        ground = "garage"
    return FacadeStyle(
        wall=wall,
        trim=trim,
        brick=brick,
        storeys=int(rng.integers(*STOREYS[kind])),
        storey_m=float(rng.uniform(2.8, 3.5)),
        ground_m=float(rng.uniform(2.8, 3.1) if kind == "residential" else rng.uniform(3.3, 4.2)),
        bay_m=float(rng.uniform(1.9, 3.3)),
        window=(float(rng.uniform(0.36, 0.56)), float(rng.uniform(0.46, 0.62))),
        panes=str(rng.choice(PANES)),
        ground=ground,
        upper=str(rng.choice(["glass", "glass", "ribbon"])) if modern else "windows",
        extras=_choose_extras(rng, kind, brick=brick),
        accent=pick(rng, SHOP_COLOURS),
    )


def _choose_extras(rng: np.random.Generator, kind: str, *, brick: bool) -> frozenset[str]:
    chances = {
        "balconies": 0.3 if kind in ("avenue", "downtown") else 0.03,
        "shutters": 0.05 if brick else 0.16,
        "flowers": 0.08,
        "arches": 0.3 if brick else 0.12,
        "courses": 0.4,
        "quoins": 0.2,
        "pipe": 0.55,
    }
    return frozenset(name for name, chance in chances.items() if rng.random() < chance)


def paint_facade(style: FacadeStyle, width: float, scale: tuple[float, float], rng: np.random.Generator) -> Wall:
    """width in metres; scale: texture pixels per metre across and up."""
    wall = bare_wall(style.wall, (width, style.height), scale, rng, brick=style.brick)
    painted = style.storeys if wall.up > REPEATED_BELOW else min(2, style.storeys)
    for storey in range(1, painted):
        _paint_storey(wall, style, width, style.ground_m + (storey - 1) * style.storey_m, rng)
    if painted < style.storeys:
        wall.repeat(style.ground_m, style.storey_m, style.storeys - 2)
    _paint_ground_floor(wall, style, width, rng)
    if style.upper == "windows":
        _paint_ornaments(wall, style, width, rng)
    return wall


def _paint_storey(wall: Wall, style: FacadeStyle, width: float, floor: float, rng: np.random.Generator) -> None:
    if style.upper == "glass":
        draw_curtain_wall(wall, (0, floor, width, floor + style.storey_m), style.bay_m * 0.6, style.wall, rng)
        return
    if style.upper == "ribbon":
        draw_curtain_wall(wall, (0.3, floor + 0.5, width - 0.3, floor + 2.4), style.bay_m * 0.7, (70, 70, 72), rng)
        return
    if "courses" in style.extras:
        wall.rectangle((0, floor - 0.02, width, floor + 0.14), mixed(style.wall, style.trim, 0.6))
    for middle, bay in _bays(style, width):
        _paint_bay(wall, style, (middle, floor), bay, rng)


def _bays(style: FacadeStyle, width: float) -> list[tuple[float, float]]:
    """Middle and width of each bay."""
    count = max(1, round(width / style.bay_m))
    return [((index + 0.5) * width / count, width / count) for index in range(count)]


def _paint_bay(wall: Wall, style: FacadeStyle, foot: tuple[float, float], bay: float, rng: np.random.Generator) -> None:
    middle, floor = foot
    half, bottom = bay * style.window[0] / 2, floor + style.storey_m * 0.26
    top = bottom + style.storey_m * style.window[1]
    balcony = "balconies" in style.extras
    area = (middle - half, floor + 0.1 if balcony else bottom, middle + half, top)
    stone = mixed(style.wall, style.trim, 0.65)
    draw_surround(wall, area, stone, arched="arches" in style.extras)
    draw_window(wall, area, style.trim, style.panes, rng)
    if "shutters" in style.extras and bay * (1 - style.window[0]) > half * 2:
        draw_shutters(wall, area, style.accent)
    if balcony:
        draw_balcony(wall, (middle - half - 0.35, floor, middle + half + 0.35, floor + 1.0))
    elif "flowers" in style.extras and wall.shows(0.1):
        draw_flowers(wall, area, rng)


def _paint_ground_floor(wall: Wall, style: FacadeStyle, width: float, rng: np.random.Generator) -> None:
    if style.ground == "shop":
        draw_shops(wall, width, style.ground_m, style.trim, rng)
        return
    bays = _bays(style, width)
    door = int(rng.integers(len(bays))) if style.ground != "windows" else -1
    for index, (middle, bay) in enumerate(bays):
        if index == door:
            draw_door(wall, middle, style.trim, rng)
            continue
        if style.ground == "garage" and abs(index - door) == 1 and bay > 2.2:
            draw_garage(wall, middle, style.trim, rng)
            continue
        half = bay * style.window[0] / 2
        area = (middle - half, 0.95, middle + half, style.ground_m - 0.7)
        draw_surround(wall, area, mixed(style.wall, style.trim, 0.65), arched="arches" in style.extras)
        draw_window(wall, area, style.trim, style.panes, rng)


def _paint_ornaments(wall: Wall, style: FacadeStyle, width: float, rng: np.random.Generator) -> None:
    """Cornice, corner stones, a rain pipe."""
    high = style.height
    if "quoins" in style.extras:
        for step, y in enumerate(np.arange(style.ground_m, high - 0.6, 0.34).tolist()):
            size = 0.5 if step % 2 else 0.32
            for left in (0.0, width - size):
                wall.rectangle((left, y, left + size, y + 0.3), mixed(style.wall, style.trim, 0.6))
    if "pipe" in style.extras and wall.shows(0.1):
        x = width - 0.25 if rng.random() < 0.5 else 0.25
        wall.rectangle((x + 0.1, 0, x + 0.15, high - 0.4), scaled(style.wall, 0.65))
        wall.rectangle((x, 0, x + 0.1, high - 0.4), (70, 70, 72) if sum(style.trim) < 400 else (150, 150, 146))
    wall.rectangle((0, high - 0.34, width, high), scaled(style.trim, 0.92))
    wall.rectangle((0, high - 0.2, width, high - 0.14), scaled(style.trim, 0.75))
    wall.rectangle((0, high - 0.46, width, high - 0.34), scaled(style.wall, 0.58))
