"""Masks whose ids the label space does not know: found, with each id's share and a hint, never counted as ignored."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from segmentation.errors import MaskMismatch
from segmentation.label_spaces import get_label_space
from segmentation.masks.mask_check import MaskReport, inspect_counts, inspect_mask, spaces_that_fit
from segmentation.masks.mask_palette import check_palette
from segmentation.palette import palette, voc_palette
from segmentation.picture_files.picture_headers import TEXT_BYTES
from segmentation.picture_files.pictures import decode_mask

CAMVID = get_label_space("camvid-11")
PETS = get_label_space("oxford-pets-3")
CITYSCAPES_8 = get_label_space("cityscapes-8")
CITYSCAPES_19 = get_label_space("cityscapes-19")


def mask(*ids: int) -> NDArray[np.uint8]:
    return np.array([ids], np.uint8)


def test_a_mask_of_the_space_has_nothing_unknown() -> None:
    assert inspect_mask(mask(0, 1, 2, 10), CAMVID) == MaskReport()


def test_unknown_ids_are_told_with_their_shares_the_largest_first() -> None:
    report = inspect_mask(mask(1, 20, 30, 30), CAMVID)
    assert list(report.unknown.items()) == [(30, 0.5), (20, 0.25)]
    assert report.unknown_share == 0.75
    assert report.unknown_text() == "id 30 (50.0 %), id 20 (25.0 %)"


def test_many_unknown_ids_are_not_all_named() -> None:
    report = inspect_mask(mask(*range(100, 110)), CAMVID)
    assert report.unknown_text().endswith("id 107 (10.0 %) and 2 more")


def test_the_ignored_id_is_known_and_counted_apart() -> None:
    report = inspect_mask(mask(11, 11, 11, 3), CAMVID)
    assert (report.unknown, report.ignored_share, report.hint) == ({}, 0.75, "")
    assert not report.mostly_ignored


def test_a_mask_with_hardly_a_class_that_counts_is_mostly_ignored() -> None:
    assert inspect_mask(mask(*[0] * 19, 1), CITYSCAPES_8).mostly_ignored
    assert inspect_mask(mask(*[0] * 10, *[200] * 9, 1), CITYSCAPES_8).mostly_ignored


def test_an_id_of_a_void_class_is_ignored_and_not_unknown() -> None:
    assert inspect_mask(mask(1, 7), get_label_space("cityscapes-34")).ignored_share == 0.5


def test_label_ids_of_cityscapes_are_recognised() -> None:
    assert inspect_mask(mask(7, 8, 11, 21, 23, 26, 33), CITYSCAPES_19).hint == "these look like cityscapes-34 ids"


def test_every_space_that_fits_is_named() -> None:
    hint = inspect_mask(mask(0, 1, 2, 9), CITYSCAPES_8).hint
    assert hint == "these look like camvid-11 or cityscapes-19 or cityscapes-34 ids"


@pytest.mark.parametrize("ids", [(0, 255), (255,), (1, 255)])
def test_two_values_up_to_255_are_a_two_class_mask(ids: tuple[int, ...]) -> None:
    hint = inspect_mask(mask(*ids), PETS).hint
    assert hint == f"{' and '.join(map(str, ids))}: a two-class mask, its pixels are not class ids"


def test_255_beside_known_ids_is_the_usual_ignored_id() -> None:
    assert inspect_mask(mask(0, 1, 255), CAMVID).hint.endswith("but camvid-11 ignores 11")
    assert inspect_mask(mask(0, 1, 2, 255), PETS).hint.endswith("but oxford-pets-3 ignores no id")


def test_evenly_spread_values_are_grey_levels() -> None:
    assert inspect_mask(mask(0, 60, 120, 180, 240), CAMVID).hint.startswith("evenly spread values")


def test_values_that_look_like_nothing_get_no_hint() -> None:
    report = inspect_mask(mask(3, 101, 77), CAMVID)
    assert (sorted(report.unknown), report.hint) == ([77, 101], "")


def test_counts_of_many_masks_are_inspected_together() -> None:
    counts = np.zeros(256, np.int64)
    counts[[0, 1, 200]] = 2, 1, 1
    assert inspect_counts(counts, CAMVID).unknown == {200: 0.25}


def test_no_pixel_at_all_is_nothing_to_report() -> None:
    assert inspect_counts(np.zeros(256, np.int64), CAMVID) == MaskReport()


def test_the_spaces_that_fit_come_with_the_fewest_classes_first() -> None:
    assert [each.name for each in spaces_that_fit([0, 7])] == [
        *("cityscapes-8", "camvid-11", "cityscapes-19", "cityscapes-34"),
    ]


def painted(ids: NDArray[np.uint8], colours: bytes | None) -> bytes:
    """colours: of the indices, as bytes; None: as a program chooses them for the colours of CamVid's classes."""
    own = Image.fromarray(ids)
    own.putpalette(palette(CAMVID).tobytes() if colours is None else colours)
    file = io.BytesIO()
    (own.convert("RGB").quantize(16) if colours is None else own).save(file, "png")
    return file.getvalue()


def test_a_palette_in_another_order_is_told() -> None:
    """What an editor shows is right, and its indices are other classes'."""
    data = painted(mask(0, 3, 8, 8), None)
    changed = np.asarray(Image.open(io.BytesIO(data)))
    assert not inspect_mask(changed, CAMVID).unknown
    with pytest.raises(MaskMismatch, match=r"pixels of \d+, which is \w+ in camvid-11, have the colour of \w+"):
        check_palette(data, changed, CAMVID)


@pytest.mark.parametrize("ids", [(0, 3, 8, 8), (11,), (0,)])
@pytest.mark.parametrize(
    "colours",
    [palette(CAMVID).tobytes(), palette(CAMVID, colour_blind_safe=True).tobytes(), bytes(range(256)) * 3, bytes(768)],
    ids=["ours", "safe", "theirs", "black"],
)
def test_other_palettes_say_nothing(ids: tuple[int, ...], colours: bytes) -> None:
    check_palette(painted(mask(*ids), colours), mask(*ids), CAMVID)


@pytest.mark.parametrize("ids", [(0, 1, 3), (0, 7)])
def test_nor_does_that_of_pascal_voc_whose_colours_many_have(ids: tuple[int, ...]) -> None:
    """Its fourth colour is a tree's in CamVid, and its eighth the sky's."""
    check_palette(painted(mask(*ids), voc_palette().tobytes()), mask(*ids), CAMVID)


def test_a_palette_is_read_beside_a_text_that_is_too_long_to_be() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "x" * (TEXT_BYTES + 1), zip=True)
    file = io.BytesIO()
    Image.open(io.BytesIO(painted(mask(0, 3), None))).save(file, "png", pnginfo=text)
    ids = decode_mask(file.getvalue(), max_pixels=100)
    with pytest.raises(MaskMismatch, match="have the colour of"):
        check_palette(file.getvalue(), ids, CAMVID)
