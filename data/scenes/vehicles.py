"""What all vehicles share: where they stand, how a local shape comes into the world, and how paint and glass shine."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.scenes.camera import Points
from data.scenes.canvas import Colour
from data.scenes.mood import Mood
from data.scenes.stage import Shadow, Stage

PAINTS: tuple[Colour, ...] = (
    (198, 200, 204), (150, 154, 160), (40, 42, 46), (24, 25, 28), (226, 228, 230), (36, 58, 104), (134, 26, 30),
    (92, 98, 106), (58, 82, 72), (176, 148, 110), (30, 88, 140), (196, 50, 40), (110, 120, 132),
)  # fmt: skip
GLASS: Colour = (26, 31, 36)
RUBBER: Colour = (26, 26, 28)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vehicle:
    """kind: a key of the body shapes; x, z: its middle on the ground; heading: radians, 0 drives away from the camera."""

    kind: str
    x: float
    z: float
    heading: float
    paint: Colour
    length: float
    width: float
    height: float
    braking: bool = False

    @property
    def depth(self) -> float:
        return self.z + abs(float(np.cos(self.heading))) * self.length * 0.35

    def to_world(self, local: Points) -> Points:
        """(..., 3) local metres (x right, y up, z from the middle to the front) to world metres."""
        sin, cos = np.sin(self.heading), np.cos(self.heading)
        x = self.x + local[..., 0] * cos + local[..., 2] * sin
        z = self.z - local[..., 0] * sin + local[..., 2] * cos
        return np.stack([x, local[..., 1], z], axis=-1)


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
    facing = (normals * to_eye).sum(axis=1)
    mirrored = 2 * facing[:, None] * normals - to_eye
    above = np.clip(mirrored[:, 1] * 2.2 + 0.25, 0, 1)[:, None]
    street = np.array(mood.ambient) * 74
    sky = (
        np.array(mood.horizon) * (1 - above)
        + np.array(mood.zenith) * 0.35 * above
        + np.array(mood.horizon) * 0.65 * above
    )
    mirror = street * (1 - above) + sky * above
    fresnel = (gloss * (0.35 + 0.65 * (1 - np.clip(facing, 0, 1)) ** 3))[:, None]
    glint = np.maximum(0, mirrored @ mood.to_sun)[:, None] ** 24 * np.array(mood.sun) * 170 * gloss[:, None]
    return np.asarray(base * mood.light(normals) * (1 - fresnel) + mirror * fresnel + glint)


def draw_wheel(stage: Stage, vehicle: Vehicle, centre: tuple[float, float], radius: float, label: int) -> None:
    """A wheel on the side that the camera sees. centre: x and z in local metres."""
    x, z = centre
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    ring = np.stack([np.full(20, x), radius + np.sin(angles) * radius, z + np.cos(angles) * radius], axis=1)
    hub = np.array([x, radius, z])
    depth = stage.depth((vehicle.x, 0.0, vehicle.z))
    side = (
        float(np.sign(x)) * float(np.cos(vehicle.heading)),
        0.2,
        -float(np.sign(x)) * float(np.sin(vehicle.heading)),
    )
    for share, colour in ((1.0, RUBBER), (0.66, (120, 122, 126)), (0.56, (78, 80, 84)), (0.2, (140, 142, 146))):
        stage.face(vehicle.to_world(hub + (ring - hub) * share), stage.mood.lit(colour, side, depth), label)
