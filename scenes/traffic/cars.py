"""Cars: the mesh shaded face by face, then windows' edges, wheels, lights and plates, as far as they can be seen."""

from dataclasses import dataclass

import numpy as np

from scenes.drawing.camera import NEAR_M, Points
from scenes.drawing.canvas import Colour
from scenes.drawing.stage import Stage
from scenes.drawing.tones import scaled
from scenes.ids import CAR
from scenes.mood import Mood
from scenes.traffic.car_bodies import BODIES, CLEARANCE_M, WHEEL_RADIUS_M, WHEELS, Body, mesh, paint_of
from scenes.traffic.vehicles import Vehicle, draw_wheel, end_seen, shine, side_seen

DETAILED_M = 26.0
PLAIN_M = 100.0  # farther cars have no lights
Area = tuple[float, float, float, float]
LAMP_OFF: Colour = (196, 202, 208)
LAMP_ON: Colour = (255, 246, 214)
BRAKE_ON: Colour = (255, 50, 36)
BRAKE_OFF: Colour = (142, 26, 26)
PLATE_WHITE: Colour = (206, 206, 200)
PLATE_YELLOW: Colour = (198, 170, 84)


def draw_car(stage: Stage, vehicle: Vehicle) -> None:
    depth = stage.depth((vehicle.x, 0.0, vehicle.z))
    if depth < vehicle.length / 2 + NEAR_M:
        return
    fine = depth < DETAILED_M
    _draw_underside(stage, vehicle)
    _draw_faces(stage, vehicle, fine=fine)
    side = side_seen(stage, vehicle)
    if side:
        _draw_side(stage, vehicle, side, fine=fine)
    End(stage, vehicle, BODIES[vehicle.kind], end_seen(stage, vehicle), depth).draw()


def _draw_faces(stage: Stage, vehicle: Vehicle, *, fine: bool) -> None:
    """Back faces are left out, the others painted from far to near."""
    shape = mesh(vehicle.kind, fine=fine)
    faces = vehicle.to_world(shape.faces)
    normals = vehicle.turned(shape.normals)
    to_eye = np.array([stage.camera.x, stage.camera.y, 0.0]) - faces.mean(axis=1)
    to_eye /= np.linalg.norm(to_eye, axis=1, keepdims=True)
    positions, depths = stage.camera.project(faces.reshape(-1, 3))
    positions, depths = positions.reshape(-1, 8), depths.reshape(-1, 4)
    seen = ((normals * to_eye).sum(axis=1) > -0.02) & (depths.min(axis=1) > NEAR_M)
    order = np.flatnonzero(seen)[np.argsort(-depths[seen].mean(axis=1), kind="stable")]
    base, gloss = paint_of(shape.material[order], vehicle.paint)
    colours = shine(stage.mood, base, normals[order], to_eye[order], gloss)
    share = stage.mood.haze_share(vehicle.z)
    colours = colours * (1 - share) + np.array(stage.mood.haze) * share
    tones = np.clip(colours, 0, 255).astype(int)
    stage.canvas.polygons(positions[order].tolist(), tones.tolist(), CAR)


def _draw_underside(stage: Stage, vehicle: Vehicle) -> None:
    """Tyres seen from the front or behind, and the darkness between them."""
    end = end_seen(stage, vehicle) * vehicle.length * 0.31
    half = vehicle.width / 2 - 0.03
    mood = stage.mood
    _panel(stage, vehicle, (-half, 0.1, half, 0.45), end, mood.hazed((14, 14, 16), vehicle.z))
    for left in (-half, half - 0.2):
        tyre = mood.lit((30, 30, 32), (0.0, 0.0, -1.0), vehicle.z)
        _panel(stage, vehicle, (left, 0.0, left + 0.2, 0.5), end, tyre)


def _panel(stage: Stage, vehicle: Vehicle, area: Area, z: float, colour: Colour) -> None:
    """A rectangle across the vehicle: left, bottom, right, top in local metres."""
    left, bottom, right, top = area
    local = np.array([[left, bottom, z], [right, bottom, z], [right, top, z], [left, top, z]])
    stage.face(vehicle.to_world(local), colour, CAR)


def _draw_side(stage: Stage, vehicle: Vehicle, side: int, *, fine: bool) -> None:
    body = BODIES[vehicle.kind]
    x = side * (body.width / 2 + 0.004)
    for share in WHEELS:
        draw_wheel(stage, vehicle, (x, (share - 0.5) * body.length), WHEEL_RADIUS_M, CAR)
    if not fine:
        return
    normal = vehicle.turned(np.array([float(side), 0.2, 0.0]))
    seam = stage.mood.lit(scaled(vehicle.paint, 0.45), tuple(normal.tolist()), vehicle.z)
    for share in (*body.pillars[-2:], body.roof[-1][0] - 0.03):
        top, z = body.deck_at(share) * 0.8, (share - 0.5) * body.length
        _strip(stage, vehicle, (x, z, z + 0.018), (0.34, top), seam)
    handle = stage.mood.lit(scaled(vehicle.paint, 0.7), tuple(normal.tolist()), vehicle.z)
    for share in body.pillars[-2:]:
        z, y = (share - 0.5) * body.length, body.deck_at(share) * 0.77
        _strip(stage, vehicle, (x, z + 0.06, z + 0.24), (y, y + 0.035), handle)
    _draw_mirror(stage, vehicle, body, side)


def _strip(
    stage: Stage,
    vehicle: Vehicle,
    place: tuple[float, float, float],
    heights: Points | tuple[float, float],
    colour: Colour,
) -> None:
    """A rectangle along the vehicle's side: x, from z to z; from y to y."""
    x, rear, front = place
    low, high = heights
    local = np.array([[x, low, rear], [x, low, front], [x, high, front], [x, high, rear]])
    stage.face(vehicle.to_world(local), colour, CAR)


def _draw_mirror(stage: Stage, vehicle: Vehicle, body: Body, side: int) -> None:
    share = body.roof[-1][0] - 0.04
    z, y = (share - 0.5) * body.length, body.deck_at(share) + 0.03
    inner, outer = side * body.width * 0.47, side * (body.width * 0.47 + 0.19)
    local = np.array([[inner, y, z], [outer, y + 0.02, z], [outer, y + 0.14, z], [inner, y + 0.13, z]])
    stage.face(vehicle.to_world(local), stage.mood.lit(scaled(vehicle.paint, 0.7), (0.0, 0.3, -0.95), vehicle.z), CAR)


@dataclass(frozen=True, slots=True)
class End:
    """The front (end = 1) or the rear (end = -1) of a car: bumper, lights, grille, plate."""

    stage: Stage
    vehicle: Vehicle
    body: Body
    end: int
    depth: float

    def draw(self) -> None:
        deck = self.body.deck[-1][1] if self.end > 0 else self.body.deck[0][1]
        half = self.body.width / 2 * (0.83 if self.end > 0 else 0.9)
        self._plate((-half, CLEARANCE_M + 0.1, half, deck + 0.03), self.vehicle.paint)
        self._plate((-half, CLEARANCE_M + 0.02, half, CLEARANCE_M + 0.17), (34, 34, 36))
        if self.depth > PLAIN_M:
            return
        if self.end > 0:
            self._draw_front(deck, half)
        else:
            self._draw_rear(deck, half)

    def _draw_front(self, deck: float, half: float) -> None:
        if self.depth < DETAILED_M * 2:
            self._plate((-half * 0.62, deck - 0.13, half * 0.62, deck - 0.02), (26, 27, 29))
            self._plate((-half * 0.7, 0.3, half * 0.7, 0.41), (24, 25, 27))
            self._number((-0.26, 0.34, 0.26, 0.45), PLATE_WHITE)
        on = self.stage.mood.lamps > 0.1
        for side in (-1, 1):
            lamp = [(half * 0.58, deck - 0.15), (half, deck - 0.1), (half, deck + 0.02), (half * 0.64, deck - 0.02)]
            self._shape([(x * side, y) for x, y in lamp], LAMP_ON if on else LAMP_OFF, glow=on)
            self._wrap(side, (deck - 0.1, deck + 0.02), LAMP_ON if on else LAMP_OFF, glow=on)

    def _draw_rear(self, deck: float, half: float) -> None:
        on = self.vehicle.braking or self.stage.mood.lamps > 0.3
        colour = BRAKE_ON if on else BRAKE_OFF
        self._plate((-half, deck - 0.4, half, deck - 0.385), scaled(self.vehicle.paint, 0.5))
        tall = 0.34 if self.vehicle.kind in ("hatchback", "estate", "suv", "van") else 0.2
        for side in (-1, 1):
            lamp = [
                (half * 0.72, deck - tall),
                (half, deck - tall + 0.02),
                (half, deck - 0.02),
                (half * 0.78, deck - 0.03),
            ]
            self._shape([(x * side, y) for x, y in lamp], colour, glow=on)
            self._wrap(side, (deck - tall + 0.02, deck - 0.02), colour, glow=on)
            if self.depth < DETAILED_M:
                clear = [
                    (half * 0.75, deck - tall * 0.62),
                    (half, deck - tall * 0.62),
                    (half, deck - tall * 0.45),
                    (half * 0.76, deck - tall * 0.45),
                ]
                self._shape([(x * side, y) for x, y in clear], (226, 190, 170), glow=False)
        self._number(
            (-0.26, deck - 0.34, 0.26, deck - 0.23), PLATE_YELLOW if self.vehicle.paint[0] > 60 else PLATE_WHITE
        )

    def _number(self, area: Area, colour: Colour) -> None:
        self._plate(area, colour)
        if self.depth < 16:
            left, bottom, _, top = area
            for index in range(7):
                x = left + 0.05 + index * 0.06 + 0.04 * (index > 3)
                self._plate((x, bottom + 0.03, x + 0.03, top - 0.03), scaled(colour, 0.5))

    def _plate(self, area: Area, colour: Colour) -> None:
        left, bottom, right, top = area
        self._shape([(left, bottom), (right, bottom), (right, top), (left, top)], colour, glow=False)

    def _shape(self, points: list[tuple[float, float]], colour: Colour, *, glow: bool) -> None:
        z = self.end * (self.body.length / 2 + 0.01)
        local = np.array([(x, y, z) for x, y in points])
        normal = self.vehicle.turned(np.array([0.0, 0.1, float(self.end)]))
        self.stage.face(self.vehicle.to_world(local), self._tone(colour, normal, glow=glow), CAR)

    def _wrap(self, side: int, heights: tuple[float, float], colour: Colour, *, glow: bool) -> None:
        """The part of a lamp that goes around the corner."""
        if self.depth > DETAILED_M * 2 or side_seen(self.stage, self.vehicle) != side:
            return
        corner, long = self.body.width / 2, self.body.length / 2
        inner = corner * (0.83 if self.end > 0 else 0.9)
        low, high = heights
        z = self.end * long
        back = self.end * (long - 0.26)
        local = np.array(
            [
                [inner * side, low, z],
                [corner * side, low + 0.05, back],
                [corner * side, high, back],
                [inner * side, high, z],
            ]
        )
        normal = self.vehicle.turned(np.array([0.8 * side, 0.1, 0.6 * self.end]))
        self.stage.face(self.vehicle.to_world(local), self._tone(colour, normal, glow=glow), CAR)

    def _tone(self, colour: Colour, normal: Points, *, glow: bool) -> Colour:
        mood: Mood = self.stage.mood
        x, y, z = normal.tolist()
        return mood.hazed(colour, self.depth) if glow else mood.lit(colour, (x, y, z), self.depth)
