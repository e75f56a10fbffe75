"""The plan of a street: widths, lanes, sidewalks, a junction, a crossing. What stands on it is chosen elsewhere."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KINDS = ("high street", "residential", "avenue", "downtown", "park")
SHARES = (0.3, 0.2, 0.2, 0.14, 0.16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    offset: float  # of its centre from the centre line, metres, positive to the right
    width: float
    away: bool  # traffic drives away from the camera


@dataclass(frozen=True, slots=True, kw_only=True)
class Verge:
    """One side of the street, from the kerb outwards; metres."""

    sign: int  # -1 left, +1 right
    parking: float  # a strip for parked cars beside the lanes, still road
    strip: float  # grass between kerb and sidewalk
    sidewalk: float
    garden: float  # between sidewalk and buildings
    paved: bool  # what the garden is: paving or grass

    @property
    def outside(self) -> float:
        """From the kerb to the buildings."""
        return self.strip + self.sidewalk + self.garden


@dataclass(frozen=True, slots=True, kw_only=True)
class Street:
    kind: str
    curve: float  # the centre line lies at x = curve * z * z
    lanes: tuple[Lane, ...]
    left: Verge
    right: Verge
    junction: tuple[float, float] | None  # a crossing street from z to z
    crossing: float | None  # the near edge of a zebra crossing
    brick_paving: bool
    double_yellow: bool

    @property
    def carriage(self) -> float:
        """Half the width of the lanes together."""
        return sum(lane.width for lane in self.lanes) / 2

    def centre(self, z: float) -> float:
        return self.curve * min(z, 240.0) ** 2

    def verge(self, sign: int) -> Verge:
        return self.left if sign < 0 else self.right

    def kerb(self, sign: int) -> float:
        """Distance of the kerb from the centre line."""
        return self.carriage + self.verge(sign).parking

    def building_line(self, sign: int) -> float:
        return self.kerb(sign) + self.verge(sign).outside

    def in_junction(self, near: float, far: float, margin: float = 0.0) -> bool:
        return self.junction is not None and near < self.junction[1] + margin and far > self.junction[0] - margin

    def at(self, offset: float, z: float, y: float = 0.0) -> tuple[float, float, float]:
        """The world position of a place given by its distance from the centre line."""
        return (offset + self.centre(z), y, z)

    def heading(self, z: float) -> float:
        """Angle of the street at z, radians, 0 ahead, positive to the right."""
        return float(np.arctan(2 * self.curve * z))

    def strip_outline(self, inner: float, outer: float, near: float, far: float) -> NDArray[np.float64]:
        """(4, 3) a patch of ground between two offsets and two distances."""
        corners = ((inner, near), (outer, near), (outer, far), (inner, far))
        return np.array([self.at(offset, z) for offset, z in corners])


def choose_street(rng: np.random.Generator, kind: str | None = None) -> Street:
    chosen = kind or str(rng.choice(KINDS, p=SHARES))
    keep_left = rng.random() < 0.4
    lanes = _lanes(rng, chosen, -1 if keep_left else 1)
    junction = None
    if rng.random() < 0.4:
        near = rng.uniform(16, 60)
        junction = (near, near + rng.uniform(7, 13))
    crossing = None
    if junction is not None and rng.random() < 0.7:
        crossing = junction[0] - rng.uniform(4.5, 6)
    elif rng.random() < 0.3:
        crossing = rng.uniform(9, 40)
    curve = float(rng.choice([0.0, 1.0], p=[0.35, 0.65]) * rng.normal(0, 0.0008))
    return Street(
        kind=chosen,
        curve=curve,
        lanes=lanes,
        left=_verge(rng, chosen, -1),
        right=_verge(rng, chosen, 1),
        junction=junction,
        crossing=crossing,
        brick_paving=bool(rng.random() < 0.2),
        double_yellow=bool(keep_left and rng.random() < 0.7),
    )


def _lanes(rng: np.random.Generator, kind: str, side: int) -> tuple[Lane, ...]:
    """From left to right. side: +1 when traffic keeps to the right."""
    width = rng.uniform(2.9, 3.5)
    count = {"high street": 2, "residential": 2, "avenue": 4, "downtown": 4, "park": 2}[kind]
    if rng.random() < 0.2:
        count = 3 if count == 4 else 2
    one_way = rng.random() < 0.15
    offsets = [(index - (count - 1) / 2) * width for index in range(count)]
    return tuple(Lane(offset=o, width=width, away=one_way or o * side > -0.1) for o in offsets)


def _verge(rng: np.random.Generator, kind: str, sign: int) -> Verge:
    parking = {"high street": 0.5, "residential": 0.6, "avenue": 0.4, "downtown": 0.3, "park": 0.2}[kind]
    strip = {"high street": 0.0, "residential": 0.25, "avenue": 0.6, "downtown": 0.05, "park": 0.5}[kind]
    garden = {
        "high street": 0.0,
        "residential": rng.uniform(2, 6),
        "avenue": rng.choice([0.0, 3.0]),
        "downtown": rng.choice([0.0, 2.5]),
        "park": rng.uniform(6, 16),
    }[kind]
    return Verge(
        sign=sign,
        parking=2.2 if rng.random() < parking else 0.0,
        strip=float(rng.uniform(1.2, 2.4)) if rng.random() < strip else 0.0,
        sidewalk=float(rng.uniform(1.8, 3.6) + (1.0 if kind == "downtown" else 0.0)),
        garden=float(garden),
        paved=kind in ("high street", "downtown"),
    )
