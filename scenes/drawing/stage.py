"""What every drawing function gets: camera, light, street and canvas, and the few ways to draw in the world."""

from dataclasses import dataclass

import numpy as np

from scenes.drawing.camera import NEAR_M, Camera, Points
from scenes.drawing.canvas import Canvas, Colour
from scenes.mood import Mood
from scenes.street import Street

Place = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Stage:
    camera: Camera
    mood: Mood
    street: Street
    canvas: Canvas

    def depth(self, place: Place) -> float:
        return float(self.camera.to_camera(np.array([place]))[0, 2])

    def face(self, corners: Points, colour: Colour, label: int | None) -> None:
        """A flat polygon (N, 3) in the colour given, cut at the near plane."""
        self.canvas.polygon(self.camera.outline(corners), colour, label)

    def upright(self, place: Place) -> tuple[float, float, float] | None:
        """Canvas x and y of a place on the ground, and pixels per metre there; None behind the camera."""
        positions, depths = self.camera.project(np.array([place]))
        depth = float(depths[0])
        if depth < NEAR_M * 2:
            return None
        x, y = positions[0].tolist()
        return x, y, self.camera.pixels_per_metre(depth)


@dataclass(frozen=True, slots=True)
class Shadow:
    """What keeps the sun from the ground: an outline (N, 2) of X and Z, from one height to another, in metres."""

    outline: Points
    top: float
    bottom: float = 0.0
    leafy: bool = False
