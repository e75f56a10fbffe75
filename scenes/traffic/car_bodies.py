"""The shapes of cars: profiles along the body, and the rounded surface that they span."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from scenes.drawing.camera import Points
from scenes.traffic.vehicles import GLASS

Profile = tuple[tuple[float, float], ...]
CLEARANCE_M = 0.2
WHEELS = (0.185, 0.8)  # shares of the length
WHEEL_RADIUS_M = 0.325
AROUND = 10  # points from the sill to the middle of the roof
SIDE_GLASS = 5  # the face between belt line and roof edge
SCREENS = (6, 7, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """Lengths in metres; positions along the body as shares from the rear, heights in metres."""

    length: float
    width: float
    deck: Profile  # boot, belt line, bonnet
    roof: Profile  # the roof line above it, from the rear window's foot to the windscreen's
    pillars: tuple[float, ...]  # between side windows

    @property
    def height(self) -> float:
        return max(height for _, height in self.roof)

    def deck_at(self, share: float) -> float:
        return float(along(self.deck, np.array([share]))[0])


def along(profile: Profile, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Heights (N,) of a profile at positions (N,), straight between its points."""
    points = np.array(profile)
    return np.asarray(np.interp(shares, points[:, 0], points[:, 1]))


BODIES: dict[str, Body] = {
    "hatchback": Body(
        length=4.0, width=1.76,
        deck=((0, 0.8), (0.02, 0.92), (0.3, 0.93), (0.72, 0.95), (0.8, 0.92), (0.92, 0.82), (0.98, 0.72), (1, 0.6)),
        roof=((0.02, 0.94), (0.07, 1.18), (0.13, 1.38), (0.26, 1.48), (0.44, 1.49), (0.56, 1.4), (0.75, 0.96)),
        pillars=(0.16, 0.37),
    ),
    "sedan": Body(
        length=4.65, width=1.82,
        deck=((0, 0.76), (0.02, 0.93), (0.1, 0.98), (0.2, 0.98), (0.72, 0.94), (0.8, 0.91), (0.92, 0.8), (1, 0.56)),
        roof=((0.13, 0.98), (0.2, 1.2), (0.27, 1.37), (0.37, 1.45), (0.48, 1.45), (0.57, 1.38), (0.73, 0.95)),
        pillars=(0.25, 0.43),
    ),
    "estate": Body(
        length=4.65, width=1.82,
        deck=((0, 0.78), (0.02, 0.92), (0.3, 0.95), (0.72, 0.94), (0.8, 0.91), (0.92, 0.8), (0.98, 0.7), (1, 0.58)),
        roof=((0.02, 0.95), (0.05, 1.2), (0.09, 1.4), (0.2, 1.48), (0.48, 1.49), (0.57, 1.4), (0.73, 0.95)),
        pillars=(0.1, 0.26, 0.43),
    ),
    "suv": Body(
        length=4.55, width=1.9,
        deck=((0, 0.88), (0.02, 1.03), (0.3, 1.06), (0.74, 1.08), (0.82, 1.05), (0.93, 0.97), (0.985, 0.86), (1, 0.72)),
        roof=((0.02, 1.06), (0.045, 1.34), (0.08, 1.56), (0.2, 1.68), (0.48, 1.69), (0.58, 1.58), (0.75, 1.09)),
        pillars=(0.1, 0.27, 0.44),
    ),
    "van": Body(
        length=4.95, width=1.96,
        deck=((0, 1.05), (0.02, 1.12), (0.3, 1.14), (0.82, 1.12), (0.9, 1.04), (0.97, 0.9), (1, 0.7)),
        roof=((0.0, 1.06), (0.008, 1.5), (0.03, 1.9), (0.1, 1.99), (0.58, 1.99), (0.68, 1.87), (0.85, 1.13)),
        pillars=(0.3, 0.55),
    ),
}  # fmt: skip

FINE = np.array([
    0, 0.008, 0.02, 0.045, 0.075, 0.1, 0.13, 0.16, 0.2, 0.245, 0.29, 0.36, 0.43, 0.48, 0.53, 0.57, 0.62, 0.66, 0.7,
    0.735, 0.77, 0.82, 0.87, 0.92, 0.955, 0.98, 0.993, 1.0,
])  # fmt: skip
COARSE = np.array([0, 0.02, 0.1, 0.16, 0.245, 0.29, 0.43, 0.53, 0.62, 0.7, 0.735, 0.82, 0.92, 0.98, 1.0])


@dataclass(frozen=True, slots=True)
class Mesh:
    """faces (N, 4, 3) in local metres; material (N,): 0 paint, 1 glass, 2 dark trim; normals (N, 3) point outwards."""

    faces: Points
    normals: Points
    material: NDArray[np.int64]


@cache
def mesh(kind: str, *, fine: bool) -> Mesh:
    body, stations = BODIES[kind], FINE if fine else COARSE
    section = _sections(body, stations)
    corners = np.stack([section[:-1, :-1], section[1:, :-1], section[1:, 1:], section[:-1, 1:]], axis=2)
    length, around = corners.shape[:2]
    station, turn = np.divmod(np.arange(length * around), around)
    place = np.where(turn >= around // 2, around - 1 - turn, turn)
    faces = corners.reshape(-1, 4, 3)
    normals = np.cross(faces[:, 2] - faces[:, 0], faces[:, 3] - faces[:, 1])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    outward = faces.mean(axis=1) - (0.0, 0.6, 0.0)
    normals *= np.where((normals * outward).sum(axis=1) < 0, -1, 1)[:, None]
    middle = (stations[:-1] + stations[1:])[station] / 2
    return Mesh(faces, normals, _materials(body, middle, place))


def _sections(body: Body, stations: NDArray[np.float64]) -> Points:
    """(stations, 2 * AROUND - 1, 3) points around the body, in local metres, from the right sill to the left one."""
    deck = along(body.deck, stations)
    covered = (stations >= body.roof[0][0]) & (stations <= body.roof[-1][0])
    roof = np.maximum(np.where(covered, along(body.roof, stations), 0), deck + 0.015)
    to_rear, to_front = stations * body.length, (1 - stations) * body.length
    half = body.width / 2 * (1 - 0.1 * np.exp(-to_rear / 0.12) - 0.17 * np.exp(-to_front / 0.22))
    low = CLEARANCE_M + 0.1 * np.exp(-np.minimum(to_rear, to_front) / 0.1)
    lean = np.clip((roof - deck) / 0.5, 0, 1.5)
    upper = half * (0.9 - 0.13 * lean)
    rise = np.minimum(1, lean * 5)
    right = [
        (half * 0.9, low), (half * 0.98, low + 0.1), (half, 0.4 * deck + 0.1), (half, 0.78 * deck),
        (half * 0.975, deck - 0.05), (half * 0.925, deck), (upper, roof - 0.08 * rise),
        (upper * 0.94, roof - 0.025 * rise), (upper * 0.6, roof), (0 * half, roof + 0.012),
    ]  # fmt: skip
    ring = right + [(-x, y) for x, y in right[-2::-1]]
    z = (stations - 0.5) * body.length
    return np.stack([np.stack([x, y, z], axis=1) for x, y in ring], axis=1)


def _materials(body: Body, middle: NDArray[np.float64], place: NDArray[np.int64]) -> NDArray[np.int64]:
    rear, brow, foot = body.roof[0][0], body.roof[-2][0], body.roof[-1][0]
    crest = body.roof[2][0]
    across = np.isin(place, SCREENS)
    screens = across & (((middle > brow) & (middle < foot)) | ((middle > rear) & (middle < crest)))
    windows = (place == SIDE_GLASS) & (middle > rear + 0.06) & (middle < foot - 0.03)
    for pillar in body.pillars:
        windows &= np.abs(middle - pillar) > 0.016
    trim = place == 0
    return np.where(screens | windows, 1, np.where(trim, 2, 0))


def paint_of(material: NDArray[np.int64], paint: tuple[float, float, float]) -> tuple[Points, NDArray[np.float64]]:
    """Base colours (N, 3) and gloss (N,)."""
    colours = np.array([paint, GLASS, (30, 30, 32)], dtype=np.float64)[material]
    return colours, np.array([0.38, 0.62, 0.1])[material]
