"""The pinhole camera: world to picture, and picture to the ground plane.

World: metres, X right, Y up, Z ahead; the ground is Y = 0 and the camera stands above Z = 0.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
SUPERSAMPLING = 2
NEAR_M = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """width, height: the finished picture in pixels; focal in such pixels; angles in radians (pitch: up)."""

    width: int
    height: int
    focal: float
    x: float
    y: float
    pitch: float
    yaw: float
    roll: float

    rotation: Points = field(init=False, repr=False, compare=False)  # (3, 3) world directions to camera directions

    place: Points = field(init=False, repr=False, compare=False)  # (3,) where the camera stands

    def __post_init__(self) -> None:
        object.__setattr__(self, "place", np.array([self.x, self.y, 0.0]))
        object.__setattr__(self, "rotation", _rotation(self.pitch, self.yaw, self.roll))

    def to_camera(self, points: Points) -> Points:
        """(N, 3) world points to (N, 3) camera points."""
        return np.asarray((points - self.place) @ self.rotation.T)

    def project(self, points: Points) -> tuple[Points, Points]:
        """(N, 3) world points to (N, 2) canvas positions (supersampled pixels, x then y) and (N,) depths in metres.

        Points behind the camera come out wrong: clip first, or look at the depth.
        """
        seen = self.to_camera(points)
        return self._to_canvas(seen), seen[:, 2]

    def outline(self, points: Points) -> Points:
        """A polygon (N, 3) cut at the near plane and projected: (M, 2) canvas positions, M = 0 when nothing is left."""
        seen = self.to_camera(points)
        if (seen[:, 2] < NEAR_M).any():
            seen = _clip_near(seen)
        return self._to_canvas(seen)

    def pixels_per_metre(self, depth: float) -> float:
        """Canvas pixels that a metre across the line of sight takes at a depth."""
        return SUPERSAMPLING * self.focal / max(depth, NEAR_M)

    def sees(self, x: float, z: float, reach: float) -> bool:
        """Whether anything within reach of a place on the ground may be in the picture; all in metres."""
        across, _, ahead = self.to_camera(np.array([[x, 0.0, z]]))[0].tolist()
        slope = self.width / 2 / self.focal
        return bool(ahead > -reach and abs(across) - ahead * slope < reach * float(np.hypot(1, slope)) + 0.5)

    def highest_seen(self, ahead: float) -> float:
        """Metres above the ground that are still in the picture at a distance; what is higher need not be painted."""
        corners = (
            np.array([[side * self.width / 2, self.height / 2, self.focal] for side in (-1, 0, 1)]) @ self.rotation
        )
        return float(self.y + ahead * (corners[:, 1] / np.maximum(corners[:, 2], 1e-6)).max())

    def ground_rays(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """World directions (x, y, z), each (height, width), through the centres of the finished picture's pixels."""
        across = (np.arange(self.width, dtype=np.float32) + 0.5 - self.width / 2) / np.float32(self.focal)
        up = (self.height / 2 - np.arange(self.height, dtype=np.float32) - 0.5) / np.float32(self.focal)
        rows = self.rotation.astype(np.float32)
        x, y, z = (across[None, :] * rows[0, i] + up[:, None] * rows[1, i] + rows[2, i] for i in range(3))
        return x, y, z

    def _to_canvas(self, seen: Points) -> Points:
        scale = SUPERSAMPLING * self.focal / np.maximum(seen[:, 2], 1e-6)
        positions = np.empty((len(seen), 2))
        positions[:, 0] = SUPERSAMPLING * self.width / 2 + scale * seen[:, 0]
        positions[:, 1] = SUPERSAMPLING * self.height / 2 - scale * seen[:, 1]
        return positions


def _rotation(pitch: float, yaw: float, roll: float) -> Points:
    """Turn about the vertical, then look up, then tilt; camera directions are x right, y up, z ahead."""
    sin_yaw, cos_yaw = np.sin(yaw), np.cos(yaw)
    sin_pitch, cos_pitch = np.sin(pitch), np.cos(pitch)
    sin_roll, cos_roll = np.sin(roll), np.cos(roll)
    turn = np.array([[cos_yaw, 0, -sin_yaw], [0, 1, 0], [sin_yaw, 0, cos_yaw]])
    lift = np.array([[1, 0, 0], [0, cos_pitch, -sin_pitch], [0, sin_pitch, cos_pitch]])
    tilt = np.array([[cos_roll, -sin_roll, 0], [sin_roll, cos_roll, 0], [0, 0, 1]])
    return np.asarray(tilt @ lift @ turn)


def _clip_near(seen: Points) -> Points:
    """Sutherland-Hodgman against z = NEAR_M."""
    kept: list[Points] = []
    for index, end in enumerate(seen):
        start = seen[index - 1]
        if (start[2] < NEAR_M) != (end[2] < NEAR_M):
            share = (NEAR_M - start[2]) / (end[2] - start[2])
            kept.append(start + share * (end - start))
        if end[2] >= NEAR_M:
            kept.append(end)
    return np.array(kept).reshape(-1, 3)
