"""Buses and trucks: boxes with windows, doors, stripes, lights and wheels."""

from dataclasses import dataclass

import numpy as np

from data.scenes.camera import NEAR_M
from data.scenes.canvas import Colour
from data.scenes.ids import BUS, TRUCK
from data.scenes.stage import Stage
from data.scenes.tones import scaled
from data.scenes.vehicles import GLASS, Vehicle, draw_wheel, end_seen, shine, side_seen

Area = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a vehicle in local metres: from rear to front, from low to high."""

    rear: float
    front: float
    low: float
    high: float
    half: float
    paint: Colour
    label: int


def draw_bus(stage: Stage, vehicle: Vehicle) -> None:
    half, long = vehicle.width / 2, vehicle.length / 2
    body = Box(-long, long, 0.32, vehicle.height, half, vehicle.paint, BUS)
    side, end = _begin(stage, vehicle, body)
    if not end:
        return
    rows = [(1.15, 2.15)] if vehicle.height < 3.6 else [(1.15, 2.05), (2.75, 3.6)]
    for low, high in rows:
        for z in np.arange(-long + 0.4, long - 0.6, 1.45).tolist():
            _side(stage, vehicle, body, side, ((z, low, min(z + 1.37, long - 0.1), high), GLASS, 0.8))
    _side(stage, vehicle, body, side, ((-long, 0.75, long, 0.9), scaled(vehicle.paint, 0.6), 0.2))
    _end(stage, vehicle, body, end, ((-half + 0.12, 1.05, half - 0.12, 2.3), GLASS, 0.8))
    if len(rows) > 1:
        _end(stage, vehicle, body, end, ((-half + 0.12, 2.75, half - 0.12, 3.65), GLASS, 0.8))
    sign: Colour = (250, 180, 60) if end > 0 else (40, 40, 44)
    _end(stage, vehicle, body, end, ((-half * 0.7, 2.4, half * 0.7, 2.65), sign, 0.0))
    _lights(stage, vehicle, body, end, 0.7)
    _wheels(stage, vehicle, side, (-long * 0.55, long * 0.55), BUS)


def draw_truck(stage: Stage, vehicle: Vehicle) -> None:
    half, long = vehicle.width / 2, vehicle.length / 2
    cargo = Box(-long, long - 2.0, 0.95, vehicle.height, half, vehicle.paint, TRUCK)
    cab = Box(long - 1.85, long, 0.45, vehicle.height * 0.8, half * 0.95, scaled(vehicle.paint, 0.85), TRUCK)
    frame = Box(-long + 0.1, long - 1.0, 0.5, 0.95, half * 0.8, (40, 40, 42), TRUCK)
    rear_seen = end_seen(stage, vehicle) < 0
    for box in (frame, *((cab, cargo) if rear_seen else (cargo, cab))):
        side, end = _begin(stage, vehicle, box)
        if not end:
            return
        if box is cab:
            high = box.high - 0.25
            _end(stage, vehicle, box, end, ((-half * 0.85, high - 0.95, half * 0.85, high), GLASS, 0.8))
            _side(stage, vehicle, box, side, ((long - 1.2, high - 0.85, long - 0.2, high), GLASS, 0.8))
            _lights(stage, vehicle, box, end, 0.65)
        if box is cargo and end < 0:
            _end(stage, vehicle, box, end, ((-0.02, 1.0, 0.02, box.high - 0.1), (60, 60, 62), 0.0))
            _lights(stage, vehicle, box, end, 1.05)
    side = side_seen(stage, vehicle)
    _wheels(stage, vehicle, side, (-long * 0.55, long * 0.7), TRUCK)


def _begin(stage: Stage, vehicle: Vehicle, box: Box) -> tuple[int, int]:
    """Draw the box's visible faces; returns which side and which end the camera sees (0: none)."""
    if stage.depth((vehicle.x, 0.0, vehicle.z)) < vehicle.length / 2 + NEAR_M:
        return 0, 0
    side, end = side_seen(stage, vehicle), end_seen(stage, vehicle)
    if box.high < stage.camera.y:
        _paint(stage, vehicle, box, _top(box), (0.0, 1.0, 0.0), (box.paint, 0.3))
    _side(stage, vehicle, box, side, ((box.rear, box.low, box.front, box.high), box.paint, 0.3))
    _end(stage, vehicle, box, end, ((-box.half, box.low, box.half, box.high), box.paint, 0.3))
    return side, end


def _top(box: Box) -> list[tuple[float, float, float]]:
    y = box.high
    return [(-box.half, y, box.rear), (box.half, y, box.rear), (box.half, y, box.front), (-box.half, y, box.front)]


def _side(stage: Stage, vehicle: Vehicle, box: Box, side: int, mark: tuple[Area, Colour, float]) -> None:
    """mark: area (rear, bottom, front, top), colour, gloss."""
    if side:
        (rear, low, front, high), colour, gloss = mark
        x = side * (box.half + 0.001)
        corners = [(x, low, rear), (x, low, front), (x, high, front), (x, high, rear)]
        _paint(stage, vehicle, box, corners, (float(side), 0.0, 0.0), (colour, gloss))


def _end(stage: Stage, vehicle: Vehicle, box: Box, end: int, mark: tuple[Area, Colour, float]) -> None:
    """mark: area (left, bottom, right, top), colour, gloss."""
    (left, low, right, high), colour, gloss = mark
    z = box.front if end > 0 else box.rear
    corners = [(left, low, z), (right, low, z), (right, high, z), (left, high, z)]
    _paint(stage, vehicle, box, corners, (0.0, 0.0, float(end)), (colour, gloss))


def _paint(
    stage: Stage,
    vehicle: Vehicle,
    box: Box,
    corners: list[tuple[float, float, float]],
    normal: tuple[float, float, float],
    coat: tuple[Colour, float],
) -> None:
    world = vehicle.to_world(np.array(corners))
    turned = vehicle.turned(np.array(normal))
    to_eye = np.array([stage.camera.x, stage.camera.y, 0.0]) - world.mean(axis=0)
    to_eye /= np.linalg.norm(to_eye)
    colour = shine(stage.mood, np.array([coat[0]], float), turned[None], to_eye[None], np.array([coat[1]]))[0]
    red, green, blue = colour.tolist()
    stage.face(world, stage.mood.hazed((red, green, blue), vehicle.z), box.label)


def _lights(stage: Stage, vehicle: Vehicle, box: Box, end: int, y: float) -> None:
    on = stage.mood.lamps > 0.1
    if end > 0:
        colour: Colour = (255, 246, 214) if on else (206, 212, 218)
    else:
        colour = (250, 50, 40) if on or vehicle.braking else (140, 26, 26)
    for left in (-box.half + 0.1, box.half - 0.42):
        _end(stage, vehicle, box, end, ((left, y, left + 0.32, y + 0.2), colour, 0.0))


def _wheels(stage: Stage, vehicle: Vehicle, side: int, positions: tuple[float, ...], label: int) -> None:
    if side:
        for z in positions:
            draw_wheel(stage, vehicle, (side * vehicle.width / 2, z), 0.48, label)
