"""Bytes to class ids: ground truth as people keep it."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from segmentation.errors import ImageTooLarge, MaskMismatch, UnreadableImage
from segmentation.picture_files.pictures import decode_mask

IDS = np.array([[0, 1, 2], [33, 254, 255]], dtype=np.uint8)


def saved(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def decoded(data: bytes) -> NDArray[np.uint8]:
    return decode_mask(data, max_pixels=10_000)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def grey_png(bits: int, row: bytes, width: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, 1, bits, 0, 0, 0, 0)
    pixels = zlib.compress(b"\x00" + row)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_grey_values_are_ids(kind: str) -> None:
    assert np.array_equal(decoded(saved(Image.fromarray(IDS), kind)), IDS)


def test_palette_indices_are_ids_whatever_their_colours() -> None:
    indexed = Image.fromarray(IDS)
    indexed.putpalette(bytes(range(255, -1, -1)) * 3)
    assert np.array_equal(decoded(saved(indexed)), IDS)


@pytest.mark.parametrize("colours", [2, 4, 16])
def test_a_small_palette_packs_pixels_and_still_gives_ids(colours: int) -> None:
    ids = np.arange(colours, dtype=np.uint8)[None]
    indexed = Image.fromarray(ids)
    indexed.putpalette(bytes(colours * 3))
    assert np.array_equal(decoded(saved(indexed)), ids)


@pytest.mark.parametrize(
    ("bits", "row", "ids"),
    [(1, b"\xa0", [1, 0, 1]), (2, b"\x1b", [0, 1, 2, 3]), (4, b"\x07\xf1", [0, 7, 15, 1]), (8, b"\x00\x55", [0, 85])],
)
def test_grey_pngs_of_few_bits_give_the_values_that_are_written_in_them(bits: int, row: bytes, ids: list[int]) -> None:
    assert decoded(grey_png(bits, row, width=len(ids))).tolist() == [ids]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_are_read_as_long_as_the_ids_fit_a_byte(kind: str) -> None:
    assert np.array_equal(decoded(saved(Image.fromarray(IDS.astype(np.uint16)), kind)), IDS)
    with pytest.raises(MaskMismatch, match=r"class ids must be 0\.\.255, the mask has 0\.\.510"):
        decoded(saved(Image.fromarray(IDS.astype(np.uint16) * 2), kind))


def test_whole_numbers_are_read_as_long_as_the_ids_fit_a_byte() -> None:
    assert np.array_equal(decoded(saved(Image.fromarray(IDS.astype(np.int32)), "TIFF")), IDS)
    with pytest.raises(MaskMismatch, match=r"the mask has -1\.\.254"):
        decoded(saved(Image.fromarray(IDS.astype(np.int32) - 1), "TIFF"))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_colours_are_no_ids(mode: str) -> None:
    with pytest.raises(MaskMismatch, match=f"one class id per pixel .* this one is {mode}") as caught:
        decoded(saved(Image.new(mode, (2, 2))))
    assert caught.value.code == "mask_mismatch"


def test_a_jpeg_keeps_no_ids() -> None:
    with pytest.raises(MaskMismatch, match="JPEG does not keep class ids"):
        decoded(saved(Image.fromarray(IDS), "JPEG"))


def test_a_mask_is_bounded_and_may_be_damaged_like_any_picture() -> None:
    with pytest.raises(ImageTooLarge):
        decode_mask(saved(Image.fromarray(IDS)), max_pixels=5)
    with pytest.raises(UnreadableImage):
        decoded(saved(Image.fromarray(IDS))[:40])
