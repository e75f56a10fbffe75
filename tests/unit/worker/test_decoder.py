"""Bytes to pictures, within budgets that are looked at first."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from segmentation.errors import ImageTooLarge, UnreadableImage, UnsupportedImage
from tests.factories import encoded, picture
from worker.pipeline.decoder import MOST_SCANS, PictureDecoder

DECODER = PictureDecoder(max_pixels=1_000_000)


def progressive(width: int, height: int, scans: int) -> bytes:
    """A JPEG whose last scan is repeated until there are that many: few bytes that take long to decode."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last, end = data.rfind(b"\xff\xda"), data.rfind(b"\xff\xd9")
    return data[:last] + data[last:end] * (scans - data.count(b"\xff\xda") + 1) + data[end:]


def test_a_picture_is_measured_and_decoded():
    data = picture(32, 24, form="PNG")
    assert DECODER.size(data) == (32, 24, 1, 1)
    assert DECODER.decode(data, bit_depth=None).pixels.shape == (24, 32, 3)


def test_pixels_beyond_the_budget_are_refused_before_they_are_decoded():
    large = encoded(np.zeros((1001, 1000), np.uint8), "PNG")
    with pytest.raises(ImageTooLarge, match="1000×1001"):
        DECODER.size(large[:200])  # there is nothing to decode


@pytest.mark.parametrize(("side", "scans"), [(64, MOST_SCANS + 1), (990, 20)])
def test_a_jpeg_that_goes_over_its_pixels_again_and_again_is_refused(side: int, scans: int):
    with pytest.raises(ImageTooLarge, match=f"{scans} times"):
        DECODER.size(progressive(side, side, scans))


def test_a_kind_of_file_that_takes_more_memory_may_have_fewer_pixels():
    pixels = np.zeros((500, 501, 3), np.uint8)
    assert DECODER.size(encoded(pixels[:, 1:], "JPEG2000")) == (500, 500, 1, 4)
    with pytest.raises(ImageTooLarge, match="allowed are 250000: to decode it takes 4 times the memory"):
        DECODER.size(encoded(pixels, "JPEG2000"), tiled=True)
    with pytest.raises(ImageTooLarge, match="allowed are 250000"):
        DECODER.decode(encoded(pixels, "JPEG2000"), bit_depth=None)


def test_usual_progressive_pictures_are_read():
    data = progressive(990, 990, 10)
    assert DECODER.size(data) == (990, 990, 10, 1)
    assert DECODER.decode(data, bit_depth=None).pixels.shape == (990, 990, 3)


def test_bad_pictures_are_refused_with_their_reason():
    with pytest.raises(UnreadableImage):
        DECODER.decode(picture(form="PNG")[:-40], bit_depth=None)
    with pytest.raises(UnsupportedImage):
        DECODER.size(b"%PDF-1.7" + bytes(40))
