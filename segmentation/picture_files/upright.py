"""Pictures whose pixels lie as they are looked at: for programs that read pixels and pass over what EXIF says."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from PIL import Image

from segmentation.errors import UnreadableImage, UnsupportedImage
from segmentation.picture_files.file_data import FileData, opened
from segmentation.picture_files.picture_kinds import HEAD_BYTES, PICTURE_KINDS, sniff_media_type
from segmentation.picture_files.pictures import is_upright, read_picture

# By media type, as what a turned picture is written again: the same kind, whose name it keeps.
_SAVED: Mapping[str, Mapping[str, Any]] = {
    "image/jpeg": {"format": "jpeg", "quality": 95, "subsampling": 0},
    "image/webp": {"format": "webp", "lossless": True},
    "image/tiff": {"format": "tiff", "compression": "tiff_lzw"},
    "image/avif": {"format": "avif", "quality": 95},
}
_PNG: Mapping[str, Any] = {"format": "png", "compress_level": 1}


def upright_copy(data: FileData, *, max_pixels: int) -> bytes | None:
    """The pixels that a model sees, with the colour profile and without a word on how to turn them.

    None of a picture that lies as it is looked at, or that is not read here. Raises what `read_picture` raises.
    """
    try:
        if is_upright(data):
            return None
    except (UnreadableImage, UnsupportedImage):
        return None
    media_type = sniff_media_type(data[:HEAD_BYTES]) or ""
    profile = PICTURE_KINDS[media_type].open(opened(data)).info.get("icc_profile")
    pixels = read_picture(data, max_pixels=max_pixels).pixels
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, icc_profile=profile, **_SAVED.get(media_type, _PNG))
    return file.getvalue()
