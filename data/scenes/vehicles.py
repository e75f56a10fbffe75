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
GLASS: Colour = (20, 24, 28)
RUBBER: Colour = (26, 26, 28)
SPOKES_M = 22.0  # wheels farther away get none
RIM: Colour = (132, 134, 138)


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
        sin, cos = np.sin(self.heading), np.cos(self.heading)
        x = self.x + local[..., 0] * cos + local[..., 2] * sin
        z = self.z - local[..., 0] * sin + local[..., 2] * cos
        return np.stack([x, local[..., 1], z], axis=-1)

    def turned(self, local: Points) -> Points:
        """(..., 3) local directions to world directions."""
        sin, cos = np.sin(self.heading), np.cos(self.heading)
        x, z = local[..., 0] * cos + local[..., 2] * sin, local[..., 2] * cos - local[..., 0] * sin
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
    glint = np.maximum(0, mirrored @ mood.to_sun)[:, None] ** 40 * np.array(mood.sun) * 220 * gloss[:, None]
    return np.asarray(base * mood.light(normals) * (1 - fresnel) + mirror * fresnel + glint)


def draw_wheel(stage: Stage, vehicle: Vehicle, centre: tuple[float, float], radius: float, label: int) -> None:
    """A wheel on the side that the camera sees. centre: x and z in local metres."""
    x, z = centre
    hub = np.array([x, radius, z])
    ring = _disc(centre, radius, radius)
    side = float(np.sign(x))
    normal = vehicle.turned(np.array([side, 0.2, 0.0]))
    depth = stage.depth((vehicle.x, 0.0, vehicle.z))
    unit = (float(normal[0]), float(normal[1]), float(normal[2]))
    discs: tuple[tuple[float, Colour], ...] = ((1.0, RUBBER), (0.68, RIM), (0.6, (58, 60, 64)))
    for share, colour in discs if depth < SPOKES_M else discs[:2]:
        stage.face(vehicle.to_world(hub + (ring - hub) * share), stage.mood.lit(colour, unit, depth), label)
    if depth > SPOKES_M:
        return
    spokes = stage.mood.lit(RIM, unit, depth)
    for angle in np.linspace(0, 2 * np.pi, 5, endpoint=False) + vehicle.z:
        along, across = np.array([np.sin(angle), np.cos(angle)]), np.array([np.cos(angle), -np.sin(angle)]) * 0.1
        corners = [across * 1.3, across + along * 0.62, -across + along * 0.62, -across * 1.3]
        local = np.array([[x, radius + up * radius, z + ahead * radius] for up, ahead in corners])
        stage.face(vehicle.to_world(local), spokes, None)


def draw_arch(stage: Stage, vehicle: Vehicle, centre: tuple[float, float], radius: float, label: int) -> None:
    """The dark gap above a wheel."""
    ring = _disc(centre, radius, radius * 1.16)
    ring[:, 1] = np.maximum(ring[:, 1], radius * 0.6)
    stage.face(vehicle.to_world(ring), stage.mood.hazed((18, 18, 20), vehicle.z), label)


def _disc(centre: tuple[float, float], y: float, radius: float) -> Points:
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    x, z = centre
    return np.stack([np.full(20, x), y + np.sin(angles) * radius, z + np.cos(angles) * radius], axis=1)


def side_seen(stage: Stage, vehicle: Vehicle) -> int:
    """+1 when the camera sees the vehicle's right side, -1 for its left, 0 for neither."""
    sin, cos = np.sin(vehicle.heading), np.cos(vehicle.heading)
    across = (stage.camera.x - vehicle.x) * cos + vehicle.z * sin
    return 0 if abs(across) < vehicle.width / 2 else (1 if across > 0 else -1)


def end_seen(stage: Stage, vehicle: Vehicle) -> int:
    """+1 when the camera sees the front, -1 for the rear."""
    sin, cos = np.sin(vehicle.heading), np.cos(vehicle.heading)
    return 1 if (stage.camera.x - vehicle.x) * sin - vehicle.z * cos > 0 else -1
