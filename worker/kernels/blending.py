"""Colours over a picture by the compiled loop: as `PIL.Image.blend` does it, to the last bit."""

from __future__ import annotations

import ctypes

import numpy as np
from numpy.typing import NDArray

from worker.kernels.library import address


def blend(
    library: ctypes.CDLL,
    ids: NDArray[np.uint8],
    rgb: NDArray[np.uint8],
    colours: NDArray[np.uint8],
    opacity: float,
) -> NDArray[np.uint8]:
    """ids: (H, W). rgb: (H, W, 3). colours: (256, 3), one for each id. opacity: in [0, 1]. Returns (H, W, 3) uint8.

    Raises ValueError where a picture is of another size than its ids.
    """
    if rgb.shape != (*ids.shape, 3):
        raise ValueError(f"ids of {ids.shape} do not lie over a picture of {rgb.shape}")
    ids, rgb = np.ascontiguousarray(ids), np.ascontiguousarray(rgb)
    padded = np.zeros((256, 4), np.uint8)
    padded[:, :3] = colours
    blended = np.empty(rgb.shape, np.uint8)
    byte = np.uint8
    library.maskmill_blend(
        *(address(ids, byte), address(rgb, byte), ids.size),
        *(address(padded, byte), opacity, address(blended, byte)),
    )
    return blended
