"""People on foot, and riders with their bicycles: figures of rounded limbs, drawn where they stand."""

from dataclasses import dataclass

import numpy as np

from data.scenes.canvas import Colour
from data.scenes.ids import BICYCLE, PERSON, RIDER
from data.scenes.stage import Place, Shadow, Stage

CLOTHES: tuple[Colour, ...] = (
    (34, 38, 52), (52, 50, 50), (120, 34, 40), (60, 84, 120), (172, 164, 148), (196, 198, 200), (70, 88, 62),
    (150, 96, 52), (28, 28, 30), (96, 60, 96), (206, 166, 60), (44, 98, 108),
)  # fmt: skip
SKINS: tuple[Colour, ...] = ((226, 184, 156), (198, 150, 120), (146, 100, 74), (96, 66, 50))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    place: Place
    height: float
    stride: float  # -1..1, where in the step
    facing: int  # -1 left, +1 right, 0 along the street
    coat: Colour
    trousers: Colour
    skin: Colour
    hair: Colour
    bag: bool
    riding: bool = False

    @property
    def depth(self) -> float:
        return self.place[2]


def choose_figure(rng: np.random.Generator, place: Place, *, riding: bool = False) -> Figure:
    return Figure(
        place=place,
        height=float(np.clip(rng.normal(1.72, 0.1), 1.2, 1.95)),
        stride=float(rng.uniform(-1, 1)),
        facing=int(rng.choice([-1, 0, 1])),
        coat=_cloth(rng),
        trousers=_cloth(rng) if rng.random() < 0.4 else (38 + rng.uniform(-8, 20), 42, 56),
        skin=SKINS[rng.integers(len(SKINS))],
        hair=(40 + rng.uniform(-20, 90), 34 + rng.uniform(-16, 50), 30),
        bag=bool(rng.random() < 0.35),
        riding=riding,
    )


def _cloth(rng: np.random.Generator) -> Colour:
    red, green, blue = (float(np.clip(c + rng.normal(0, 10), 10, 240)) for c in CLOTHES[rng.integers(len(CLOTHES))])
    return red, green, blue


def shadow_of(figure: Figure) -> Shadow:
    x, _, z = figure.place
    return Shadow(
        np.array([[x - 0.24, z - 0.12], [x + 0.24, z - 0.12], [x + 0.24, z + 0.12], [x - 0.24, z + 0.12]]),
        figure.height,
    )


@dataclass(frozen=True, slots=True)
class Pen:
    """Draws limbs in metres around a place: x to the right, y up."""

    stage: Stage
    origin: tuple[float, float, float]  # canvas x, y, pixels per metre
    depth: float
    label: int

    def limb(self, joints: list[tuple[float, float]], widths: tuple[float, float], colour: Colour) -> None:
        """A tapered limb through the joints, with round ends; a strip on the right is lighter or darker by the sun."""
        x0, y0, scale = self.origin
        points = [(x0 + x * scale, y0 - y * scale) for x, y in joints]
        count = len(points)
        base = self.stage.mood.lit(colour, (0.0, 0.25, -0.97), self.depth)
        for index in range(count - 1):
            start = widths[0] + (widths[1] - widths[0]) * index / max(1, count - 1)
            end = widths[0] + (widths[1] - widths[0]) * (index + 1) / max(1, count - 1)
            self._segment((points[index], points[index + 1]), (start * scale / 2, end * scale / 2), base)

    def _segment(
        self, ends: tuple[tuple[float, float], tuple[float, float]], radii: tuple[float, float], colour: Colour
    ) -> None:
        (ax, ay), (bx, by) = ends
        along = np.array([bx - ax, by - ay])
        length = float(np.hypot(*along)) or 1.0
        nx, ny = -along[1] / length, along[0] / length
        outline = [
            (ax + nx * radii[0], ay + ny * radii[0]), (bx + nx * radii[1], by + ny * radii[1]),
            (bx - nx * radii[1], by - ny * radii[1]), (ax - nx * radii[0], ay - ny * radii[0]),
        ]  # fmt: skip
        canvas = self.stage.canvas
        canvas.polygon(outline, colour, self.label)
        for (x, y), radius in zip(ends, radii, strict=True):
            if radius > 0.7:
                canvas.ellipse((x - radius, y - radius, x + radius, y + radius), colour, self.label)


def draw_figure(stage: Stage, figure: Figure) -> None:
    spot = stage.upright(figure.place)
    if spot is None:
        return
    x, y, scale = spot
    pen = Pen(stage, (x, y, scale * figure.height / 1.75), figure.depth, PERSON)
    swing = figure.stride * (0.26 if figure.facing else 0.08)
    lean = 0.04 * figure.facing
    far, near = _scaled(figure.trousers, 0.75), figure.trousers
    apart = 0.03 if figure.facing else 0.09
    pen.limb(
        [(apart, 0.9), (apart + swing * 0.5 + 0.05 * figure.facing, 0.48), (swing + apart, 0.06)], (0.19, 0.1), far
    )
    pen.limb([(swing + apart, 0.05), (swing + apart + 0.12 * figure.facing, 0.04)], (0.1, 0.08), (30, 28, 28))
    pen.limb(
        [(lean + 0.02, 1.4), (-swing * 0.5 - 0.02, 1.12), (-swing * 0.8, 0.86)],
        (0.12, 0.08),
        _scaled(figure.coat, 0.75),
    )
    pen.limb(
        [(-apart, 0.9), (-apart - swing * 0.5 + 0.05 * figure.facing, 0.48), (-swing - apart, 0.06)], (0.2, 0.11), near
    )
    pen.limb([(-swing - apart, 0.05), (-swing - apart + 0.12 * figure.facing, 0.04)], (0.1, 0.08), (30, 28, 28))
    _draw_upper_body(pen, figure, (lean, 0.86), swing)


def _draw_upper_body(pen: Pen, figure: Figure, hip: tuple[float, float], swing: float) -> None:
    x, y = hip
    wide = 0.3 if figure.facing else 0.38
    pen.limb([(x, y + 0.06), (x, y + 0.32), (x, y + 0.54)], (wide * 0.9, wide * 0.88), figure.coat)
    side = 0.0 if figure.facing else 0.21
    if not figure.facing:
        pen.limb(
            [(x - side, y + 0.5), (x - side - 0.03, y + 0.24), (x - side, y)], (0.11, 0.08), _scaled(figure.coat, 0.9)
        )
    pen.limb(
        [(x + side, y + 0.52), (x + side + swing * 0.6, y + 0.26), (x + side + swing, y + 0.03)],
        (0.12, 0.08),
        _scaled(figure.coat, 1.12),
    )
    pen.limb([(x + side + swing, y + 0.02), (x + side + swing, y - 0.03)], (0.08, 0.07), figure.skin)
    head = x + 0.03 * figure.facing
    pen.limb([(head, y + 0.6), (head, y + 0.68)], (0.1, 0.1), _scaled(figure.skin, 0.85))
    pen.limb([(head, y + 0.74), (head, y + 0.8)], (0.17, 0.18), figure.skin)
    pen.limb(
        [(head - 0.015 * figure.facing, y + 0.8), (head - 0.02 * figure.facing, y + 0.84)], (0.19, 0.17), figure.hair
    )
    if figure.bag:
        pen.limb(
            [(x - 0.14 * (figure.facing or 1), y + 0.42), (x - 0.14 * (figure.facing or 1), y + 0.18)],
            (0.2, 0.22),
            _scaled(figure.trousers, 1.3),
        )


def draw_rider(stage: Stage, figure: Figure) -> None:
    spot = stage.upright(figure.place)
    if spot is None:
        return
    pen = Pen(stage, spot, figure.depth, RIDER)
    cycle = Pen(stage, spot, figure.depth, BICYCLE)
    if figure.facing:
        _draw_side_bicycle(cycle, figure)
        turn = figure.facing
        crank = figure.stride * 0.14
        pen.limb([(-0.2 * turn, 0.98), (0.12 * turn, 0.72), (0.02 * turn + crank, 0.3)], (0.18, 0.1), figure.trousers)
        _draw_leaning(pen, figure, turn)
        return
    cycle.limb([(0, 0.03), (0, 0.66)], (0.07, 0.07), (32, 32, 34))
    cycle.limb([(-0.26, 1.02), (0.26, 1.02)], (0.05, 0.05), (60, 60, 62))
    for side in (-1, 1):
        bend = 0.12 * figure.stride * side
        pen.limb([(0.09 * side, 0.98), (0.13 * side, 0.68), (0.1 * side, 0.34 + bend)], (0.19, 0.1), figure.trousers)
    _draw_upper_body(pen, figure, (0.0, 0.92), 0.0)


def _draw_leaning(pen: Pen, figure: Figure, turn: int) -> None:
    pen.limb([(-0.2 * turn, 1.0), (0.0, 1.3), (0.1 * turn, 1.46)], (0.28, 0.3), figure.coat)
    pen.limb([(0.1 * turn, 1.44), (0.26 * turn, 1.22), (0.42 * turn, 1.1)], (0.11, 0.08), _scaled(figure.coat, 1.1))
    pen.limb([(0.18 * turn, 1.66), (0.2 * turn, 1.72)], (0.18, 0.19), figure.skin)
    pen.limb([(0.16 * turn, 1.74), (0.17 * turn, 1.78)], (0.2, 0.17), figure.hair)


def _draw_side_bicycle(pen: Pen, figure: Figure) -> None:
    turn, frame = figure.facing, figure.coat
    for hub in (-0.52 * turn, 0.52 * turn):
        ring = [(hub + 0.33 * np.cos(a), 0.34 + 0.33 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 21)]
        pen.limb(ring, (0.045, 0.045), RUBBER_TYRE)
    for joints in (
        [(-0.52 * turn, 0.34), (-0.05 * turn, 0.3), (0.36 * turn, 0.82), (-0.2 * turn, 0.8), (-0.05 * turn, 0.3)],
        [(-0.52 * turn, 0.34), (-0.2 * turn, 0.8), (-0.23 * turn, 0.94)],
        [(0.52 * turn, 0.34), (0.34 * turn, 0.95), (0.44 * turn, 1.02)],
    ):
        pen.limb(joints, (0.045, 0.045), frame)


RUBBER_TYRE: Colour = (30, 30, 32)


def _scaled(colour: Colour, factor: float) -> Colour:
    return colour[0] * factor, colour[1] * factor, colour[2] * factor
