"""What a worker writes is what the formats promise."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import data
from segmentation.formats import FORMATS, FormatOptions
from segmentation.formats.overlay import Overlay
from segmentation.label_map import LabelMap
from segmentation.label_spaces import get_label_space
from segmentation.palette import palette
from segmentation.picture_files import turbo_jpeg
from worker.pipeline import quick_formats
from worker.pipeline.quick_formats import QUICK_FORMATS, QuickOverlay

SAMPLES = Path(data.__file__).parent / "samples"
RANDOM = np.random.default_rng(3)
SPACE = get_label_space("camvid-11")
IDS = RANDOM.integers(0, 11, (23, 41), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
BROAD = RANDOM.integers(0, 11, (4, 8), dtype=np.uint8).repeat(46, 0).repeat(41, 1)
RGB = np.asarray(Image.fromarray(RANDOM.integers(0, 256, (23, 41, 3), dtype=np.uint8)).resize((328, 184)))


@pytest.mark.parametrize("opacity", [0, 0.1, 0.25, 0.5, 0.73, 1])
def test_opencv_blends_colours_as_pillow_does(opacity: float, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(quick_formats, "library", lambda: None)
    colours = palette(SPACE)
    quick, plain = (each.blend(IDS, RGB, colours, opacity) for each in (QuickOverlay(), Overlay()))
    assert np.abs(quick.astype(int) - plain).max() <= 1
    assert (quick != plain).mean() < 0.001


def test_the_picture_and_the_ids_stay_as_they_are():
    ids, rgb = IDS.copy(), RGB.copy()
    QuickOverlay().blend(ids, rgb, palette(SPACE), 0.5)
    np.testing.assert_array_equal(ids, IDS)
    np.testing.assert_array_equal(rgb, RGB)


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_an_overlay_looks_as_pillow_alone_would_write_it(kind: str, monkeypatch):
    street = np.asarray(Image.open(SAMPLES / "day-avenue-01.jpg"))[:184, :328]
    options, label_map = FormatOptions(overlay_format=kind), LabelMap(BROAD, SPACE)
    quick = QUICK_FORMATS["overlay"].encode(label_map, street, options)
    monkeypatch.setattr(turbo_jpeg, "_turbo", None)
    plain = FORMATS["overlay"].encode(label_map, street, options)
    assert quick.media_type == plain.media_type
    assert psnr(pixels(quick.data), pixels(plain.data)) > 45


def test_every_format_is_written():
    assert QUICK_FORMATS.keys() == FORMATS.keys()


def pixels(file: bytes):
    return np.asarray(Image.open(io.BytesIO(file)), float)


def psnr(one, other) -> float:
    """In dB; of equal pictures a large number."""
    return float(10 * np.log10(255**2 / max(1e-9, ((one - other) ** 2).mean())))
