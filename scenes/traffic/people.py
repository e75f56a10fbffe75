"""People on foot: who they are, and figures of rounded limbs drawn where they stand."""

from dataclasses import dataclass

import numpy as np

from scenes.drawing.canvas import Colour
from scenes.drawing.pen import Pen, Point
from scenes.drawing.stage import Place, Shadow, Stage
from scenes.drawing.tones import pick, scaled
from scenes.ids import PERSON

COATS: tuple[Colour, ...] = (
    (36, 40, 52), (54, 52, 52), (108, 44, 46), (66, 84, 112), (150, 142, 128), (186, 188, 190), (78, 86, 70),
    (126, 96, 70), (30, 30, 32), (92, 70, 92), (176, 148, 84), (60, 96, 104), (214, 212, 206),
)  # fmt: skip
TROUSERS: tuple[Colour, ...] = ((40, 46, 62), (34, 34, 38), (58, 66, 84), (92, 84, 72), (70, 66, 62), (120, 112, 98))
SKINS: tuple[Colour, ...] = ((222, 182, 156), (200, 154, 126), (150, 106, 80), (100, 70, 54))
HAIRS: tuple[Colour, ...] = ((36, 30, 28), (58, 42, 32), (92, 66, 44), (148, 116, 76), (126, 122, 118), (24, 22, 22))
SHOES: Colour = (34, 31, 30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    place: Place
    height: float
    stride: float  # -1..1, where in the step
    facing: int  # -1 left, +1 right, 0 along the street
    away: bool  # seen from behind, when facing is 0
    coat: Colour
    coat_length: float  # metres above the ground where it ends, on a person of 1.75 m
    trousers: Colour
    skin: Colour
    hair: Colour
    long_hair: bool
    bag: str  # "", "backpack" or "handbag"
    bag_colour: Colour

    @property
    def depth(self) -> float:
        return self.place[2]


def choose_figure(rng: np.random.Generator, place: Place, *, facing: int | None = None) -> Figure:
    child = rng.random() < 0.08
    return Figure(
        place=place,
        height=float(rng.uniform(1.1, 1.4) if child else np.clip(rng.normal(1.71, 0.09), 1.5, 1.95)),
        stride=float(rng.uniform(-1, 1)),
        facing=int(rng.choice([-1, 0, 0, 0, 1])) if facing is None else facing,
        away=bool(rng.random() < 0.5),
        coat=pick(rng, COATS, 9),
        coat_length=float(rng.choice([0.84, 0.84, 0.78, 0.55, 0.45])),
        trousers=pick(rng, TROUSERS, 7),
        skin=pick(rng, SKINS, 6),
        hair=pick(rng, HAIRS, 6),
        long_hair=bool(rng.random() < 0.4),
        bag=str(rng.choice(["", "", "backpack", "handbag"])),
        bag_colour=pick(rng, COATS, 9),
    )


def shadow_of(figure: Figure) -> Shadow:
    x, _, z = figure.place
    corners = [[x - 0.22, z - 0.1], [x + 0.22, z - 0.1], [x + 0.22, z + 0.1], [x - 0.22, z + 0.1]]
    return Shadow(np.array(corners), figure.height)


def draw_figure(stage: Stage, figure: Figure) -> None:
    spot = stage.upright(figure.place)
    if spot is None:
        return
    x, y, scale = spot
    pen = Pen(stage, (x, y, scale * figure.height / 1.75), figure.depth, PERSON)
    if figure.facing:
        _draw_side(pen, figure)
    else:
        _draw_front(pen, figure)


def _draw_side(pen: Pen, figure: Figure) -> None:
    turn, swing = figure.facing, figure.stride * 0.3
    far = scaled(figure.trousers, 0.7)
    _draw_leg(pen, (0.0, 0.9), swing, turn, far)
    draw_arm(pen, (0.02 * turn, 1.42), (-swing * 0.5, 1.13), (-swing * 0.75 + 0.08 * turn, 0.9), figure, 0.72)
    if figure.bag == "backpack":
        pen.shape(
            [(-0.1 * turn, 1.44), (-0.3 * turn, 1.38), (-0.32 * turn, 1.05), (-0.1 * turn, 1.0)], figure.bag_colour
        )
    _draw_leg(pen, (0.0, 0.9), -swing, turn, figure.trousers)
    hem = figure.coat_length
    flare = 0.15 if hem < 0.7 else 0.12
    torso = [
        (-0.1, 1.48),
        (0.08, 1.48),
        (0.14, 1.36),
        (0.13, 1.1),
        (flare, hem),
        (-flare, hem),
        (-0.13, 1.1),
        (-0.14, 1.36),
    ]
    pen.shape([(x * turn, y) for x, y in torso], figure.coat)
    draw_arm(pen, (0.0, 1.42), (swing * 0.5 - 0.04 * turn, 1.14), (swing * 0.75 + 0.06 * turn, 0.9), figure, 1.1)
    if figure.bag == "handbag":
        pen.shape([(-0.14, 1.0), (0.1, 1.0), (0.12, 0.76), (-0.16, 0.76)], figure.bag_colour)
    draw_head(pen, (0.03 * turn, 1.62), figure)


def _draw_front(pen: Pen, figure: Figure) -> None:
    lift = figure.stride * 0.1
    for side in (-1, 1):
        foot = max(0.0, lift * side)
        shorter = 0.9 if foot else 1.0
        thigh, knee, ankle = (0.1 * side, 0.9), (0.11 * side, 0.5 + foot * 0.5), (0.09 * side, 0.09 + foot)
        tone = scaled(figure.trousers, 1.0 if side > 0 else 0.85)
        pen.limb([thigh, knee, ankle], (0.19, 0.11), tone)
        pen.limb([(0.09 * side, 0.05 + foot), (0.1 * side, 0.04 + foot)], (0.12 * shorter, 0.12 * shorter), SHOES)
    hem = figure.coat_length
    flare = 0.24 if hem < 0.7 else 0.19
    for side in (-1, 1):
        draw_arm(pen, (0.2 * side, 1.4), (0.27 * side, 1.14), (0.26 * side, 0.88), figure, 0.86)
    torso = [(-0.08, 1.5), (0.08, 1.5), (0.21, 1.43), (0.22, 1.3), (0.175, 1.1), (flare, hem)]
    pen.shape(torso + [(-x, y) for x, y in torso[::-1]], figure.coat)
    if figure.bag == "backpack" and figure.away:
        pen.shape([(-0.15, 1.42), (0.15, 1.42), (0.17, 1.0), (-0.17, 1.0)], figure.bag_colour)
    elif figure.bag == "handbag":
        pen.limb([(-0.16, 1.44), (0.2, 1.0)], (0.03, 0.03), figure.bag_colour)
        pen.shape([(0.12, 1.0), (0.32, 1.0), (0.34, 0.78), (0.1, 0.78)], figure.bag_colour)
    elif not figure.away:
        pen.shape([(-0.05, 1.5), (0.05, 1.5), (0.0, 1.3)], scaled(figure.bag_colour, 1.1), label=False)
        pen.limb([(0.0, 1.3), (0.0, hem + 0.04)], (0.015, 0.015), scaled(figure.coat, 0.6), label=False)
    draw_head(pen, (0.0, 1.62), figure)


def _draw_leg(pen: Pen, hip: Point, swing: float, turn: int, cloth: Colour) -> None:
    """A leg from the side; it bends when it is behind."""
    behind = max(0.0, -swing * turn)
    knee = (swing * 0.5 + 0.05 * turn, 0.49)
    ankle = (swing + 0.02 * turn - behind * 0.3 * turn, 0.08 + behind * 0.35)
    pen.limb([hip, knee, ankle], (0.2, 0.105), cloth)
    pen.limb([(ankle[0], ankle[1] - 0.03), (ankle[0] + 0.14 * turn, ankle[1] - 0.045)], (0.1, 0.075), SHOES)


def draw_arm(pen: Pen, shoulder: Point, elbow: Point, hand: Point, figure: Figure, tone: float) -> None:
    pen.limb([shoulder, elbow, hand], (0.13, 0.085), scaled(figure.coat, tone))
    beyond = (hand[0] + (hand[0] - elbow[0]) * 0.18, hand[1] + (hand[1] - elbow[1]) * 0.18)
    pen.limb([hand, beyond], (0.08, 0.07), figure.skin)


def draw_head(pen: Pen, centre: Point, figure: Figure) -> None:
    x, y = centre
    turn = figure.facing
    pen.limb([(x * 0.5, y - 0.18), (x * 0.8, y - 0.06)], (0.11, 0.1), scaled(figure.skin, 0.8))
    if figure.long_hair:
        pen.oval((x - 0.04 * turn, y - 0.05), (0.105, 0.17), figure.hair)
    if turn == 0 and figure.away:
        pen.oval((x, y), (0.088, 0.122), figure.hair)
        return
    pen.oval((x, y), (0.082, 0.118), figure.skin)
    pen.oval((x + 0.02, y - 0.02), (0.055, 0.085), scaled(figure.skin, 1.08), label=False)
    pen.oval((x - 0.025 * turn, y + 0.07), (0.088, 0.068), figure.hair)
    if turn:
        pen.oval((x - 0.055 * turn, y + 0.02), (0.045, 0.085), figure.hair)
