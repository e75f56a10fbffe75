"""PNG files of our own, read back by Pillow."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from segmentation.formats import png_file
from segmentation.formats.png_file import write_png

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
