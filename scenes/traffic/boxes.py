"""Buses and trucks: boxes with windows, doors, stripes, lights, bumpers and wheels."""

from dataclasses import dataclass

import numpy as np

from scenes.drawing.camera import NEAR_M
from scenes.drawing.canvas import Colour
from scenes.drawing.stage import Stage
from scenes.drawing.tones import mixed, scaled
from scenes.ids import BUS, TRUCK
from scenes.traffic.vehicles import GLASS, Vehicle, draw_wheel, end_seen, shine, side_seen

Area = tuple[float, float, float, float]
Corner = tuple[float, float, float]
DARK: Colour = (30, 31, 33)
LAMP_ON: Colour = (255, 246, 214)
LAMP_OFF: Colour = (200, 206, 212)
BRAKE_ON: Colour = (255, 52, 40)
BRAKE_OFF: Colour = (138, 26, 26)
AMBER: Colour = (236, 176, 64)
DECKS = ((1.15, 2.1), (2.8, 3.65))  # low and high edge of the windows of each deck
PANE_M = 1.45
WHEEL_M = 0.48


def draw_bus(stage: Stage, vehicle: Vehicle) -> None:
    half, long = vehicle.width / 2, vehicle.length / 2
    body = Box(stage, vehicle, BUS, (-long, long), (0.3, vehicle.height), half)
    if not body.begin(vehicle.paint):
        return
    stripe = mixed(vehicle.paint, (235, 235, 230), 0.5) if sum(vehicle.paint) < 400 else scaled(vehicle.paint, 0.55)
    body.on_side((-long, 0.82, long, 0.95), stripe)
    body.on_side((-long, 0.3, long, 0.44), scaled(vehicle.paint, 0.4))
    decks = DECKS if vehicle.height > 3.6 else DECKS[:1]
    for low, high in decks:
        body.on_side((-long + 0.25, low - 0.04, long - 0.05, high + 0.04), DARK)
        for z in np.arange(-long + 0.35, long - 0.5, PANE_M).tolist():
            body.glass_on_side((z, low, min(z + PANE_M - 0.1, long - 0.1), high))
    body.glass_on_side((long - 1.5, 0.5, long - 0.95, 2.1))
    body.glass_on_side((long - 0.85, 0.5, long - 0.3, 2.1))
    _draw_bus_end(body, stripe, double=len(decks) > 1)
    body.draw_wheels((-long * 0.55, long * 0.52))


def _draw_bus_end(body: "Box", stripe: Colour, *, double: bool) -> None:
    half, front = body.half, body.end > 0
    body.on_end((-half, 0.3, half, 0.56), DARK)
    body.on_end((-half, 0.82, half, 0.95), stripe)
    low = 1.05 if front else 1.35
    body.glass_on_end((-half + 0.1, low, half - 0.1, 2.25))
    if front:
        body.on_end((-0.03, low, 0.03, 2.25), DARK)
        body.on_end((-half * 0.7, low - 0.02, half * 0.1, low + 0.04), (16, 16, 18))
    if double:
        body.glass_on_end((-half + 0.1, 2.85, half - 0.1, 3.75))
        body.on_end((-0.03, 2.85, 0.03, 3.75), DARK)
    body.on_end((-half * 0.74, 2.32, half * 0.74, 2.68), (18, 18, 20))
    if front:
        for x in np.arange(-half * 0.5, half * 0.55, 0.16).tolist():
            body.on_end((x, 2.42, x + 0.09, 2.58), AMBER, glow=True)
    else:
        body.on_end((-half * 0.6, 0.98, half * 0.6, 1.25), scaled(body.vehicle.paint, 0.6))
    body.draw_lights(0.6)


def draw_truck(stage: Stage, vehicle: Vehicle) -> None:
    half, long = vehicle.width / 2, vehicle.length / 2
    roof = vehicle.height * 0.8
    frame = Box(stage, vehicle, TRUCK, (-long + 0.1, long - 1.0), (0.5, 0.95), half * 0.8)
    cargo = Box(stage, vehicle, TRUCK, (-long, long - 2.0), (0.95, vehicle.height), half)
    cab = Box(stage, vehicle, TRUCK, (long - 1.85, long), (0.4, roof), half * 0.95)
    if not frame.begin(DARK):
        return
    for box in (cab, cargo) if cargo.end < 0 else (cargo, cab):
        box.begin(vehicle.paint if box is cargo else scaled(vehicle.paint, 0.86))
        if box is cab:
            _draw_cab(box)
        else:
            _draw_cargo(box)
    cargo.draw_wheels((-long * 0.55, long * 0.7))


def _draw_cab(cab: "Box") -> None:
    half, high, front = cab.half, cab.heights[1] - 0.3, cab.span[1]
    cab.glass_on_side((front - 1.15, high - 0.8, front - 0.15, high))
    cab.on_side((front - 1.2, 0.7, front - 1.17, high), scaled(cab.vehicle.paint, 0.5))
    if cab.end < 0:
        return
    cab.glass_on_end((-half * 0.9, high - 0.9, half * 0.9, high))
    cab.on_end((-half, 0.4, half, 0.78), DARK)
    cab.on_end((-half * 0.7, 0.95, half * 0.7, high - 1.05), scaled(cab.vehicle.paint, 0.45))
    for y in np.arange(1.0, high - 1.1, 0.14).tolist():
        cab.on_end((-half * 0.66, y, half * 0.66, y + 0.06), DARK)
    cab.draw_lights(0.5)


def _draw_cargo(cargo: "Box") -> None:
    half, (rear, front), (low, high) = cargo.half, cargo.span, cargo.heights
    edge = scaled(cargo.vehicle.paint, 0.7)
    for y in (low, high - 0.08):
        cargo.on_side((rear, y, front, y + 0.08), edge)
    cargo.on_side((rear + (front - rear) * 0.3, low + 0.9, rear + (front - rear) * 0.75, low + 1.5), edge)
    if cargo.end > 0:
        return
    cargo.on_end((-half, low, half, low + 0.1), DARK)
    for x in (-half, -0.02, half - 0.06):
        cargo.on_end((x, low, x + 0.06, high), edge)
    for x in (-half * 0.5, half * 0.5):
        cargo.on_end((x - 0.02, low + 0.2, x + 0.02, high - 0.2), (150, 150, 152))
    cargo.on_end((-half * 0.95, 0.5, half * 0.95, 0.66), DARK)
    cargo.on_end((-0.26, 0.68, 0.26, 0.8), (196, 170, 84))
    cargo.draw_lights(0.72)


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a vehicle in local metres: span from rear to front, heights from low to high, half its width."""

    stage: Stage
    vehicle: Vehicle
    label: int
    span: tuple[float, float]
    heights: tuple[float, float]
    half: float

    @property
    def side(self) -> int:
        return side_seen(self.stage, self.vehicle)

    @property
    def end(self) -> int:
        return end_seen(self.stage, self.vehicle)

    def begin(self, paint: Colour) -> bool:
        """The faces that the camera sees; False when the vehicle is too near to be drawn."""
        vehicle, (rear, front), (low, high) = self.vehicle, self.span, self.heights
        if self.stage.depth((vehicle.x, 0.0, vehicle.z)) < vehicle.length / 2 + NEAR_M:
            return False
        self._draw_underside()
        if high < self.stage.camera.y:
            half = self.half
            top: list[Corner] = [(-half, high, rear), (half, high, rear), (half, high, front), (-half, high, front)]
            self._paint(top, (0.0, 1.0, 0.0), paint, 0.3)
        self.on_side((rear, low, front, high), paint)
        for step in range(4):  # paint mirrors more of the sky the higher it is
            share = step / 4
            tone = scaled(paint, 0.86 + 0.16 * share)
            self.on_end((-self.half, low + (high - low) * share, self.half, high), tone)
        return True

    def on_side(self, area: Area, colour: Colour, *, gloss: float = 0.25) -> None:
        """area: rear, bottom, front, top."""
        if self.side:
            rear, low, front, high = area
            x = self.side * (self.half + 0.001)
            corners: list[Corner] = [(x, low, rear), (x, low, front), (x, high, front), (x, high, rear)]
            self._paint(corners, (float(self.side), 0.0, 0.0), colour, gloss)

    def on_end(self, area: Area, colour: Colour, *, gloss: float = 0.2, glow: bool = False) -> None:
        """area: left, bottom, right, top."""
        left, low, right, high = area
        z = self.span[1] if self.end > 0 else self.span[0]
        corners: list[Corner] = [(left, low, z), (right, low, z), (right, high, z), (left, high, z)]
        if glow:
            world = self.vehicle.to_world(np.array(corners))
            self.stage.face(world, self.stage.mood.hazed(colour, self.vehicle.z), self.label)
            return
        self._paint(corners, (0.0, 0.0, float(self.end)), colour, gloss)

    def glass_on_side(self, area: Area) -> None:
        rear, low, front, high = area
        self.on_side(area, GLASS, gloss=0.6)
        self.on_side((rear, low + (high - low) * 0.55, front, high), mixed(GLASS, (110, 122, 132), 0.3), gloss=0.6)

    def glass_on_end(self, area: Area) -> None:
        left, low, right, high = area
        for step in range(5):
            share = step / 5
            tone = mixed(GLASS, (112, 124, 136), 0.55 * share**1.5)
            self.on_end((left, low + (high - low) * share, right, high), tone, gloss=0.45)

    def draw_lights(self, y: float) -> None:
        on = self.stage.mood.lamps > 0.1 or (self.end < 0 and self.vehicle.braking)
        lit, unlit = (LAMP_ON, LAMP_OFF) if self.end > 0 else (BRAKE_ON, BRAKE_OFF)
        for left in (-self.half + 0.08, self.half - 0.4):
            self.on_end((left - 0.03, y - 0.03, left + 0.35, y + 0.23), DARK)
            self.on_end((left, y, left + 0.32, y + 0.2), lit if on else unlit, glow=on)

    def draw_wheels(self, positions: tuple[float, ...]) -> None:
        for z in positions if self.side else ():
            draw_wheel(self.stage, self.vehicle, (self.side * self.vehicle.width / 2, z), WHEEL_M, self.label)

    def _draw_underside(self) -> None:
        """Tyres seen from the front or behind, and the darkness between them."""
        z = self.end * self.vehicle.length * 0.36
        areas = [(-self.half + 0.05, 0.16, self.half - 0.05, 0.6, scaled(DARK, 0.5))]
        areas += [(x, 0.0, x + 0.3, 0.6, DARK) for x in (-self.half + 0.08, self.half - 0.38)]
        for left, low, right, high, colour in areas:
            corners = np.array([(left, low, z), (right, low, z), (right, high, z), (left, high, z)])
            self.stage.face(self.vehicle.to_world(corners), self.stage.mood.hazed(colour, self.vehicle.z), self.label)

    def _paint(self, corners: list[Corner], normal: Corner, colour: Colour, gloss: float) -> None:
        world = self.vehicle.to_world(np.array(corners))
        to_eye = self.stage.camera.place - world.mean(axis=0)
        to_eye /= np.linalg.norm(to_eye)
        facing = self.vehicle.turned(np.array(normal))
        shone = shine(self.stage.mood, np.array([colour]), facing[None], to_eye[None], np.array([gloss]))[0]
        red, green, blue = shone.tolist()
        self.stage.face(world, self.stage.mood.hazed((red, green, blue), self.vehicle.z), self.label)
