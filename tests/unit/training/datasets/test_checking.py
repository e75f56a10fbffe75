"""Every file is looked at before anything is learnt from or scored: ids without a meaning, broken files, sizes."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segmentation.formats.png_file import write_png
from segmentation.label_space import LabelClass, LabelSpace
from segmentation.label_spaces import get_label_space
from segmentation.palette import palette
from training.datasets import DATASETS
from training.datasets.checking import UnknownMaskIds, check_pictures, count_pictures, measured_without
from training.datasets.pairs import About, DatasetError, PairDataset
from training.spaces import find_label_space

APPLE_DOUBLE = b"\0\5\x16\7" + bytes(60)  # what macOS keeps beside a file on a foreign disk


def write(root: Path, name: str, mask: np.ndarray) -> None:
    for kind, pixels in (("images", np.dstack([mask] * 3)), ("masks", mask)):
        (root / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / kind / f"{name}.png")


def halves(left: int, right: int) -> np.ndarray:
    return np.repeat([[left, right]], 4, axis=1).repeat(6, axis=0).astype(np.uint8)


def folder(root: Path, space: str = "camvid-11") -> PairDataset:
    return DATASETS["folder"](root, "train", label_space=space)


def test_masks_whose_ids_have_a_meaning_pass(tmp_path):
    write(tmp_path, "a", halves(0, 3))
    write(tmp_path, "b", halves(11, 3))
    looked_at = []
    assert check_pictures([folder(tmp_path)], on_picture=lambda: looked_at.append(1)) == []
    assert len(looked_at) == count_pictures([folder(tmp_path)]) == 2


def test_a_mask_of_black_and_white_names_file_ids_share_and_what_it_looks_like(tmp_path):
    write(tmp_path, "a", halves(0, 0))
    write(tmp_path, "b", halves(0, 255))
    with pytest.raises(UnknownMaskIds) as caught:
        check_pictures([folder(tmp_path)])
    said = str(caught.value)
    assert f"{tmp_path / 'masks' / 'b.png'} holds ids that camvid-11 " in said
    assert "id 255 (50.0 %) of its pixels" in said
    assert "a two-class mask" in said
    assert 'unknown_ids = "ignore"' in said
    assert caught.value.code == "mask_unknown_ids"


def test_colours_of_another_label_space_are_recognised(tmp_path):
    write(tmp_path, "a", halves(0, 13))  # a road and a car in train ids, nothing and a fence in label ids
    (tmp_path / "masks/a.png").write_bytes(write_png(halves(0, 13), palette(get_label_space("cityscapes-19"))))
    assert check_pictures([folder(tmp_path, "cityscapes-19")]) == []
    with pytest.raises(
        DatasetError, match=r"a\.png cannot be used: pixels of 0, .* have the colour of road, which is 7"
    ):
        check_pictures([folder(tmp_path, "cityscapes-34")])


def test_ids_of_another_label_space_are_recognised_over_all_masks(tmp_path):
    write(tmp_path, "a", halves(7, 26))
    write(tmp_path, "b", halves(23, 33))
    with pytest.raises(UnknownMaskIds, match=r"2 of 2 masks hold such ids\. These look like cityscapes-34 ids"):
        check_pictures([folder(tmp_path)])


def test_ids_without_a_meaning_may_be_ignored_and_are_told(tmp_path):
    write(tmp_path, "a", halves(0, 255))
    (said,) = check_pictures([folder(tmp_path)], unknown_ids="ignore")
    assert said == (
        "masks with ids that camvid-11 does not know: 1 of 1; these ids count nowhere: id 255 (50.0 %) of their pixels"
    )


def test_classes_that_validation_cannot_show_are_told(tmp_path):
    full = PairDataset([], space=get_label_space("cityscapes-34"), about=About(title="", licence=""))
    half = PairDataset([], space=get_label_space("camvid-11"), about=full.about)
    space = get_label_space("cityscapes-19")
    (said,) = measured_without(half, [full], space)
    assert said.startswith("validation masks, in camvid-11, cannot show wall, traffic light, ")
    assert measured_without(full, [half], space) == measured_without(half, [half], space) == []


def test_masks_of_which_no_pixel_counts_teach_nothing_and_score_nothing(tmp_path):
    write(tmp_path, "a", halves(11, 11))
    with pytest.raises(DatasetError, match=r"no pixel of folder .* counts in camvid-11: its masks hold 11, which are"):
        check_pictures([folder(tmp_path)])
    write(tmp_path / "elsewhere", "a", halves(1, 2))  # cityscapes-34's ego vehicle and rectification border
    pictures = folder(tmp_path / "elsewhere", "cityscapes-34")
    with pytest.raises(DatasetError, match="counts in camvid-11: its masks hold 1, 2"):
        check_pictures([pictures], learnt_in=get_label_space("camvid-11"))


def test_classes_that_no_mask_shows_are_told_to_who_wants_to_learn_them(tmp_path):
    """Whoever draws the foreground in white teaches the background alone where 255 counts nowhere."""
    classes = tuple(LabelClass(number, name, (number, 9, 9), "object") for number, name in enumerate(("lawn", "stone")))
    (tmp_path / "yard.json").write_text(json.dumps(LabelSpace("yard", classes, ignore_id=255).to_dict()))
    yard = find_label_space(str(tmp_path / "yard.json"))
    write(tmp_path, "a", halves(0, 255))
    white = folder(tmp_path, str(tmp_path / "yard.json"))
    assert check_pictures([white]) == []
    (said,) = check_pictures([white], learnt_in=yard)
    assert said.startswith("no mask shows stone: what nothing shows is not learnt. In yard 255 counts nowhere")
    write(tmp_path / "other", "a", halves(1, 1))
    assert check_pictures([white, folder(tmp_path / "other", str(tmp_path / "yard.json"))], learnt_in=yard) == []


@pytest.mark.parametrize(
    ("file", "content"),
    [("images/a.png", b""), ("images/a.png", APPLE_DOUBLE), ("masks/a.png", b"\x89PNG\r\n\x1a\n" + bytes(20))],
)
def test_a_broken_file_is_named(tmp_path, file, content):
    write(tmp_path, "a", halves(0, 1))
    (tmp_path / file).write_bytes(content)
    with pytest.raises(DatasetError, match=f"{tmp_path / file} cannot be used: "):
        check_pictures([folder(tmp_path)])
    with pytest.raises(DatasetError, match=f"{tmp_path / file} cannot be used: "):
        folder(tmp_path)[0]


def test_a_mask_of_another_size_is_named(tmp_path):
    write(tmp_path, "a", halves(0, 1))
    Image.fromarray(halves(0, 1)[:2]).save(tmp_path / "masks" / "a.png")
    with pytest.raises(DatasetError, match=r"a\.png is 8×6 pixels, its mask 8×2"):
        check_pictures([folder(tmp_path)])


def test_a_picture_that_its_header_turns_has_a_mask_of_the_turned_size(tmp_path):
    write(tmp_path, "a", halves(0, 1))
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(np.dstack([halves(0, 1).T] * 3)).save(tmp_path / "images" / "a.png", exif=turned)
    assert check_pictures([folder(tmp_path)]) == []


def test_a_mask_that_may_be_drawn_before_its_picture_was_turned_is_told(tmp_path):
    write(tmp_path, "a", halves(0, 1))
    turned = Image.Exif()
    turned[0x0112] = 3
    for name, told in (("images", 1), ("masks", 0)):  # then both are turned
        path = tmp_path / name / "a.png"
        Image.open(path).save(path, exif=turned)
        assert len(check_pictures([folder(tmp_path)])) == told


@pytest.mark.parametrize("how", [None, 6])
def test_a_mask_that_lies_on_its_side_is_named(tmp_path, how):
    write(tmp_path, "a", halves(0, 1))
    exif = Image.Exif()
    if how is None:  # neither is turned, and the mask is
        Image.fromarray(halves(0, 1).T).save(tmp_path / "masks" / "a.png")
    else:  # the mask was drawn on the picture as it is stored
        exif[0x0112] = how
        Image.fromarray(np.dstack([halves(0, 1)] * 3)).save(tmp_path / "images" / "a.png", exif=exif)
    sizes = {None: "8×6 pixels, its mask 6×8", 6: "6×8 pixels, its mask 8×6"}
    with pytest.raises(DatasetError, match=rf"a\.png is {sizes[how]}"):
        check_pictures([folder(tmp_path)])


def test_what_is_generated_is_not_rendered_to_be_looked_at(tmp_path):
    scenes = DATASETS["scenes"](tmp_path, "train", scene_count=2, width=64, height=64)
    assert (count_pictures([scenes]), check_pictures([scenes])) == (0, [])
    scenes[0]
    assert (count_pictures([scenes]), check_pictures([scenes])) == (1, [])


def test_hidden_files_are_no_pictures(tmp_path):
    write(tmp_path, "a", halves(0, 1))
    for kind in ("images", "masks"):
        (tmp_path / kind / "._a.png").write_bytes(APPLE_DOUBLE)
    assert folder(tmp_path).names() == ["a.png"]


def test_files_in_hidden_folders_are_no_pictures_unless_their_folder_was_named(tmp_path):
    for name in ("a.png", ".thumbs/a.png", "deep/.thumbs/b.png", "__MACOSX/c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(halves(0, 1)).save(tmp_path / name)
    assert DATASETS["unlabelled"](tmp_path, "train").names() == ["a.png"]
    assert DATASETS["unlabelled"](tmp_path / ".thumbs", "train").names() == ["a.png"]
    with pytest.raises(DatasetError, match="no pictures in") as caught:
        folder(tmp_path / "deep")
    assert ".thumbs" not in str(caught.value)


def test_hidden_files_of_cityscapes_are_no_pictures(tmp_path):
    for kind, end in (("leftImg8bit", "_leftImg8bit.png"), ("gtFine", "_gtFine_labelIds.png")):
        place = tmp_path / kind / "val" / "aachen"
        place.mkdir(parents=True)
        Image.fromarray(halves(7, 8)).save(place / f"x{end}")
        (place / f"._x{end}").write_bytes(APPLE_DOUBLE)
    assert DATASETS["cityscapes"](tmp_path, "val").names() == ["x_leftImg8bit.png"]
