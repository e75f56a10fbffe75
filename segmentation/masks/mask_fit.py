"""The ids of a mask that is to be as large as its picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segmentation.errors import MaskMismatch
from segmentation.picture_files.file_data import FileData
from segmentation.picture_files.pictures import decode_mask, probe


def ids_that_fit(data: FileData, shape: tuple[int, int], *, called: str = "mask") -> NDArray[np.uint8]:
    """(H, W) uint8 ids, turned as its EXIF says. shape: (height, width) of the picture. One that cannot fit is not
    decoded: whatever it takes, it is for nothing. Raises MaskMismatch, and what `decode_mask` raises."""
    header = probe(data)
    stored, picture = (header.height, header.width), f"its picture {shape[1]}×{shape[0]}"
    if sorted(stored) != sorted(shape):
        raise MaskMismatch(f"the {called} is {header.width}×{header.height}, {picture}")
    ids = decode_mask(data, max_pixels=header.width * header.height)
    if ids.shape != shape:
        turned = "" if ids.shape == stored else " as its EXIF turns it"
        raise MaskMismatch(f"the {called} is {ids.shape[1]}×{ids.shape[0]}{turned}, {picture}")
    return ids
