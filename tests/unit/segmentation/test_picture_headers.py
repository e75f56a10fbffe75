"""What is known of a picture before a pixel is decoded: size, kind, and how often a JPEG goes through its pixels."""

import io
import struct
import time
from typing import Any, Literal

import pytest
from PIL import Image

from segmentation.errors import UnreadableImage
from segmentation.picture_files import picture_headers
from segmentation.picture_files.picture_headers import (
    MOST_PAGES,
    MOST_SEGMENTS,
    count_pages,
    count_scans,
    has_end_mark,
    lacks_scans,
    may_be_turned,
)
from segmentation.picture_files.picture_kinds import PICTURE_KINDS
from segmentation.picture_files.pictures import Header, probe, read_picture


def saved(kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").resize((40, 24)).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        *(("JPEG", {}), ("PNG", {}), ("TIFF", {}), ("BMP", {}), ("GIF", {}), ("AVIF", {})),
        *(("WEBP", {}), ("WEBP", {"lossless": True}), ("WEBP", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"})),
    ],
)
def test_the_size_is_known_before_the_pixels(kind: str, options: dict[str, Any]) -> None:
    data = saved(kind, **options)
    assert probe(data) == Header(media_type=f"image/{kind.lower()}", width=40, height=24, scans=1)


def test_the_size_is_of_the_pixels_as_stored() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert probe(saved("JPEG", exif=exif)).width == 40


def test_the_scans_of_a_progressive_jpeg_are_counted() -> None:
    data = saved("JPEG", progressive=True)
    assert probe(data).scans == 10


def test_a_mark_inside_a_thumbnail_is_no_scan() -> None:
    data = saved("JPEG", exif=b"Exif\0\0" + b"\xff\xda" * 50)
    assert probe(data).scans == 1


def test_a_jpeg_that_is_cut_off_has_the_scans_that_are_there() -> None:
    data = saved("JPEG", progressive=True)
    assert count_scans(data[: len(data) // 2]) < 10
    assert count_scans(data[:20]) == 1


@pytest.mark.parametrize("between", [b"", b"\xff\xff", b"stray", b"\xff\x01", b"\xff\xe5\x00\x04ab"])
def test_exif_is_found_wherever_it_may_lie_before_the_pixels(between: bytes) -> None:
    data = saved("JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0")
    assert may_be_turned(data)
    assert may_be_turned(data[:2] + between + data[2:])
    assert may_be_turned(data[:20] + between + data[20:])
    assert not may_be_turned(saved("JPEG") + b"Exif\0")


def test_a_jpeg_ends_after_its_last_scan() -> None:
    data = saved("JPEG", progressive=True)
    assert has_end_mark(data)
    assert has_end_mark(data + b"trailer")
    assert not has_end_mark(data[:-2])
    assert not has_end_mark(data + b"\xff\xda")
    assert not has_end_mark(b"\xff\xd8")


def test_scans_are_counted_across_the_parts_that_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved("JPEG", progressive=True)
    for size in (3, 7, len(data) - 1):
        monkeypatch.setattr(picture_headers, "_WINDOW", size)
        assert picture_headers._scan_marks(data) == data.count(b"\xff\xda")
        assert picture_headers._scan_marks(data[:size]) == data[:size].count(b"\xff\xda")


@pytest.mark.parametrize("segment", [b"\xff\xda\x00\x02\x01", b"\xff\xfe\x00\x02"])
def test_a_jpeg_of_more_segments_than_make_sense_is_damaged(segment: bytes) -> None:
    """Each takes a step of Python, and four bytes."""
    data = b"\xff\xd8" + segment * (MOST_SEGMENTS + 5) + saved("JPEG", progressive=True)[2:]
    for looked_at in (count_scans, lacks_scans):
        with pytest.raises(UnreadableImage, match=f"damaged: it has more than {MOST_SEGMENTS} segments"):
            looked_at(data)
    with pytest.raises(UnreadableImage, match="the JPEG is damaged"):
        read_picture(data, max_pixels=10_000)
    assert not may_be_turned(data[:-100])


def test_a_webp_that_does_not_tell_its_size_is_opened_or_damaged() -> None:
    with pytest.raises(UnreadableImage, match="the WebP is damaged"):
        probe(b"RIFF" + struct.pack("<I", 20) + b"WEBPXXXX" + bytes(20))


def test_what_is_no_picture_has_no_header() -> None:
    with pytest.raises(UnreadableImage):
        probe(b"To whom it may concern")


def test_no_two_kinds_share_a_suffix() -> None:
    suffixes = [suffix for kind in PICTURE_KINDS.values() for suffix in kind.suffixes]
    assert len(set(suffixes)) == len(suffixes)


@pytest.mark.parametrize("big", [False, True])
def test_the_pages_of_a_tiff_are_counted_and_told(*, big: bool) -> None:
    pages = [Image.new("RGB", (8, 6), (each, 0, 0)) for each in range(3)]
    file = io.BytesIO()
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:], big_tiff=big)
    data = file.getvalue()
    (notice,) = read_picture(data, max_pixels=100).notices
    assert (count_pages(data), notice.code) == (3, "first_of_several")
    assert notice.detail.startswith("the TIFF holds 3 pictures, and this is of the first")
    assert [count_pages(data[:size]) for size in (0, 8, len(data) // 2)] == [0, 0, 2]


@pytest.mark.parametrize("order", ["little", "big"])
def test_overviews_masks_and_circles_are_no_pages(order: Literal["little", "big"]) -> None:
    def page(kind: int, after: int) -> bytes:
        numbers = ((1, 2), (254, 2), (4, 2), (1, 4), (kind, 4), (after, 4))
        return b"".join(number.to_bytes(size, order) for number, size in numbers)

    size = len(page(0, 0))
    head = (b"II*\0" if order == "little" else b"MM\0*") + (8).to_bytes(4, order)
    kinds = (0, 1, 4, 2)  # a picture, a smaller one, a mask, another picture
    chain = b"".join(page(kind, 8 + size * ((at + 1) % len(kinds))) for at, kind in enumerate(kinds))
    assert count_pages(head + chain) == 2
    endless = b"".join(page(1, 8 + size * (at + 1)) for at in range(MOST_PAGES)) + page(0, 0)
    assert count_pages(head + endless) == 0  # whoever made it wants it to be walked through
    assert count_pages(head + page(0, 10**6)) == 1


def test_ones_without_a_marker_behind_them_take_no_time_of_their_own():
    """Where each of them began a search to their end, two megabytes took hours."""
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
    assert count_scans(b"\xff\xd8" + 2 * scan + b"\xff" * 2**21) == 2
    assert lacks_scans(
        b"\xff\xd8\xff\xc2\x00\x0b\x08\0\x08\0\x08\x01\x01\x11\0" + scan[:-1] + b"\x01" + b"\xff" * 2**21
    )


def test_frames_that_are_named_again_and_again_take_little_time():
    """Where a set was made of the coefficients of each, four megabytes took half a minute."""
    frame = b"\xff\xc2\xff\xff" + bytes(65533)
    begin = time.process_time()
    assert lacks_scans(b"\xff\xd8" + 10 * frame + saved("JPEG", progressive=True))
    assert time.process_time() - begin < 0.5
