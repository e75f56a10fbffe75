"""PNG files of our own, read back by Pillow."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from segmentation.errors import UnreadableArtifact
from segmentation.formats import png_file
from segmentation.formats.png_file import png_pieces, png_rows, write_png

RANDOM = np.random.default_rng(5)
COLOURS = RANDOM.integers(0, 256, (256, 3), dtype=np.uint8)


@pytest.fixture(params=["as installed", "zlib"])
def _packer(request, monkeypatch):
    if request.param == "zlib":
        monkeypatch.setattr(png_file, "_packer", zlib)


@pytest.mark.usefixtures("_packer")
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (64, 127)])
def test_indices_and_palette_come_back(shape: tuple[int, int]):
    indices = RANDOM.integers(0, 256, shape, dtype=np.uint8)
    read = Image.open(io.BytesIO(write_png(indices, COLOURS)))
    assert read.mode == "P"
    np.testing.assert_array_equal(np.asarray(read), indices)
    np.testing.assert_array_equal(np.asarray(read.convert("RGB")), COLOURS[indices])


@pytest.mark.usefixtures("_packer")
def test_grey_values_come_back():
    grey = RANDOM.integers(0, 256, (50, 70), dtype=np.uint8)
    read = Image.open(io.BytesIO(write_png(grey)))
    assert read.mode == "L"
    np.testing.assert_array_equal(np.asarray(read), grey)


def test_bands_join_without_a_seam(monkeypatch):
    monkeypatch.setattr(png_file, "_BAND_PIXELS", 100)
    grey = RANDOM.integers(0, 256, (50, 70), dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(write_png(grey)))), grey)


def test_a_part_of_a_larger_array_is_written():
    grey = RANDOM.integers(0, 256, (50, 70), dtype=np.uint8)[3:41, 5:60]
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(write_png(grey)))), grey)


class Dribble:
    """A file that gives a few bytes at a time."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int, /) -> bytes:
        return self._file.read(min(size, 5))


def by_rows(data: bytes) -> np.ndarray:
    return np.concatenate(list(png_rows(Dribble(data))))


@pytest.mark.usefixtures("_packer")
@pytest.mark.parametrize("band", [1, 100, 2**22])
@pytest.mark.parametrize("values", [2, 256])
def test_rows_are_read_back_without_the_whole(monkeypatch, band: int, values: int):
    monkeypatch.setattr(png_file, "_BAND_PIXELS", band)
    monkeypatch.setattr(png_file, "_PIECE", 7)
    indices = RANDOM.integers(0, values, (300, 70), dtype=np.uint8)
    indices[100:250] = 1
    np.testing.assert_array_equal(by_rows(write_png(indices, COLOURS, [(b"tEXt", b"a\0" + bytes(99))])), indices)
    pieces = b"".join(png_pieces(np.array_split(indices, [3, 10, 200]), indices.shape, COLOURS))
    np.testing.assert_array_equal(by_rows(pieces), indices)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(pieces))), indices)


def _by_pillow(mode: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(RANDOM.integers(0, 256, (9, 7, 3), dtype=np.uint8)).convert(mode).save(file, "png")
    return file.getvalue()


OWN = write_png(RANDOM.integers(0, 256, (50, 70), dtype=np.uint8))
LOWER = OWN[:16] + b"\0\0\0\x46\0\0\0\x33" + OWN[24:]  # says that it has a row more
DAMAGED = OWN[:60] + bytes(20) + OWN[80:]
WRONG = {
    "in colours": (_by_pillow("RGB"), "one byte a pixel"),
    "with other filters": (_by_pillow("L"), "filters"),
    "cut off": (OWN[:-30], "ends too early"),
    "of other height": (LOWER, "50 of 51 rows"),
    "damaged": (DAMAGED, "damaged"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_not_ours_is_not_read_by_rows(case: str):
    data, said = WRONG[case]
    with pytest.raises(UnreadableArtifact, match=said):
        by_rows(data)
