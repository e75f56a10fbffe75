"""What cameras and weather do to a picture (H,W,3) uint8 RGB. The caller brings the random generator."""

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def with_gamma(picture: Picture, exponent: float) -> Picture:
    """Another response curve: above 1 darkens the middle tones, below 1 lifts them."""
    levels = np.arange(256) / 255
    return _looked_up(picture, 255 * levels**exponent)


def with_haze(picture: Picture, rng: np.random.Generator) -> Picture:
    """Light scattered in fog, more of it towards the upper part of the picture, where what is seen is farther away.

    Source: the scattering model of Koschmieder, as in Sakaridis et al. 2018, with the height in the picture as depth.
    """
    height = picture.shape[0]
    horizon = rng.uniform(0.3, 0.6) * height
    nearness = np.clip((np.arange(height) - horizon) / height, 0, 1)  # 0 at the horizon and above it
    kept = np.exp(-rng.uniform(0.3, 1.6) * np.exp(-4 * nearness)).astype(np.float32)[:, None, None]
    light = rng.uniform(180, 245) * (1 + rng.uniform(-0.04, 0.04, size=3))
    return _rounded(picture * kept + light.astype(np.float32) * (1 - kept))


def at_night(picture: Picture, rng: np.random.Generator) -> Picture:
    """Little light, its colour that of lamps, and the noise of a camera that amplifies it."""
    gains = rng.uniform(0.25, 0.6) * np.array([1.0, rng.uniform(0.8, 1.0), rng.uniform(0.55, 1.0)])
    dark = _looked_up(picture, 255 * (np.arange(256) / 255)[:, None] ** rng.uniform(1.0, 1.6) * gains)
    return with_noise(dark, rng)


def with_noise(picture: Picture, rng: np.random.Generator) -> Picture:
    """Gaussian noise of 2 to 14 levels."""
    noise = rng.standard_normal(picture.shape, dtype=np.float32)
    return _rounded(picture + noise * np.float32(rng.uniform(2, 14)))


def as_jpeg(picture: Picture, rng: np.random.Generator) -> Picture:
    """Coded and decoded with a quality of 20 to 80."""
    quality = int(rng.integers(20, 81))
    _, coded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), dtype=np.uint8)
    return np.ascontiguousarray(decoded[..., ::-1])


def _looked_up(picture: Picture, table: NDArray[np.float64]) -> Picture:
    """table: (256,) of all channels, or (256,3)."""
    rounded = np.clip(np.round(table), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(picture, rounded.reshape(1, 256, -1)), dtype=np.uint8)


def _rounded(picture: NDArray[np.float32]) -> Picture:
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)
