"""Picture → tensor, to the last bit what `Preprocessing.apply` gives: compiled in a third of its time, else in two."""

from __future__ import annotations

import threading
import weakref
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.picture_files.pictures import Picture
from segmentation.preprocessing import Preprocessing, normalised
from worker.kernels import resizing
from worker.kernels.library import library


def network_input(preprocessing: Preprocessing, picture: Picture) -> NDArray[np.float32]:
    """picture: (H, W, 3) uint8 RGB. Returns (3, h, w) float32, C-contiguous, normalised."""
    size = height, width = preprocessing.input_size(*picture.shape[:2])
    halved, tables = _halved(picture, height, width), _tables(preprocessing)
    if (compiled := library()) is not None and resizing.fits(halved.shape, height, width):
        return resizing.network_input(compiled, halved, size, tables)
    tensor = np.empty((3, height, width), np.float32)
    for values, channel, table in zip(tensor, cv2.split(preprocessing.scaled(halved)), tables, strict=True):
        cv2.LUT(channel, table, dst=values)
    return tensor


class SharedInputs(threading.local):
    """Inputs of the picture that a thread has at hand: several models that prepare it alike are given one tensor, which
    nobody may change. They go with the picture."""

    LARGEST = 2**23  # bytes of a tensor that is kept

    def __init__(self) -> None:
        self._picture: weakref.ref[Picture] | None = None
        self._made: dict[Preprocessing, NDArray[np.float32]] = {}

    def of(self, preprocessing: Preprocessing, picture: Picture) -> NDArray[np.float32]:
        """As `network_input`."""
        if self._picture is None or self._picture() is not picture:
            made: dict[Preprocessing, NDArray[np.float32]] = {}
            self._made = made
            self._picture = weakref.ref(picture, lambda _: made.clear())
        found = self._made.get(preprocessing)
        if found is None:
            found = network_input(preprocessing, picture)
            if found.nbytes <= self.LARGEST:
                self._made[preprocessing] = found
        return found


def _halved(picture: Picture, height: int, width: int) -> Picture:
    """Where shrinking begins with averages of exactly 2×2 pixels: Pillow would first make a copy of the whole."""
    rows, columns = picture.shape[:2]
    if (rows // height, columns // width) != (2, 2) or rows % 2 or columns % 2:
        return picture
    half = (columns // 2, rows // 2)
    return np.asarray(cv2.resize(picture, half, interpolation=cv2.INTER_AREA), np.uint8)


@lru_cache(maxsize=32)
def _tables(preprocessing: Preprocessing) -> NDArray[np.float32]:
    """(3, 256): what becomes of each value of each channel."""
    values = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 256, 3)
    return normalised(values, mean=preprocessing.mean, std=preprocessing.std).reshape(3, 256)
