"""What a JPEG says of itself is read by the library that decodes it; Pillow is asked where that is not enough."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import ExifTags, Image

from segmentation.picture_files import pictures, turbo_jpeg
from segmentation.picture_files.pictures import probe, read_picture

XMP = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x='adobe:ns:meta/'><a tiff:Orientation='6'/></x:xmpmeta>"


def jpeg(mode: str = "RGB", **saving: object) -> bytes:
    noise = np.random.default_rng(1).integers(0, 255, (40, 24, len(mode)), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise.squeeze(), mode).save(file, "JPEG", **saving)
    return file.getvalue()


def turned(how: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = how
    return exif


@pytest.mark.parametrize(
    "data",
    [
        *(jpeg(mode) for mode in ("RGB", "L", "CMYK")),
        *(jpeg(exif=turned(how)) for how in range(1, 9)),
        jpeg(xmp=XMP.partition(b"\0")[2]),
        jpeg(progressive=True),
    ],
)
def test_size_and_pixels_are_those_of_pillow(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = probe(data), read_picture(data, max_pixels=10_000).pixels
    monkeypatch.setattr(turbo_jpeg, "_turbo", None)
    assert probe(data) == quick[0]
    np.testing.assert_array_equal(read_picture(data, max_pixels=10_000).pixels, quick[1])


def test_pillow_is_not_asked_for_the_usual_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures._File, "_open", None)
    data = jpeg()
    assert (probe(data).width, probe(data).height) == (24, 40)
    assert read_picture(data, max_pixels=1000).pixels.shape == (40, 24, 3)
