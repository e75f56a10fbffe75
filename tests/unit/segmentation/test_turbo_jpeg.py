"""JPEGs give the same pixels with and without the quick library."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image

from segmentation.errors import ImageTooLarge, UnreadableImage
from segmentation.picture_files import turbo_jpeg
from segmentation.picture_files.picture_headers import count_scans
from segmentation.picture_files.pictures import read_picture

pytest.importorskip("simplejpeg")


def jpeg(mode: str = "RGB", size: tuple[int, int] = (37, 21), **saving: object) -> bytes:
    noise = np.random.default_rng(7).integers(0, 256, (5, 8, 4), dtype=np.uint8)
    picture = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).convert("RGB").convert(mode)
    file = io.BytesIO()
    picture.save(file, "JPEG", **saving)
    return file.getvalue()


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return jpeg(exif=exif)


SOUND = {
    "4:2:0": jpeg(subsampling=2),
    "4:4:4": jpeg(subsampling=0),
    "progressive": jpeg(progressive=True),
    "restarts": jpeg(restart_marker_blocks=1),
    "kept as RGB": jpeg(keep_rgb=True),
    "grey": jpeg("L"),
    "CMYK": jpeg("CMYK"),
    "one pixel": jpeg(size=(1, 1)),
    **{f"orientation {each}": turned(each) for each in range(1, 9)},
    "without its end": jpeg()[:-2],
    "filled up": jpeg()[:-2] + bytes(500),
    "progressive, filled up": jpeg(progressive=True)[:-2] + bytes(500),
    "in pieces, filled up": jpeg(restart_marker_rows=1)[:-2] + bytes(500),
    "with more behind it": jpeg() + b"more",
}


@pytest.mark.parametrize("data", SOUND.values(), ids=SOUND)
def test_pixels_and_notices_are_those_of_pillow(data, monkeypatch):
    quick = read_picture(data, max_pixels=10_000)
    monkeypatch.setattr(turbo_jpeg, "_turbo", None)
    plain = read_picture(data, max_pixels=10_000)
    np.testing.assert_array_equal(quick.pixels, plain.pixels)
    assert quick.notices == plain.notices
    assert not quick.pixels.flags.writeable
    assert quick.pixels.flags.c_contiguous


def test_the_usual_jpeg_is_read_by_the_quick_library():
    assert turbo_jpeg.decode_rgb(jpeg(), 21, 37) is not None


def test_a_jpeg_of_another_size_than_was_allowed_is_left_to_others():
    assert turbo_jpeg.decode_rgb(jpeg(), 20, 37) is None
    assert turbo_jpeg.decode_rgb(jpeg(), 21, 38) is None


def test_what_pillow_says_nothing_of_the_library_finds(monkeypatch):
    whole = jpeg(size=(200, 200))
    cut, zeros = whole[: len(whole) // 2] + b"\xff\xd9", bytes(9000)
    assert turbo_jpeg.complaint(whole) == ""
    assert turbo_jpeg.ends_early(turbo_jpeg.complaint(cut))
    assert turbo_jpeg.complaint(b"no JPEG") == ""
    with pytest.raises(UnreadableImage):
        read_picture(cut, max_pixels=100_000)
    with pytest.raises(UnreadableImage):
        read_picture(whole[: len(whole) * 4 // 5] + zeros, max_pixels=100_000)
    monkeypatch.setattr(turbo_jpeg, "_turbo", None)
    assert turbo_jpeg.complaint(cut) == ""
    with pytest.raises(UnreadableImage, match="the JPEG is damaged"):
        read_picture(cut[:-2], max_pixels=100_000)


@pytest.mark.parametrize("end", [b"", b"\xff", b"\xff\xd9", bytes(900)])
@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_jpeg_that_ends_where_a_restart_mark_should_be_is_damaged(end, options):
    """Decoders go on in grey there, whatever follows."""
    whole = jpeg(restart_marker_rows=1, **options)
    marks = [found.start() for found in re.finditer(rb"\xff[\xd0-\xd7]", whole)]
    assert marks
    for mark in marks:
        with pytest.raises(UnreadableImage, match="the JPEG is damaged"):
            read_picture(whole[:mark] + end, max_pixels=10_000)


def test_a_jpeg_whose_last_pixels_zeros_and_ones_complete_alike_is_damaged():
    """Its tables are made for it, so that either is the code for what is there most often: nothing."""
    whole = jpeg("CMYK", size=(96, 64), quality=20, optimize=True)
    for cut in range(3, 60):
        with pytest.raises(UnreadableImage):
            read_picture(whole[:-cut], max_pixels=10_000)


def test_too_many_pixels_are_refused_before_they_are_decoded():
    with pytest.raises(ImageTooLarge):
        read_picture(jpeg(), max_pixels=100)


def test_what_is_written_differs_little_from_what_pillow_writes(monkeypatch):
    pixels = read_picture(jpeg(size=(320, 240)), max_pixels=100_000).pixels
    quick = turbo_jpeg.encode_rgb(pixels, 90)
    assert quick is not None
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    ours, theirs = (np.asarray(Image.open(io.BytesIO(each)), float) for each in (quick, file.getvalue()))
    assert 10 * np.log10(255**2 / ((ours - theirs) ** 2).mean()) > 48
    monkeypatch.setattr(turbo_jpeg, "_turbo", None)
    assert turbo_jpeg.encode_rgb(pixels, 90) is None


def test_a_mark_inside_a_thumbnail_is_no_scan():
    thumbnail = b"\xff\xe1" + (2 + 8).to_bytes(2, "big") + b"\xff\xda" * 4
    data = jpeg()
    assert count_scans(data[:2] + thumbnail + data[2:]) == 1


def test_without_the_library_nothing_is_read_by_it(monkeypatch):
    monkeypatch.setattr(turbo_jpeg, "_turbo", None)
    assert turbo_jpeg.read_header(jpeg()) is None
    assert turbo_jpeg.decode_rgb(jpeg(), 21, 37) is None
