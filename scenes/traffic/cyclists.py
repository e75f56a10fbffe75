"""Bicycles and motorcycles: with riders on the road, and standing at the kerb."""

from dataclasses import dataclass

import numpy as np

from scenes.drawing.canvas import Colour
from scenes.drawing.pen import Pen, Point
from scenes.drawing.stage import Place, Shadow, Stage
from scenes.drawing.tones import pick, scaled
from scenes.ids import BICYCLE, MOTORCYCLE, RIDER
from scenes.traffic.people import Figure, draw_arm, draw_head

FRAMES: tuple[Colour, ...] = ((150, 36, 36), (36, 60, 104), (40, 42, 44), (170, 172, 174), (46, 96, 70), (190, 150, 60))
TYRE: Colour = (30, 30, 32)
STEEL: Colour = (140, 142, 146)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """rider: None for a parked one; facing as of a Figure; motor: a motorcycle."""

    place: Place
    facing: int
    frame: Colour
    motor: bool
    rider: Figure | None

    @property
    def depth(self) -> float:
        return self.place[2]


def choose_cycle(
    rng: np.random.Generator, place: Place, facing: int, rider: Figure | None, *, motor: bool = False
) -> Cycle:
    return Cycle(place=place, facing=facing, frame=pick(rng, FRAMES, 8), motor=motor, rider=rider)


def shadow_of(cycle: Cycle) -> Shadow:
    x, _, z = cycle.place
    across, along = (0.85, 0.08) if cycle.facing else (0.15, 0.8)
    corners = [[x - across, z - along], [x + across, z - along], [x + across, z + along], [x - across, z + along]]
    return Shadow(np.array(corners), 1.6 if cycle.rider else 0.9)


def draw_cycle(stage: Stage, cycle: Cycle) -> None:
    spot = stage.upright(cycle.place)
    if spot is None:
        return
    machine = Pen(stage, spot, cycle.depth, MOTORCYCLE if cycle.motor else BICYCLE)
    draw_machine = _draw_motor if cycle.motor else _draw_bicycle
    if cycle.facing:
        draw_machine(machine, cycle)
        if cycle.rider:
            _draw_rider_side(Pen(stage, spot, cycle.depth, RIDER), cycle.rider, cycle.facing)
        return
    _draw_end(machine, cycle)
    if cycle.rider:
        _draw_rider_end(Pen(stage, spot, cycle.depth, RIDER), cycle.rider)


def _draw_bicycle(pen: Pen, cycle: Cycle) -> None:
    turn = cycle.facing
    for hub in (-0.52, 0.52):
        _draw_wheel(pen, (hub * turn, 0.34), 0.33, 0.045)
    strokes: tuple[list[Point], ...] = (
        [(-0.52, 0.34), (-0.05, 0.3), (0.36, 0.82), (-0.2, 0.8), (-0.05, 0.3)],
        [(-0.52, 0.34), (-0.2, 0.8), (-0.23, 0.94)],
        [(0.52, 0.34), (0.34, 0.95), (0.44, 1.02)],
    )
    for stroke in strokes:
        pen.limb([(x * turn, y) for x, y in stroke], (0.045, 0.045), cycle.frame)
    pen.limb([(-0.34 * turn, 0.95), (-0.12 * turn, 0.97)], (0.07, 0.05), TYRE)


def _draw_wheel(pen: Pen, hub: Point, radius: float, thick: float) -> None:
    """The label map gets the whole disc, as people mark it; the picture gets tyre and spokes."""
    x, y, scale = pen.origin
    centre, size = (x + hub[0] * scale, y - hub[1] * scale), radius * scale
    box = (centre[0] - size, centre[1] - size, centre[0] + size, centre[1] + size)
    pen.stage.canvas.mark_ellipse(box, pen.ids)
    angles = np.linspace(0, 2 * np.pi, 19)
    ring = [(hub[0] + radius * float(np.cos(a)), hub[1] + radius * float(np.sin(a))) for a in angles]
    pen.limb(ring, (thick, thick), TYRE)
    if scale > 60:
        for angle in np.linspace(0, np.pi, 6, endpoint=False).tolist():
            reach = (radius * float(np.cos(angle)), radius * float(np.sin(angle)))
            spoke = [(hub[0] - reach[0], hub[1] - reach[1]), (hub[0] + reach[0], hub[1] + reach[1])]
            pen.limb(spoke, (0.008, 0.008), STEEL)


def _draw_motor(pen: Pen, cycle: Cycle) -> None:
    turn = cycle.facing
    for hub in (-0.62, 0.64):
        _draw_wheel(pen, (hub * turn, 0.3), 0.26, 0.1)
        pen.oval((hub * turn, 0.3), (0.1, 0.1), STEEL)
    pen.limb([(0.64 * turn, 0.3), (0.42 * turn, 0.9), (0.34 * turn, 1.04)], (0.07, 0.05), STEEL)
    engine = [(-0.3, 0.28), (0.3, 0.28), (0.36, 0.6), (-0.3, 0.6)]
    pen.shape([(x * turn, y) for x, y in engine], (62, 64, 68))
    tank = [(-0.72, 0.62), (-0.62, 0.78), (-0.1, 0.74), (0.04, 0.92), (0.38, 0.9), (0.36, 0.62)]
    pen.shape([(x * turn, y) for x, y in tank], cycle.frame)
    pen.limb([(-0.55 * turn, 0.8), (-0.08 * turn, 0.78)], (0.1, 0.1), TYRE)


def _draw_end(pen: Pen, cycle: Cycle) -> None:
    """From the front or behind: a tyre, and the handlebar above it."""
    wide = 0.16 if cycle.motor else 0.06
    pen.limb([(0, 0.05), (0, 0.64)], (wide, wide), TYRE)
    if cycle.motor:
        pen.shape([(-0.16, 0.5), (0.16, 0.5), (0.2, 0.9), (-0.2, 0.9)], cycle.frame)
    pen.limb([(0, 0.6), (0, 0.98)], (0.06, 0.05), cycle.frame)
    pen.limb([(-0.28, 1.02), (0.28, 1.02)], (0.045, 0.045), (70, 70, 72))


def _draw_rider_side(pen: Pen, rider: Figure, turn: int) -> None:
    crank = rider.stride * 0.15
    far = scaled(rider.trousers, 0.7)
    pen.limb([(-0.18 * turn, 0.98), (0.16 * turn, 0.74), (0.0 - crank, 0.34)], (0.18, 0.1), far)
    pen.limb([(-0.18 * turn, 0.98), (0.14 * turn, 0.68), (crank, 0.26)], (0.19, 0.1), rider.trousers)
    pen.limb([(crank, 0.22), (crank + 0.13 * turn, 0.2)], (0.09, 0.07), (34, 31, 30))
    back = [(-0.28, 1.0), (-0.08, 0.92), (0.26, 1.36), (0.2, 1.5), (0.06, 1.5)]
    pen.shape([(x * turn, y) for x, y in back], rider.coat)
    draw_arm(pen, (0.16 * turn, 1.42), (0.26 * turn, 1.18), (0.43 * turn, 1.06), rider, 1.1)
    draw_head(pen, (0.24 * turn, 1.64), rider)


def _draw_rider_end(pen: Pen, rider: Figure) -> None:
    for side in (-1, 1):
        bend = 0.12 * rider.stride * side
        pen.limb(
            [(0.1 * side, 0.98), (0.15 * side, 0.68 + bend * 0.5), (0.1 * side, 0.34 + bend)],
            (0.19, 0.1),
            rider.trousers,
        )
        pen.limb([(0.1 * side, 0.3 + bend), (0.1 * side, 0.27 + bend)], (0.1, 0.09), (34, 31, 30))
        draw_arm(pen, (0.19 * side, 1.42), (0.28 * side, 1.2), (0.25 * side, 1.04), rider, 0.85)
    torso = [(-0.08, 1.52), (0.08, 1.52), (0.21, 1.43), (0.2, 1.25), (0.16, 0.95)]
    pen.shape(torso + [(-x, y) for x, y in torso[::-1]], rider.coat)
    draw_head(pen, (0.0, 1.63), rider)
