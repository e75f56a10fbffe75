"""Which mask belongs to which image."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

import pytest

from jobs.errors import InvalidOptions
from jobs.submitting.matching import masks_among, match_masks


def matched(images: Sequence[str], masks: Sequence[str], **options: str) -> Mapping[str, str]:
    return {images[image]: masks[mask] for image, mask in match_masks(images, masks, **options).pairs.items()}


CITY = "val/aachen/aachen_000000_000019"
TRUTHS = [f"gtFine/{CITY}_gtFine_{kind}.png" for kind in ("color", "instanceIds", "labelIds", "labelTrainIds")]


@pytest.mark.parametrize(
    "mask",
    [
        *("zurich_001.png", "zurich_001_mask.png", "zurich_001_gtFine_labelIds.png", "Zurich_001_label.png"),
        *("zurich_001_gtFine_labelTrainIds.png", "zurich_001_gtCoarse_labelIds.png", "zurich_001_train_id.png"),
        *("zurich_001_L.png", "zurich_001-labels.png", "zurich_001.mask.png", "masks/zurich_001.png"),
    ],
)
def test_masks_find_their_image_by_stem(mask: str) -> None:
    assert match_masks(["bern.jpg", "zurich_001.jpg"], [mask]).pairs == {1: 0}


def test_images_of_one_base_name_are_told_apart_by_their_folders_and_never_by_order() -> None:
    images, masks = ["cam_a/0001.jpg", "cam_b/0001.jpg"], ["cam_b/0001.png", "cam_a/0001.png"]
    assert matched(images, masks) == {"cam_a/0001.jpg": "cam_a/0001.png", "cam_b/0001.jpg": "cam_b/0001.png"}


def test_paths_that_differ_in_case_alone_match_to_the_letter() -> None:
    images, masks = ["A/1.jpg", "a/1.jpg", "a/X.jpg", "a/x.jpg"], ["a/x.png", "a/1.png", "A/1.png", "a/X.png"]
    assert matched(images, masks) == {image: f"{image[:-4]}.png" for image in images}
    with pytest.raises(InvalidOptions, match=r"truth/a/1\.png matches several images"):
        match_masks(images, ["truth/a/1.png"])


@pytest.mark.parametrize(
    ("pictures", "truth"),
    [
        ("images/{}.jpg", "masks/{}.png"),
        ("{}.jpg", "masks/{}_mask.png"),
        ("data/images/{}.jpg", "truth/{}.png"),
        ("{}_leftImg8bit.png", "deep/gtFine/{}_gtFine_labelIds.png"),
        ("leftImg8bit/val/{}_leftImg8bit.png", "gtFine/val/{}_gtFine_labelIds.png"),
    ],
)
def test_trees_may_differ_in_their_top_folders(pictures: str, truth: str) -> None:
    places = ["cam_a/1", "cam_b/1", "cam_b/2"]
    masks = [truth.format(place) for place in reversed(places)]
    assert matched([pictures.format(place) for place in places], masks) == {
        pictures.format(place): truth.format(place) for place in places
    }


def test_folders_for_pictures_and_masks_may_lie_inside_those_of_the_splits() -> None:
    images, masks = ["train/images/1.jpg", "val/images/1.jpg"], ["val/masks/1.png", "train/masks/1.png"]
    assert matched(images, masks) == dict(zip(images, reversed(masks), strict=True))


def test_a_name_that_was_composed_on_another_system_matches() -> None:
    assert match_masks(["Ocaña_é.jpg"], [unicodedata.normalize("NFD", "OCAÑA_É.png")]).pairs == {0: 0}


def test_an_image_may_itself_end_like_a_mask() -> None:
    assert matched(["road_mask.jpg", "bridge.jpg"], ["road_mask.png"]) == {"road_mask.jpg": "road_mask.png"}
    assert matched(["road_mask.jpg", "road.jpg"], ["road_mask.png"]) == {"road.jpg": "road_mask.png"}


@pytest.mark.parametrize(
    ("space", "chosen", "told"),
    [(None, 2, "cityscapes-34"), ("cityscapes-34", 2, "cityscapes-34"), ("cityscapes-19", 3, "cityscapes-19")],
)
def test_of_several_kinds_of_one_truth_the_label_space_chooses(space: str | None, chosen: int, told: str) -> None:
    matches = match_masks([f"leftImg8bit/{CITY}_leftImg8bit.png"], TRUTHS, space=space)
    assert (matches.pairs, matches.space) == ({0: chosen}, told)
    assert matches.passed_over == [index for index in range(4) if index != chosen]


def test_names_that_say_nothing_leave_the_label_space_open() -> None:
    assert match_masks(["a.jpg"], ["a_mask.png"]).space is None
    assert match_masks(["a.jpg"], ["a_mask.png"], space="camvid-11").space == "camvid-11"
    assert match_masks(["a.jpg"], []).pairs == {}


def test_a_data_set_may_have_endings_of_its_own() -> None:
    masks = ["a_truth_v2.png", "a_preview.png", "a_labelIds.png"]
    matches = match_masks(["a.jpg"], masks, suffix="_Truth_V2")
    assert (matches.pairs, matches.passed_over, matches.space) == ({0: 0}, [1, 2], None)
    assert match_masks(["a.jpg"], ["a_labelIds.png"], suffix="_labelIds", space="camvid-11").space == "camvid-11"


@pytest.mark.parametrize(
    ("images", "masks", "message"),
    [
        (["a.jpg"], ["b.png"], r"b\.png matches no image"),
        (["a.jpg"], ["x.png", *(f"{n}.png" for n in range(7))], r"x\.png, 0\.png, .*3\.png and 3 more match no image"),
        (["_mask.jpg"], ["mask.png"], "matches no image"),
        (["a/1.jpg", "b/1.jpg"], ["1_mask.png"], r"1_mask\.png matches several images"),
        (["a/1.jpg", "b/1.jpg"], ["x/1.png", "y/1.png"], r"x/1\.png, y/1\.png match several"),
        (["a.jpg", "a.jpg"], ["a.png", "a.png"], r"a\.png, a\.png match several"),
        (["a.jpg"], ["a.png", "a_mask.png"], "another mask of the same image"),
        (["a/1.jpg"], ["a/1.png", "b/1.png"], r"b/1\.png matches no image"),
        (["a/1.jpg", "b/1.jpg"], ["x/a/1.png", "y/a/1.png"], r"x/a/1\.png, y/a/1\.png"),
        (["a.jpg"], ["a_color.png"], r"none of the 1 holds class ids: a_color\.png"),
        (["a.jpg", "b.jpg"], ["a_labelIds.png", "b_mask.png"], "several label spaces"),
    ],
)
def test_a_mask_without_a_clear_image_is_a_fault_that_names_it(
    images: list[str], masks: list[str], message: str
) -> None:
    with pytest.raises(InvalidOptions, match=message):
        match_masks(images, masks)


@pytest.mark.parametrize(
    ("mask", "space"),
    [("a_gtFine_labelTrainIds.png", "cityscapes-34"), ("a_labelIds.png", "cityscapes-19"), ("a_labelIds.png", "x")],
)
def test_names_that_contradict_the_label_space_are_refused(mask: str, space: str) -> None:
    with pytest.raises(InvalidOptions, match=rf"{mask}.*mask_suffix"):
        match_masks(["a.jpg"], [mask], space=space)


def test_a_suffix_that_no_mask_has_is_a_fault() -> None:
    with pytest.raises(InvalidOptions, match="ends with '_x'"):
        match_masks(["a.jpg"], ["a_mask.png"], suffix="_x")


@pytest.mark.parametrize(
    ("images", "among"),
    [
        (["a.jpg", "a_mask.png"], [1]),
        (["a_mask.png"], []),
        (["a.jpg", "b.jpg"], []),
        (["images/a.jpg", "masks/a.png"], [1]),
        (["x/a.jpg", "y/a_mask.png"], []),
        (["x/leftImg8bit/a_leftImg8bit.png", "x/gtFine/a_gtFine_color.png"], [1]),
    ],
)
def test_masks_among_images_are_found_when_their_image_is_there(images: list[str], among: list[int]) -> None:
    assert masks_among(images) == among
