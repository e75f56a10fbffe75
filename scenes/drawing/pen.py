"""Draws upright flat things in metres around a place on the ground: limbs, shapes, ovals. x to the right, y up."""

from dataclasses import dataclass

import numpy as np

from scenes.drawing.camera import SUPERSAMPLING
from scenes.drawing.canvas import Colour
from scenes.drawing.stage import Stage
from scenes.drawing.tones import scaled

Point = tuple[float, float]
Area = tuple[float, float, float, float]
TOWARDS_CAMERA = (0.0, 0.25, -0.97)
SHADE = 0.74
THIN_PX = 2.2  # thinner limbs are plain lines


@dataclass(frozen=True, slots=True)
class Pen:
    stage: Stage
    origin: tuple[float, float, float]  # canvas x, y, pixels per metre
    depth: float
    ids: int  # the label of what is drawn

    def limb(self, joints: list[Point], widths: tuple[float, float], colour: Colour, *, label: bool = True) -> None:
        """A tapered limb through the joints, with round ends; darker on the side away from the sun."""
        points = [self._place(joint) for joint in joints]
        steps = len(points) - 1
        radii = [(widths[0] + (widths[1] - widths[0]) * i / steps) * self.origin[2] / 2 for i in range(steps + 1)]
        base = self._tone(colour)
        mark = self.ids if label else None
        if max(radii) < THIN_PX:
            self.stage.canvas.line(points, sum(radii) / len(radii) * 2, base, mark)
            return
        for index in range(steps):
            self._segment((points[index], points[index + 1]), (radii[index], radii[index + 1]), base, mark)
        if radii[0] > 2 * THIN_PX:
            away = -0.45 if self._sun_from_right() else 0.45
            for index in range(steps):
                ends = [(x + away * r, y) for (x, y), r in zip(points[index : index + 2], radii[index:], strict=False)]
                shaded = (radii[index] * 0.5, radii[index + 1] * 0.5)
                self._segment((ends[0], ends[1]), shaded, scaled(base, SHADE), None)

    def shape(self, points: list[Point], colour: Colour, *, label: bool = True, glow: bool = False) -> None:
        """A polygon, with a darker strip on the side away from the sun."""
        base = self._tone(colour, glow=glow)
        self.stage.canvas.polygon([self._place(p) for p in points], base, self.ids if label else None)
        if self.origin[2] > 24 and not glow and label:
            middle = float(np.mean([x for x, _ in points]))
            side = -1 if self._sun_from_right() else 1
            edge = middle + 0.08 * side
            strip = [(max(x, edge) if side > 0 else min(x, edge), y) for x, y in points]
            self.stage.canvas.polygon([self._place(p) for p in strip], scaled(base, SHADE + 0.08), None)

    def rectangle(self, area: Area, colour: Colour, *, label: bool = True) -> None:
        """area: left, bottom, right, top. Flat, without shading."""
        left, bottom, right, top = area
        points = [self._place(point) for point in ((left, bottom), (right, bottom), (right, top), (left, top))]
        self.stage.canvas.polygon(points, self._tone(colour), self.ids if label else None)

    def oval(self, centre: Point, radii: Point, colour: Colour, *, label: bool = True, glow: bool = False) -> None:
        x, y = self._place(centre)
        across, up = radii[0] * self.origin[2], radii[1] * self.origin[2]
        box = (x - across, y - up, x + across, y + up)
        self.stage.canvas.ellipse(box, self._tone(colour, glow=glow), self.ids if label else None)

    def bar(self, start: Point, end: Point, width: float, colour: Colour) -> None:
        """A piece of pole: darker on one side, and never thinner than a pixel of the finished picture."""
        wide = max(float(SUPERSAMPLING), width * self.origin[2])
        line = [self._place(start), self._place(end)]
        self.stage.canvas.line(line, wide, self._tone(colour), self.ids)
        if wide > 4:
            shift = wide * (-0.25 if self._sun_from_right() else 0.25)
            moved = [(x + shift, y) for x, y in line]
            self.stage.canvas.line(moved, wide * 0.4, self._tone(scaled(colour, 0.7)), None)

    def _place(self, point: Point) -> Point:
        return self.origin[0] + point[0] * self.origin[2], self.origin[1] - point[1] * self.origin[2]

    def _tone(self, colour: Colour, *, glow: bool = False) -> Colour:
        mood = self.stage.mood
        return mood.hazed(colour, self.depth) if glow else mood.lit(colour, TOWARDS_CAMERA, self.depth)

    def _sun_from_right(self) -> bool:
        return bool(self.stage.mood.to_sun[0] > 0)

    def _segment(
        self, ends: tuple[Point, Point], radii: tuple[float, float], colour: Colour, label: int | None
    ) -> None:
        (ax, ay), (bx, by) = ends
        length = float(np.hypot(bx - ax, by - ay)) or 1.0
        nx, ny = -(by - ay) / length, (bx - ax) / length
        outline = [
            (ax + nx * radii[0], ay + ny * radii[0]),
            (bx + nx * radii[1], by + ny * radii[1]),
            (bx - nx * radii[1], by - ny * radii[1]),
            (ax - nx * radii[0], ay - ny * radii[0]),
        ]
        canvas = self.stage.canvas
        canvas.polygon(outline, colour, label)
        for (x, y), radius in zip(ends, radii, strict=True):
            if radius > 0.7:
                canvas.ellipse((x - radius, y - radius, x + radius, y + radius), colour, label)
