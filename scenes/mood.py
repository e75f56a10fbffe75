"""Light and weather of a scene: where the sun stands, what colour things get, how far one sees."""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scenes.drawing.canvas import Colour

MOODS = ("day", "overcast", "dusk", "rain")
SHARES = (0.46, 0.22, 0.17, 0.15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mood:
    """Colours 0..255, light as a factor per channel, angles in radians (azimuth: 0 ahead, positive to the right)."""

    name: str
    azimuth: float
    elevation: float
    sun: Colour
    ambient: Colour
    zenith: Colour
    horizon: Colour
    haze: Colour
    sight_m: float
    clouds: float
    wet: float
    lamps: float

    to_sun: tuple[float, float, float] = field(init=False)  # unit direction

    def __post_init__(self) -> None:
        flat = math.cos(self.elevation)
        away = (flat * math.sin(self.azimuth), math.sin(self.elevation), flat * math.cos(self.azimuth))
        object.__setattr__(self, "to_sun", away)

    def light(self, normals: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., 3) unit normals to (..., 3) factors: sky light from above plus sun."""
        facing = np.maximum(0.0, normals @ np.array(self.to_sun))[..., None]
        open_sky = (0.78 + 0.22 * normals[..., 1])[..., None]
        return np.asarray(np.array(self.ambient) * open_sky + np.array(self.sun) * facing)

    def lit(self, colour: Colour, normal: tuple[float, float, float], depth: float) -> Colour:
        """A surface's colour in this light, seen from depth metres away."""
        sun = self.to_sun
        facing = max(0.0, normal[0] * sun[0] + normal[1] * sun[1] + normal[2] * sun[2])
        open_sky = 0.78 + 0.22 * normal[1]
        lit = (
            colour[0] * (self.ambient[0] * open_sky + self.sun[0] * facing),
            colour[1] * (self.ambient[1] * open_sky + self.sun[1] * facing),
            colour[2] * (self.ambient[2] * open_sky + self.sun[2] * facing),
        )
        return self.hazed(lit, depth)

    def hazed(self, colour: Colour, depth: float) -> Colour:
        share = self.haze_share(depth)
        return (
            colour[0] + (self.haze[0] - colour[0]) * share,
            colour[1] + (self.haze[1] - colour[1]) * share,
            colour[2] + (self.haze[2] - colour[2]) * share,
        )

    def haze_share(self, depth: float) -> float:
        return 1 - math.exp(-max(0.0, depth) / self.sight_m)


def choose_mood(rng: np.random.Generator, name: str | None = None) -> Mood:
    chosen = name or str(rng.choice(MOODS, p=SHARES))
    return {"day": _day, "overcast": _overcast, "dusk": _dusk, "rain": _rain}[chosen](rng)


def _day(rng: np.random.Generator) -> Mood:
    elevation = rng.uniform(0.35, 1.1)
    warm = float(np.interp(elevation, (0.35, 1.1), (1.0, 0.0)))
    strength = rng.uniform(0.55, 0.8)
    return Mood(
        name="day",
        azimuth=rng.uniform(-np.pi, np.pi),
        elevation=elevation,
        sun=(strength, strength * (0.97 - 0.08 * warm), strength * (0.9 - 0.2 * warm)),
        ambient=(0.5, 0.53, 0.6),
        zenith=(72 + rng.uniform(-15, 25), 128 + rng.uniform(-15, 15), 200 + rng.uniform(-10, 20)),
        horizon=(198 + 20 * warm, 214 + 6 * warm, 230),
        haze=(196, 208, 222),
        sight_m=rng.uniform(260, 600),
        clouds=rng.uniform(0.0, 0.65),
        wet=0.0,
        lamps=0.0,
    )


def _overcast(rng: np.random.Generator) -> Mood:
    level = rng.uniform(0.82, 1.0)
    return Mood(
        name="overcast",
        azimuth=rng.uniform(-np.pi, np.pi),
        elevation=1.2,
        sun=(0.1, 0.1, 0.1),
        ambient=(0.86 * level, 0.88 * level, 0.92 * level),
        zenith=(190 * level, 198 * level, 208 * level),
        horizon=(228 * level, 232 * level, 236 * level),
        haze=(206 * level, 212 * level, 218 * level),
        sight_m=rng.uniform(170, 400),
        clouds=1.0,
        wet=float(rng.uniform(0.0, 0.15)),
        lamps=0.0,
    )


def _dusk(rng: np.random.Generator) -> Mood:
    late = rng.uniform(0.0, 1.0)
    level = 0.62 - 0.26 * late
    return Mood(
        name="dusk",
        azimuth=rng.uniform(-1.2, 1.2),
        elevation=rng.uniform(0.06, 0.16),
        sun=(0.34 * (1 - late), 0.2 * (1 - late), 0.1 * (1 - late)),
        ambient=(level, level * 0.93, level * 1.06),
        zenith=(62 - 34 * late, 86 - 44 * late, 130 - 46 * late),
        horizon=(238 - 44 * late, 182 - 50 * late, 140 - 22 * late),
        haze=(176 - 66 * late, 138 - 48 * late, 128 - 30 * late),
        sight_m=rng.uniform(200, 420),
        clouds=rng.uniform(0.1, 0.7),
        wet=float(rng.random() < 0.25) * 0.4,
        lamps=0.55 + 0.45 * late,
    )


def _rain(rng: np.random.Generator) -> Mood:
    level = rng.uniform(0.5, 0.72)
    return Mood(
        name="rain",
        azimuth=rng.uniform(-np.pi, np.pi),
        elevation=1.2,
        sun=(0.05, 0.05, 0.05),
        ambient=(0.94 * level, 0.98 * level, 1.05 * level),
        zenith=(150 * level + 20, 160 * level + 20, 172 * level + 20),
        horizon=(206 * level + 24, 212 * level + 24, 220 * level + 24),
        haze=(190 * level + 20, 198 * level + 20, 208 * level + 20),
        sight_m=rng.uniform(90, 190),
        clouds=1.0,
        wet=rng.uniform(0.65, 1.0),
        lamps=float(np.interp(level, (0.5, 0.72), (0.7, 0.2))),
    )
