"""What all vehicles share: where they stand, how a local shape comes into the world, and how paint and glass shine."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenes.drawing.camera import NEAR_M, Points
from scenes.drawing.canvas import Colour
from scenes.drawing.stage import Shadow, Stage
from scenes.mood import Mood

PAINTS: tuple[Colour, ...] = (
    (198, 200, 204), (150, 154, 160), (40, 42, 46), (24, 25, 28), (226, 228, 230), (36, 58, 104), (134, 26, 30),
    (92, 98, 106), (58, 82, 72), (176, 148, 110), (30, 88, 140), (196, 50, 40), (110, 120, 132),
)  # fmt: skip
GLASS: Colour = (20, 24, 28)
RUBBER: Colour = (26, 26, 28)
RIM: Colour = (132, 134, 138)
SPOKES_M = 22.0  # wheels farther away get none
DISCS: tuple[tuple[float, Colour], ...] = ((1.0, RUBBER), (0.68, RIM), (0.6, (58, 60, 64)))
WHEEL_CORNERS = 20
ANGLES = np.linspace(0, 2 * np.pi, WHEEL_CORNERS, endpoint=False)
TURNS = np.array([[*np.sin(ANGLES), 0.0], [*np.cos(ANGLES), 0.0]])  # the last one is the hub


@dataclass(frozen=True, slots=True, kw_only=True)
class Vehicle:
    """kind: a key of the body shapes; x, z: its middle on the ground; heading: radians, 0 is away from the camera."""

    kind: str
    x: float
    z: float
    heading: float
    paint: Colour
    length: float
    width: float
    height: float
    braking: bool = False

    def to_world(self, local: Points) -> Points:
        """(..., 3) local metres (x right, y up, z from the middle to the front) to world metres."""
        return np.asarray(self.turned(local) + np.array([self.x, 0.0, self.z]))

    def turned(self, local: Points) -> Points:
        """(..., 3) local directions to world directions."""
        sin, cos = math.sin(self.heading), math.cos(self.heading)
        return np.asarray(local @ np.array([[cos, 0.0, -sin], [0.0, 1.0, 0.0], [sin, 0.0, cos]]))


def shadow_of(vehicle: Vehicle) -> Shadow:
    half, long = vehicle.width / 2, vehicle.length / 2
    local = np.array([[-half, 0, -long], [half, 0, -long], [half, 0, long], [-half, 0, long]])
    return Shadow(vehicle.to_world(local)[:, [0, 2]], vehicle.height * 0.85)


def shine(
    mood: Mood,
    base: NDArray[np.float64],
    normals: NDArray[np.float64],
    to_eye: NDArray[np.float64],
    gloss: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Colours (N, 3) of glossy faces: lit paint plus a mirrored sky above and street below.

    base (N, 3); normals and to_eye (N, 3) unit; gloss (N,) in 0..1.
    """
    facing = np.clip((normals * to_eye).sum(axis=1), 0, 1)
    mirrored = 2 * facing[:, None] * normals - to_eye
    height = mirrored[:, 1]
    above = np.clip(height * 5 + 0.1, 0, 1)[:, None]  # the mirrored street ends at the roofs, not at the horizon
    open_sky = np.clip((height - 0.28) * 4, 0, 1)[:, None]
    ambient, horizon, zenith = np.array(mood.ambient), np.array(mood.horizon), np.array(mood.zenith)
    street, houses = ambient * 58, ambient * 84
    sky = houses * (1 - open_sky) + (horizon * 0.7 + zenith * 0.3) * open_sky
    mirror = street * (1 - above) + sky * above
    fresnel = (gloss * (0.3 + 0.7 * (1 - facing) ** 3))[:, None]
    glint = np.maximum(0, mirrored @ np.array(mood.to_sun))[:, None] ** 40 * np.array(mood.sun) * 220 * gloss[:, None]
    return np.asarray(base * mood.light(normals) * (1 - fresnel) + mirror * fresnel + glint)


def draw_wheel(stage: Stage, vehicle: Vehicle, centre: tuple[float, float], radius: float, label: int) -> None:
    """A wheel and the dark arch above it, on the side that the camera sees. centre: x and z in local metres."""
    x, z = centre
    ring = np.stack([np.full(WHEEL_CORNERS + 1, x), radius + TURNS[0] * radius, z + TURNS[1] * radius], axis=1)
    positions, depths = stage.camera.project(vehicle.to_world(ring))
    depth = float(depths[-1])
    if depths.min() < NEAR_M:
        return
    hub, rim = positions[-1], positions[:-1] - positions[-1]
    normal = vehicle.turned(np.array([float(np.sign(x)), 0.2, 0.0])).tolist()
    arch = rim * 1.16
    arch[:, 1] = np.minimum(arch[:, 1], float(np.abs(rim[:, 1]).max()) * 0.4)
    stage.canvas.polygon(hub + arch, stage.mood.hazed((18, 18, 20), depth), label)
    light = (normal[0], normal[1], normal[2])
    for share, colour in DISCS if depth < SPOKES_M else DISCS[:2]:
        stage.canvas.polygon(hub + rim * share, stage.mood.lit(colour, light, depth), label)
    for first in range(0, WHEEL_CORNERS, 4) if depth < SPOKES_M else ():
        spoke = rim[[first, (first + 1) % WHEEL_CORNERS]] * 0.64
        middle = rim[[(first + 10) % WHEEL_CORNERS]] * 0.1
        stage.canvas.polygon(hub + np.concatenate([spoke, middle]), stage.mood.lit(RIM, light, depth), None)


def side_seen(stage: Stage, vehicle: Vehicle) -> int:
    """+1 when the camera sees the vehicle's right side, -1 for its left, 0 for neither."""
    sin, cos = math.sin(vehicle.heading), math.cos(vehicle.heading)
    across = (stage.camera.x - vehicle.x) * cos + vehicle.z * sin
    return 0 if abs(across) < vehicle.width / 2 else (1 if across > 0 else -1)


def end_seen(stage: Stage, vehicle: Vehicle) -> int:
    """+1 when the camera sees the front, -1 for the rear."""
    sin, cos = math.sin(vehicle.heading), math.cos(vehicle.heading)
    return 1 if (stage.camera.x - vehicle.x) * sin - vehicle.z * cos > 0 else -1
