"""Pictures whose pixels lie as they are looked at: for programs that read pixels and pass over what EXIF says."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from PIL import ExifTags, Image

from segmentation.errors import UnreadableImage, UnsupportedImage
from segmentation.picture_files.file_data import FileData, opened
from segmentation.picture_files.picture_kinds import HEAD_BYTES, PICTURE_KINDS, sniff_media_type
from segmentation.picture_files.pictures import is_upright, probe, read_exif, read_picture

# By media type, as what a turned picture is written again: the same kind, whose name it keeps.
_SAVED: Mapping[str, Mapping[str, Any]] = {
    "image/jpeg": {"format": "jpeg", "quality": 95, "subsampling": 0},
    "image/webp": {"format": "webp", "lossless": True},
    "image/tiff": {"format": "tiff", "compression": "tiff_lzw"},
    "image/avif": {"format": "avif", "quality": 95},
}
_PNG: Mapping[str, Any] = {"format": "png", "compress_level": 1}
_IN_PLACE, _SIDEWAYS = (2, 3, 4), (5, 6, 7, 8)  # orientations of EXIF
_COLOURS = slice(16, 20)  # of a profile: in what its picture is stored (ICC.1, 7.2.6)


def is_turned_unseen(data: FileData) -> bool:
    """Whether EXIF turns or mirrors the picture and leaves its shape: that of a mask does not show then whether it was
    drawn before or after. Raises UnreadableImage, UnsupportedImage."""
    orientation = read_exif(data).get(ExifTags.Base.Orientation)
    if orientation in _SIDEWAYS:
        header = probe(data)
        return header.width == header.height
    return orientation in _IN_PLACE


def upright_copy(data: FileData, *, max_pixels: int, bit_depth: int | None = None) -> bytes | None:
    """The pixels that a model sees, with their colour profile and without a word on how to turn them.

    bit_depth: as in `read_picture`. None of a picture that lies as it is looked at, or that is not read here.
    Raises what `read_picture` raises.
    """
    try:
        if is_upright(data):
            return None
    except (UnreadableImage, UnsupportedImage):
        return None
    media_type = sniff_media_type(data[:HEAD_BYTES]) or ""
    profile = PICTURE_KINDS[media_type].open(opened(data)).info.get("icc_profile") or b""
    pixels = read_picture(data, max_pixels=max_pixels, bit_depth=bit_depth).pixels
    file = io.BytesIO()
    kept = profile if profile[_COLOURS] == b"RGB " else None  # that of grey or CMYK says nothing of what it became
    Image.fromarray(pixels).save(file, icc_profile=kept, **_SAVED.get(media_type, _PNG))
    return file.getvalue()
