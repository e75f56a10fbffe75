"""Pictures that EXIF turns, for programs that do not look at it."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, PngImagePlugin, features

from segmentation.picture_files.picture_kinds import HEAD_BYTES, sniff_media_type
from segmentation.picture_files.pictures import decode_picture, is_upright
from segmentation.picture_files.upright import is_turned_unseen, upright_copy

HEIGHT, WIDTH = 40, 64
ACROSS, DOWN = np.linspace(0, 255, WIDTH), np.linspace(0, 255, HEIGHT)
# Smooth, so that losses stay small, and another from each side.
PIXELS = np.stack(np.broadcast_arrays(ACROSS, DOWN[:, None], ACROSS * DOWN[:, None] / 255), axis=2).astype(np.uint8)
KINDS = ["jpeg", "png", "webp", "tiff", *(["avif"] if features.check("avif") else [])]
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif


def turned(kind: str, orientation: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, kind, exif=exif_of(orientation), icc_profile=PROFILE, quality=95)
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


@pytest.mark.parametrize("orientation", range(1, 9))
def test_whether_a_picture_is_turned_is_seen_by_its_shape_or_not(orientation: int) -> None:
    exif, file = exif_of(orientation), io.BytesIO()
    Image.new("RGB", (5, 5)).save(file, "png", exif=exif)
    assert is_turned_unseen(file.getvalue()) is (orientation > 1)
    assert is_turned_unseen(turned("jpeg", orientation)) is (orientation in (2, 3, 4))


@pytest.mark.parametrize("kind", KINDS)
def test_what_lies_as_it_is_looked_at_stays_as_it_is(kind: str) -> None:
    assert upright_copy(turned(kind, 1), max_pixels=10**6) is None


@pytest.mark.parametrize("data", [b"no picture", b"\xff\xd8\xff\xe1 Exif\0\0 and no more"])
def test_what_is_not_read_stays_as_it_is(data: bytes) -> None:
    assert upright_copy(data, max_pixels=10**6) is None


def in_a_raw_profile(orientation: int) -> PngImagePlugin.PngInfo:
    """As ImageMagick writes EXIF."""
    told, info = exif_of(orientation).tobytes(), PngImagePlugin.PngInfo()
    info.add_text("Raw profile type exif", f"\nexif\n{len(told):8}\n{told.hex()}\n", zip=True)
    return info


def in_xmp(orientation: int) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", f'<x:xmpmeta><rdf:Description tiff:Orientation="{orientation}"/></x:xmpmeta>')
    return info


@pytest.mark.parametrize("written", [in_a_raw_profile, in_xmp])
def test_wherever_a_png_says_it_the_copy_lies_as_the_model_sees_it(
    written: Callable[[int], PngImagePlugin.PngInfo],
) -> None:
    file, upright = io.BytesIO(), io.BytesIO()
    Image.fromarray(PIXELS).save(file, "png", pnginfo=written(6))
    Image.fromarray(PIXELS).save(upright, "png", pnginfo=written(1))
    seen = decode_picture(file.getvalue(), max_pixels=10**6)
    assert seen.shape == (WIDTH, HEIGHT, 3)
    copy = upright_copy(file.getvalue(), max_pixels=10**6)
    assert copy is not None
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(copy))), seen)
    assert upright_copy(upright.getvalue(), max_pixels=10**6) is None


def test_the_copy_of_a_deep_picture_is_as_bright_as_the_model_sees_it() -> None:
    file = io.BytesIO()
    Image.fromarray(PIXELS[..., 0].astype(np.uint16) << 4).save(file, "tiff", exif=exif_of(6))
    copy = upright_copy(file.getvalue(), max_pixels=10**6, bit_depth=12)
    assert copy is not None
    np.testing.assert_array_equal(decode_picture(copy, max_pixels=10**6)[..., 0], np.rot90(PIXELS[..., 0], -1))


@pytest.mark.parametrize(("mode", "kind"), [("CMYK", b"CMYK"), ("L", b"GRAY")])
def test_a_profile_of_other_colours_does_not_come_along(mode: str, kind: bytes) -> None:
    file, profile = io.BytesIO(), PROFILE[:16] + kind + PROFILE[20:]
    Image.fromarray(PIXELS).convert(mode).save(file, "jpeg", exif=exif_of(6), icc_profile=profile)
    copy = upright_copy(file.getvalue(), max_pixels=10**6)
    assert copy is not None
    found = Image.open(io.BytesIO(copy))
    assert (found.mode, found.size, found.info.get("icc_profile")) == ("RGB", (HEIGHT, WIDTH), None)
