"""Ground truth that can be used, and the reason why not."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import ExifTags, Image

from jobs.processing.truth import Truth, read_truth
from segmentation.formats.png_file import write_png
from segmentation.label_spaces import get_label_space
from segmentation.palette import palette
from tests.factories import encoded, mask

CAMVID = get_label_space("camvid-11")
SHAPE = (2, 4)


def read(data: bytes, *, mask_space: str = "camvid-11") -> Truth:
    return read_truth(data, mask_space=get_label_space(mask_space), space=CAMVID, shape=SHAPE)


def only_warning(truth: Truth) -> tuple[str, str]:
    (warning,) = truth.warnings
    assert truth.label_map is None
    return warning.code, warning.detail


def turned(content: bytes) -> bytes:
    """As EXIF says: a quarter to the right."""
    exif, file = Image.Exif(), BytesIO()
    exif[ExifTags.Base.Orientation] = 6
    Image.open(BytesIO(content)).save(file, "PNG", exif=exif)
    return file.getvalue()


def test_a_mask_becomes_a_label_map_in_the_space_of_the_job():
    truth = read(mask(np.full(SHAPE, 23, np.uint8)), mask_space="cityscapes-34")
    assert truth.warnings == ()
    assert truth.label_map is not None
    assert truth.label_map.class_fractions() == {"sky": 1.0}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (mask(np.zeros((3, 3), np.uint8)), "the mask is 3×3, its picture 4×2"),
        (mask(np.zeros((4, 2), np.uint8)), "the mask is 2×4, its picture 4×2"),
        (turned(mask(np.zeros(SHAPE, np.uint8))), "the mask is 2×4 as its EXIF turns it, its picture 4×2"),
        (encoded(np.zeros((2, 4, 3), np.uint8), "PNG"), "one class id per pixel"),
        (encoded(np.zeros((2, 4), np.uint8), "JPEG"), "JPEG does not keep class ids"),
        (b"no picture", "the file is no"),
    ],
    ids=["size", "turned", "turned by EXIF", "colours", "jpeg", "damaged"],
)
def test_a_mask_that_does_not_fit_is_set_aside(data: bytes, why: str):
    code, detail = only_warning(read(data))
    assert code == "mask_mismatch"
    assert why in detail


def test_ids_that_the_label_space_does_not_know_are_named_with_their_shares_and_a_hint():
    code, detail = only_warning(read(mask(np.array([[0, 0, 0, 255], [0, 0, 0, 0]], np.uint8))))
    assert code == "mask_unknown_ids"
    assert detail.startswith("camvid-11 does not know id 255 (12.5 %); ")
    assert "two-class mask" in detail


def test_a_mask_in_the_colours_of_other_ids_is_set_aside():
    """Of Cityscapes the train ids are label ids too: read as those they would be scored, and wrongly."""
    train_ids = np.array([[0, 0, 1, 1], [13, 13, 8, 10]], np.uint8)
    data = write_png(train_ids, palette(get_label_space("cityscapes-19")))
    assert read(data, mask_space="cityscapes-19").warnings == ()
    code, detail = only_warning(read(data, mask_space="cityscapes-34"))
    assert code == "mask_mismatch"
    assert "have the colour of road, which is 7: its ids are of another label space" in detail


def test_where_there_is_nothing_to_guess_there_is_no_hint():
    code, detail = only_warning(read(mask(np.array([[0, 200, 0, 0], [0, 0, 0, 0]], np.uint8))))
    assert (code, detail) == ("mask_unknown_ids", "camvid-11 does not know id 200 (12.5 %)")


def test_a_mask_whose_pixels_mostly_count_nowhere_is_used_with_a_warning():
    truth = read(mask(np.full(SHAPE, 11, np.uint8)))
    assert truth.label_map is not None
    assert [(each.code, each.detail) for each in truth.warnings] == [
        ("mask_mostly_ignored", "100.0 % of the mask's pixels count nowhere")
    ]


def test_of_a_correction_that_is_open_it_is_told_how_much_counts_nowhere():
    """Its label space has no id for that, and so knows none of these pixels."""
    pets = get_label_space("oxford-pets-3")
    data = mask(np.full(SHAPE, pets.void_id, np.uint8))
    truth = read_truth(data, mask_space=pets, space=pets, shape=SHAPE, may_be_open=True)
    assert [(each.code, each.detail) for each in truth.warnings] == [
        ("mask_mostly_ignored", "100.0 % of the mask's pixels count nowhere")
    ]
