"""Cars: a rounded body swept along its length, shaded face by face, with windows, wheels, lights and plates."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.scenes.camera import NEAR_M, Points
from data.scenes.canvas import Colour
from data.scenes.ids import CAR
from data.scenes.stage import Stage
from data.scenes.vehicles import GLASS, RUBBER, Vehicle, draw_wheel, shine


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """Lengths in metres; positions along the body as shares from the rear, heights in metres."""

    length: float
    width: float
    deck: tuple[tuple[float, float], ...]  # boot, belt line, bonnet
    roof: tuple[tuple[float, float], ...]  # the roof line above it, from the rear window's foot to the windscreen's
    pillars: tuple[float, ...]  # between side windows

    @property
    def height(self) -> float:
        return max(height for _, height in self.roof)


BODIES: dict[str, Body] = {
    "hatchback": Body(
        length=4.0, width=1.74,
        deck=((0, 0.84), (0.03, 0.95), (0.3, 0.95), (0.72, 0.95), (0.9, 0.84), (1, 0.66)),
        roof=((0.02, 0.96), (0.12, 1.36), (0.26, 1.47), (0.46, 1.48), (0.58, 1.38), (0.75, 0.96)), pillars=(0.17, 0.38, 0.56),
    ),
    "sedan": Body(
        length=4.6, width=1.8,
        deck=((0, 0.82), (0.03, 0.97), (0.2, 0.98), (0.72, 0.94), (0.9, 0.83), (1, 0.62)),
        roof=((0.15, 0.98), (0.28, 1.36), (0.38, 1.44), (0.5, 1.44), (0.58, 1.36), (0.73, 0.95)), pillars=(0.27, 0.43, 0.57),
    ),
    "estate": Body(
        length=4.6, width=1.8,
        deck=((0, 0.82), (0.03, 0.96), (0.3, 0.96), (0.72, 0.94), (0.9, 0.83), (1, 0.64)),
        roof=((0.02, 0.97), (0.08, 1.38), (0.2, 1.47), (0.5, 1.47), (0.58, 1.38), (0.73, 0.95)), pillars=(0.1, 0.26, 0.43, 0.57),
    ),
    "suv": Body(
        length=4.5, width=1.88,
        deck=((0, 0.95), (0.03, 1.08), (0.3, 1.08), (0.74, 1.08), (0.92, 1.0), (1, 0.8)),
        roof=((0.02, 1.09), (0.07, 1.56), (0.2, 1.68), (0.5, 1.68), (0.6, 1.58), (0.75, 1.09)), pillars=(0.1, 0.27, 0.44, 0.59),
    ),
    "van": Body(
        length=4.9, width=1.95,
        deck=((0, 1.1), (0.02, 1.15), (0.3, 1.15), (0.82, 1.12), (0.94, 0.98), (1, 0.74)),
        roof=((0.0, 1.2), (0.015, 1.9), (0.1, 1.98), (0.6, 1.98), (0.7, 1.86), (0.85, 1.13)), pillars=(0.02, 0.3, 0.55, 0.7),
    ),
}  # fmt: skip

STATIONS = np.array(
    [0, 0.015, 0.05, 0.1, 0.16, 0.22, 0.28, 0.36, 0.44, 0.52, 0.58, 0.64, 0.7, 0.75, 0.82, 0.9, 0.96, 0.99, 1.0]
)
CLEARANCE_M = 0.22
SIDE_GLASS, UPPER = 3, (4, 5)


def draw_car(stage: Stage, vehicle: Vehicle) -> None:
    body = BODIES[vehicle.kind]
    depth = stage.depth((vehicle.x, 0.0, vehicle.z))
    if depth < vehicle.length / 2 + NEAR_M:
        return
    _draw_underside(stage, vehicle)
    section = _sections(body)
    faces, slots = _faces(section)
    _draw_faces(stage, vehicle, vehicle.to_world(faces), _materials(body, vehicle.paint, slots))
    side = _visible_side(stage, vehicle)
    if side:
        for share in (0.19, 0.81):
            draw_wheel(stage, vehicle, (side * (body.width / 2 - 0.01), (share - 0.5) * body.length), 0.32, CAR)
    _draw_ends(stage, vehicle, body, depth)


def _sections(body: Body) -> Points:
    """(stations, 13, 3) points around the body, in local metres."""
    deck = np.interp(STATIONS, *zip(*body.deck, strict=True))
    roof = np.maximum(np.interp(STATIONS, *zip(*body.roof, strict=True), left=0, right=0), deck + 0.02)
    ends = np.minimum(STATIONS, 1 - STATIONS)
    half = body.width / 2 * (1 - 0.16 * np.exp(-ends * 22))
    low = CLEARANCE_M + 0.06 * np.exp(-ends * 30)
    lean = np.clip((roof - deck) / 0.5, 0, 1.4)
    upper = half * (0.96 - 0.19 * lean)
    right = [
        (half * 0.92, low), (half * 0.99, low + 0.16), (half, 0.62 * deck + 0.04), (half * 0.965, deck),
        (upper, roof - 0.05 * np.minimum(1, lean * 4)), (upper * 0.72, roof), (0 * half, roof + 0.012),
    ]  # fmt: skip
    ring = right + [(-x, y) for x, y in right[-2::-1]]
    z = (STATIONS - 0.5) * body.length
    return np.stack([np.stack([x, y, z], axis=1) for x, y in ring], axis=1)


def _faces(section: Points) -> tuple[Points, NDArray[np.int64]]:
    """(N, 4, 3) quadrilaterals, and for each its station and its place around the body, folded to one side: (N, 2)."""
    corners = np.stack([section[:-1, :-1], section[1:, :-1], section[1:, 1:], section[:-1, 1:]], axis=2)
    stations, around = corners.shape[:2]
    station, place = np.meshgrid(np.arange(stations), np.arange(around), indexing="ij")
    place = np.where(place >= around // 2, around - 1 - place, place)
    return corners.reshape(-1, 4, 3), np.stack([station.ravel(), place.ravel()], axis=1)


def _materials(body: Body, paint: Colour, slots: NDArray[np.int64]) -> tuple[Points, NDArray[np.float64]]:
    """Base colours (N, 3) and gloss (N,)."""
    middle = (STATIONS[:-1] + STATIONS[1:])[slots[:, 0]] / 2
    rear, crest = body.roof[0][0], (body.roof[1][0] + body.roof[2][0]) / 2
    brow, front = body.roof[-2][0], body.roof[-1][0]
    upper = (slots[:, 1] == UPPER[0]) | (slots[:, 1] == UPPER[1])
    screens = upper & (((middle > brow) & (middle < front)) | ((middle > rear) & (middle < min(crest, rear + 0.14))))
    windows = (slots[:, 1] == SIDE_GLASS) & (middle > rear + 0.05) & (middle < front - 0.05)
    for pillar in body.pillars:
        windows &= np.abs(middle - pillar) > 0.02
    glass = screens | windows
    base = np.where(glass[:, None], np.array(GLASS), np.array(paint))
    sill = slots[:, 1] == 0
    base = np.where(sill[:, None], base * 0.45, base)
    return base.astype(np.float64), np.where(glass, 0.75, np.where(sill, 0.1, 0.4))


def _draw_faces(stage: Stage, vehicle: Vehicle, faces: Points, materials: tuple[Points, NDArray[np.float64]]) -> None:
    """Back faces are left out, the others painted from far to near."""
    centres = faces.mean(axis=1)
    normals = np.cross(faces[:, 2] - faces[:, 0], faces[:, 3] - faces[:, 1])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    outward = centres - np.array([vehicle.x, 0.7, vehicle.z])
    normals *= np.where((normals * outward).sum(axis=1) < 0, -1, 1)[:, None]
    to_eye = np.array([stage.camera.x, stage.camera.y, 0.0]) - centres
    to_eye /= np.linalg.norm(to_eye, axis=1, keepdims=True)
    seen = (normals * to_eye).sum(axis=1) > -0.02
    base, gloss = materials
    colours = shine(stage.mood, base, normals, to_eye, gloss)
    share = stage.mood.haze_share(vehicle.z)
    colours = colours * (1 - share) + np.array(stage.mood.haze) * share
    positions, depths = stage.camera.project(faces.reshape(-1, 3))
    positions, depths = positions.reshape(-1, 4, 2), depths.reshape(-1, 4)
    order = np.argsort(-depths.mean(axis=1))
    for index in order[seen[order] & (depths[order].min(axis=1) > NEAR_M)].tolist():
        stage.canvas.polygon(positions[index], tuple(colours[index]), CAR)


def _visible_side(stage: Stage, vehicle: Vehicle) -> int:
    """+1 when the camera sees the vehicle's right side, -1 for its left, 0 for neither."""
    sin, cos = np.sin(vehicle.heading), np.cos(vehicle.heading)
    across = (stage.camera.x - vehicle.x) * cos - (0 - vehicle.z) * sin
    return 0 if abs(across) < vehicle.width / 2 else (1 if across > 0 else -1)


def _draw_underside(stage: Stage, vehicle: Vehicle) -> None:
    """Tyres seen from the front or behind, and the darkness between them."""
    rear_seen = np.cos(vehicle.heading) * vehicle.z + np.sin(vehicle.heading) * (vehicle.x - stage.camera.x) > 0
    end = (-1 if rear_seen else 1) * vehicle.length * 0.31
    half = vehicle.width / 2 - 0.03
    colour = stage.mood.hazed((16, 16, 18), vehicle.z)
    _panel(stage, vehicle, (-half, 0.1, half, 0.4), end, colour)
    for left in (-half, half - 0.2):
        _panel(stage, vehicle, (left, 0.0, left + 0.2, 0.5), end, stage.mood.hazed(RUBBER, vehicle.z))


def _panel(stage: Stage, vehicle: Vehicle, area: tuple[float, float, float, float], z: float, colour: Colour) -> None:
    """A rectangle across the vehicle: left, bottom, right, top in local metres."""
    left, bottom, right, top = area
    local = np.array([[left, bottom, z], [right, bottom, z], [right, top, z], [left, top, z]])
    stage.face(vehicle.to_world(local), colour, CAR)


def _draw_ends(stage: Stage, vehicle: Vehicle, body: Body, depth: float) -> None:
    rear_seen = np.cos(vehicle.heading) * vehicle.z + np.sin(vehicle.heading) * (vehicle.x - stage.camera.x) > 0
    end = -1 if rear_seen else 1
    z = end * (body.length / 2 + 0.01)
    deck = body.deck[0][1] if rear_seen else body.deck[-1][1]
    half = body.width / 2 * 0.84
    normal = (float(np.sin(vehicle.heading)) * end, 0.0, float(np.cos(vehicle.heading)) * end)
    mood = stage.mood

    def panel(area: tuple[float, float, float, float], colour: Colour, *, glow: bool = False) -> None:
        _panel(stage, vehicle, area, z, mood.hazed(colour, depth) if glow else mood.lit(colour, normal, depth))

    panel((-half, 0.3, half, deck), vehicle.paint)
    dark = (vehicle.paint[0] * 0.4, vehicle.paint[1] * 0.4, vehicle.paint[2] * 0.4)
    panel((-half, 0.28, half, 0.4), dark)
    if rear_seen:
        lights: Colour = (255, 44, 34) if vehicle.braking or mood.lamps > 0.3 else (150, 24, 24)
        for left in (-half, half - 0.28):
            panel((left, deck - 0.26, left + 0.28, deck - 0.06), lights, glow=vehicle.braking or mood.lamps > 0.3)
        panel((-0.26, deck - 0.26, 0.26, deck - 0.14), (226, 196, 80))
        return
    panel((-half * 0.5, 0.42, half * 0.5, deck - 0.08), (30, 31, 34))
    on = mood.lamps > 0.1
    for left in (-half, half - 0.34):
        panel((left, deck - 0.2, left + 0.34, deck - 0.04), (255, 246, 214) if on else (214, 220, 226), glow=on)
    panel((-0.26, 0.4, 0.26, 0.51), (232, 232, 226))
