"""Street furniture: lamps, traffic lights, signs, bollards."""

from dataclasses import dataclass

import numpy as np

from data.scenes.canvas import Colour
from data.scenes.ids import POLE, STATIC, TRAFFIC_LIGHT, TRAFFIC_SIGN
from data.scenes.stage import Place, Shadow, Stage

METAL: tuple[Colour, ...] = ((112, 116, 118), (66, 70, 70), (40, 48, 46), (150, 152, 150))


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """kind: "lamp", "light", "sign", "bollard" or "bin"; reach: metres to the side, towards the road when it points there."""

    kind: str
    place: Place
    height: float
    reach: float
    metal: Colour
    face: int  # which sign, or which lamp of a traffic light is on

    @property
    def depth(self) -> float:
        return self.place[2]


def choose_post(rng: np.random.Generator, kind: str, place: Place, towards_road: int) -> Post:
    height = {
        "lamp": rng.uniform(6, 9),
        "light": rng.uniform(3.2, 3.8),
        "sign": rng.uniform(2.3, 3.0),
        "bollard": 0.95,
        "bin": rng.uniform(0.9, 1.3),
    }[kind]
    reach = {"lamp": rng.uniform(0.8, 2.4), "light": 3.5 if rng.random() < 0.3 else 0.0}.get(kind, 0.0)
    return Post(
        kind=kind,
        place=place,
        height=float(height + (2.2 if reach > 3 else 0)),
        reach=float(reach * towards_road),
        metal=METAL[rng.integers(len(METAL))],
        face=int(rng.integers(12)),
    )


def shadow_of(post: Post) -> Shadow:
    x, _, z = post.place
    half = 0.08
    return Shadow(
        np.array([[x - half, z - half], [x + half, z - half], [x + half, z + half], [x - half, z + half]]), post.height
    )


@dataclass(frozen=True, slots=True)
class Brush:
    """Draws in metres around the foot of a post: x to the right, y up."""

    stage: Stage
    origin: tuple[float, float, float]
    depth: float

    def point(self, x: float, y: float) -> tuple[float, float]:
        return self.origin[0] + x * self.origin[2], self.origin[1] - y * self.origin[2]

    def shape(
        self, points: list[tuple[float, float]], colour: Colour, label: int | None, *, glow: bool = False
    ) -> None:
        self.stage.canvas.polygon([self.point(x, y) for x, y in points], self._tone(colour, glow), label)

    def disc(
        self, centre: tuple[float, float], radius: float, colour: Colour, label: int | None, *, glow: bool = False
    ) -> None:
        x, y = self.point(*centre)
        size = radius * self.origin[2]
        self.stage.canvas.ellipse((x - size, y - size, x + size, y + size), self._tone(colour, glow), label)

    def bar(self, start: tuple[float, float], end: tuple[float, float], width: float, colour: Colour) -> None:
        """A piece of pole: lighter on one side, and never thinner than a pixel of the finished picture."""
        wide = max(2.0, width * self.origin[2])
        line = [self.point(*start), self.point(*end)]
        self.stage.canvas.line(line, wide, self._tone(colour, False), POLE)
        if wide > 4:
            shift = wide * 0.25
            moved = [(x + shift, y) for x, y in line]
            darker = (colour[0] * 0.7, colour[1] * 0.7, colour[2] * 0.7)
            self.stage.canvas.line(moved, wide * 0.4, self._tone(darker, False), None)

    def _tone(self, colour: Colour, glow: bool) -> Colour:
        mood = self.stage.mood
        return mood.hazed(colour, self.depth) if glow else mood.lit(colour, (0.0, 0.25, -0.97), self.depth)


def draw_post(stage: Stage, post: Post) -> None:
    spot = stage.upright(post.place)
    if spot is None or post.place[2] < 2.5:
        return
    brush = Brush(stage, spot, post.depth)
    {"lamp": _lamp, "light": _light, "sign": _sign, "bollard": _bollard, "bin": _bin}[post.kind](brush, post)


def _lamp(brush: Brush, post: Post) -> None:
    brush.bar((0, 0), (0, 1.2), 0.2, post.metal)
    brush.bar((0, 1.0), (0, post.height), 0.12, post.metal)
    end = (post.reach, post.height + 0.35)
    brush.bar((0, post.height), end, 0.08, post.metal)
    side = 1 if post.reach > 0 else -1
    head = [
        (end[0] - 0.1 * side, end[1] + 0.1),
        (end[0] + 0.65 * side, end[1] + 0.12),
        (end[0] + 0.6 * side, end[1] - 0.06),
        (end[0] - 0.1 * side, end[1] - 0.06),
    ]
    brush.shape(head, (128, 130, 130), POLE)
    if brush.stage.mood.lamps > 0.2:
        under = [(x, min(y, end[1])) for x, y in head]
        brush.shape(under, (255, 226, 170), POLE, glow=True)


def _light(brush: Brush, post: Post) -> None:
    brush.bar((0, 0), (0, post.height), 0.13, post.metal)
    if post.reach:
        brush.bar((0, post.height - 0.1), (post.reach, post.height - 0.1), 0.1, post.metal)
        _signal(brush, (post.reach, post.height + 0.1), post.face)
    _signal(brush, (0.0, min(post.height, 3.3) + 0.1), post.face)


def _signal(brush: Brush, top: tuple[float, float], face: int) -> None:
    x, y = top
    brush.shape(
        [(x - 0.24, y + 0.06), (x + 0.24, y + 0.06), (x + 0.24, y - 1.0), (x - 0.24, y - 1.0)],
        (24, 26, 26),
        TRAFFIC_LIGHT,
    )
    on = (0, 0, 2, 2, 2, 1)[face % 6]
    colours: tuple[Colour, ...] = ((255, 60, 44), (255, 190, 60), (70, 250, 150))
    for index, colour in enumerate(colours):
        centre = (x, y - 0.16 - 0.3 * index)
        if index == on:
            brush.disc(centre, 0.12, colour, None, glow=True)
        else:
            brush.disc(centre, 0.12, (colour[0] * 0.22, colour[1] * 0.22, colour[2] * 0.22), None)


def _bollard(brush: Brush, post: Post) -> None:
    brush.bar((0, 0), (0, post.height), 0.16, post.metal)
    brush.shape([(-0.08, 0.72), (0.08, 0.72), (0.08, 0.8), (-0.08, 0.8)], (220, 220, 214), None)


def _bin(brush: Brush, post: Post) -> None:
    colour: Colour = ((44, 48, 46), (36, 70, 50), (150, 34, 34), (90, 92, 94))[post.face % 4]
    high = post.height
    brush.shape([(-0.26, 0), (0.26, 0), (0.28, high), (-0.28, high)], colour, STATIC)
    brush.shape(
        [(0.08, 0), (0.26, 0), (0.28, high), (0.08, high)], (colour[0] * 0.7, colour[1] * 0.7, colour[2] * 0.7), None
    )
    brush.shape([(-0.31, high), (0.31, high), (0.27, high + 0.1), (-0.27, high + 0.1)], colour, STATIC)
    brush.shape(
        [(-0.16, high - 0.28), (0.16, high - 0.28), (0.16, high - 0.14), (-0.16, high - 0.14)], (18, 18, 20), None
    )


def _sign(brush: Brush, post: Post) -> None:
    brush.bar((0, 0), (0, post.height), 0.07, post.metal)
    y = post.height - 0.05
    kind = post.face % 6
    if kind == 0:
        _round_sign(brush, y, (204, 34, 38), (240, 240, 238))
    elif kind == 1:
        _round_sign(brush, y, (30, 84, 164), (30, 84, 164))
        brush.shape([(-0.05, y - 0.2), (0.05, y - 0.2), (0.05, y + 0.18), (-0.05, y + 0.18)], (240, 240, 240), None)
    elif kind == 2:
        _triangle(brush, y)
    elif kind == 3:
        _board(brush, (-0.3, y - 0.3, 0.3, y + 0.3), (28, 82, 160), 0)
        brush.disc((0, y), 0.14, (240, 240, 240), None)
    elif kind == 4:
        _board(brush, (-1.0, y - 0.25, 1.0, y + 0.75), (20, 92, 70) if post.face > 5 else (30, 70, 140), 3)
    else:
        _round_sign(brush, y, (204, 34, 38), (204, 34, 38))
        brush.shape([(-0.2, y - 0.05), (0.2, y - 0.05), (0.2, y + 0.05), (-0.2, y + 0.05)], (240, 240, 240), None)


def _round_sign(brush: Brush, y: float, rim: Colour, inside: Colour) -> None:
    brush.disc((0, y), 0.33, rim, TRAFFIC_SIGN)
    brush.disc((0, y), 0.25, inside, None)
    if sum(inside) > 600:
        brush.shape([(-0.12, y - 0.12), (-0.03, y - 0.12), (-0.03, y + 0.12), (-0.12, y + 0.12)], (30, 30, 32), None)
        brush.disc((0.08, y), 0.09, (30, 30, 32), None)
        brush.disc((0.08, y), 0.05, inside, None)


def _triangle(brush: Brush, y: float) -> None:
    brush.shape([(-0.42, y - 0.3), (0.42, y - 0.3), (0, y + 0.42)], (204, 34, 38), TRAFFIC_SIGN)
    brush.shape([(-0.27, y - 0.22), (0.27, y - 0.22), (0, y + 0.25)], (240, 240, 236), None)
    brush.shape([(-0.03, y - 0.12), (0.03, y - 0.12), (0.03, y + 0.1), (-0.03, y + 0.1)], (30, 30, 32), None)


def _board(brush: Brush, area: tuple[float, float, float, float], colour: Colour, lines: int) -> None:
    left, low, right, high = area
    brush.shape([(left, low), (right, low), (right, high), (left, high)], (236, 236, 234), TRAFFIC_SIGN)
    edge = 0.04
    brush.shape(
        [
            (left + edge, low + edge),
            (right - edge, low + edge),
            (right - edge, high - edge),
            (left + edge, high - edge),
        ],
        colour,
        None,
    )
    for index in range(lines):
        y = high - 0.22 - index * 0.28
        end = right - 0.3 - 0.35 * (index % 2)
        brush.shape([(left + 0.2, y), (end, y), (end, y + 0.1), (left + 0.2, y + 0.1)], (236, 236, 234), None)
