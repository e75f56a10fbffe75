"""Pictures that EXIF turns, for programs that do not look at it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, features

from segmentation.picture_files.picture_kinds import HEAD_BYTES, sniff_media_type
from segmentation.picture_files.pictures import decode_picture, is_upright
from segmentation.picture_files.upright import upright_copy

HEIGHT, WIDTH = 40, 64
ACROSS, DOWN = np.linspace(0, 255, WIDTH), np.linspace(0, 255, HEIGHT)
# Smooth, so that losses stay small, and another from each side.
PIXELS = np.stack(np.broadcast_arrays(ACROSS, DOWN[:, None], ACROSS * DOWN[:, None] / 255), axis=2).astype(np.uint8)
KINDS = ["jpeg", "png", "webp", "tiff", *(["avif"] if features.check("avif") else [])]
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def turned(kind: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, kind, exif=exif, icc_profile=PROFILE, quality=95)
    return file.getvalue()


def as_stored(data: bytes) -> NDArray[np.uint8]:
    """As a program reads it that knows nothing of EXIF."""
    found = Image.open(io.BytesIO(data))
    assert found.getexif().get(ExifTags.Base.Orientation, 1) == 1
    assert found.info["icc_profile"] == PROFILE
    return np.asarray(found.convert("RGB"))


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("kind", KINDS)
def test_a_turned_picture_is_written_as_it_is_looked_at(kind: str, orientation: int) -> None:
    data = turned(kind, orientation)
    copy = upright_copy(data, max_pixels=10**6)
    assert copy is not None
    assert sniff_media_type(copy[:HEAD_BYTES]) == sniff_media_type(data[:HEAD_BYTES])
    assert is_upright(copy)
    wanted = decode_picture(data, max_pixels=10**6)
    found = as_stored(copy)
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).max() <= (6 if kind in ("jpeg", "avif") else 0)
    assert found.shape[0] == (WIDTH if orientation > 4 else HEIGHT)


@pytest.mark.parametrize("kind", KINDS)
def test_what_lies_as_it_is_looked_at_stays_as_it_is(kind: str) -> None:
    assert upright_copy(turned(kind, 1), max_pixels=10**6) is None


@pytest.mark.parametrize("data", [b"no picture", b"\xff\xd8\xff\xe1 Exif\0\0 and no more"])
def test_what_is_not_read_stays_as_it_is(data: bytes) -> None:
    assert upright_copy(data, max_pixels=10**6) is None
