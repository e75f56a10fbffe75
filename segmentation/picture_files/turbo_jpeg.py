"""JPEG straight between bytes and arrays, by libjpeg-turbo in `simplejpeg`; Pillow does it where that is not installed.

Pillow brings the same library, and the pixels are the same to the last bit, but it goes through a copy of its own.
"""

import importlib
import importlib.util
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from segmentation.picture_files.picture_headers import completed

_CORRUPT = "Corrupt JPEG data: "
# Where pixels are missing: within a piece of the data, or at its end, where the mark of the next one should be.
_ENDS_EARLY = ("premature end of data segment", "found marker 0xd9 instead of RST")

_turbo: Any = importlib.import_module("simplejpeg") if importlib.util.find_spec("simplejpeg") else None


def read_header(data: bytes) -> tuple[int, int, bool] | None:
    """(height, width, whether the pixels are in three colours) as stored; None for what is not sound so far."""
    if _turbo is None:
        return None
    try:
        height, width, colours, _ = _turbo.decode_jpeg_header(data, strict=True)
    except ValueError:
        return None
    return height, width, colours in ("YCbCr", "RGB")


def decode_rgb(data: bytes, height: int, width: int) -> NDArray[np.uint8] | None:
    """(height, width, 3) uint8 RGB as stored; None for what is not of this size, or not sound to the last bit."""
    if _turbo is None:
        return None
    room = np.empty((height, width, 3), np.uint8)  # of ours, so that no more is taken than the caller has allowed
    try:
        pixels = _turbo.decode_jpeg(data, "RGB", fastdct=False, fastupsample=False, buffer=room, strict=True)
    except ValueError:
        return None
    return room if pixels.shape == room.shape else None


def complaint(data: bytes) -> str:
    """What libjpeg-turbo says of damaged data, which Pillow passes over in silence; empty for sound data, and where the
    library is not there."""
    if _turbo is None:
        return ""
    try:
        _turbo.decode_jpeg(data, "GRAY", min_factor=8, strict=True)
    except ValueError as error:
        said = str(error)
        return said.removeprefix(_CORRUPT) if said.startswith(_CORRUPT) else ""
    return ""


def ends_early(said: str) -> bool:
    """Whether pixels are missing. said: by `complaint`."""
    return said.startswith(_ENDS_EARLY)


def whole_part(data: bytes) -> bytes | None:
    """Of a JPEG that was cut off: without zeros that fill it up; None where pixels are missing.

    Zeros may stand for missing pixels as well as behind all of them: decoders take them for pixels, and do not say
    that the mark of the next piece is missing where they have complained of the zeros before it.
    """
    said, bare = complaint(completed(data)[0]), data.rstrip(b"\0")
    if not said:
        return data
    if not said.endswith("extraneous bytes before marker 0xd9"):
        return None
    if bare == data:
        return data
    # The first of the zeros may be the last byte of the pixels.
    return next((each for each in (bare, bare + b"\0") if not complaint(completed(each)[0])), None)


def encode_rgb(pixels: NDArray[np.uint8], quality: int) -> bytes | None:
    """pixels: (H, W, 3) uint8 RGB. Colours at half the size, as Pillow does it; None where the library is not there."""
    if _turbo is None:
        return None
    return cast(bytes, _turbo.encode_jpeg(np.ascontiguousarray(pixels), quality, "RGB", "420", fastdct=False))
