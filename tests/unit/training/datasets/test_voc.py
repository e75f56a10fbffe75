"""CVAT's "Segmentation mask 1.1" and Pascal VOC: lists, colours and what stands for unlabelled pixels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segmentation.exports import EXPORTS
from segmentation.label_space import LabelClass, LabelSpace
from tests.exporting import exported, files_of, written
from training.datasets import DATASETS
from training.datasets.checking import UnknownMaskIds, check_pictures
from training.datasets.pairs import DatasetError, PairDataset

SOIL, WEED, CROP, VOID = 0, 1, 2, 255
WEEDS, CROPS, BLACK, BORDER = (250, 50, 83), (10, 128, 0), (0, 0, 0), (224, 224, 192)
LABEL_MAP = "# label:color_rgb:parts:actions\nWeed:250,50,83::\nbackground:0,0,0::\ncrop:10,128,0::\n"
FIELD = LabelSpace(
    "field",
    tuple(LabelClass(number, name, (number, 9, 9), "field") for number, name in enumerate(("soil", "weed", "crop"))),
    ignore_id=VOID,
)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


class Export:
    """A folder as CVAT writes it, with one picture of four columns."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "ImageSets" / "Segmentation").mkdir(parents=True)
        (root / "label_space.json").write_text(json.dumps(FIELD.to_dict()))
        (root / "labelmap.txt").write_text(LABEL_MAP)
        self.write_list("default", "cam 1/a")
        self.picture("JPEGImages/cam 1/a.jpg")
        self.colours("cam 1/a", WEEDS, CROPS, BLACK, BORDER)

    def write_list(self, name: str, *names: str) -> None:
        (self.root / "ImageSets" / "Segmentation" / f"{name}.txt").write_text("\n".join(names) + "\n")

    def picture(self, name: str) -> None:
        self._save(name, np.zeros((2, 4, 3)))

    def colours(self, name: str, *columns: tuple[int, int, int]) -> None:
        self._save(f"SegmentationClass/{name}.png", np.array([columns, columns]))

    def ids(self, *columns: int) -> None:
        (self.root / "labelmap.txt").unlink()
        self._save("SegmentationClass/cam 1/a.png", np.array([columns, columns]))

    def _save(self, name: str, pixels: np.ndarray) -> None:
        save(self.root / name, pixels)

    def open(self, split: str = "all", **options: Any) -> PairDataset:
        return DATASETS["voc"](self.root, split, **options)

    def columns(self, **options: Any) -> list[int]:
        (_, mask) = self.open(**options)[0]
        assert (mask[0] == mask[1]).all()
        return [int(each) for each in mask[0]]


@pytest.fixture
def cvat(tmp_path):
    return Export(tmp_path)


def test_colours_are_the_labels_of_the_label_map_and_these_are_classes_by_name(cvat):
    assert cvat.columns(background="soil") == [WEED, CROP, SOIL, VOID]
    assert cvat.columns(background="void", classes={"crop": "weed"}) == [WEED, WEED, VOID, VOID]
    assert cvat.columns(classes={"background": "soil"}) == [WEED, CROP, SOIL, VOID]


def test_a_jobs_export_with_a_class_called_background_has_void_in_black(cvat):
    names = ("background", "weed", "crop")
    space = LabelSpace("field", tuple(LabelClass(i, name, (i, 9, 9), "") for i, name in enumerate(names)), VOID)
    (cvat.root / "label_space.json").write_text(json.dumps(space.to_dict()))
    assert cvat.columns() == [WEED, CROP, SOIL, VOID]
    (cvat.root / "labelmap.txt").write_text("background:0,0,0::\nweed:250,50,83::\nbackground (0):10,128,0::\n")
    classes = {"background (0)": "background"}
    with pytest.raises(DatasetError, match=r"25\.0 % of its pixels are unlabelled"):
        cvat.columns(classes=classes)
    assert cvat.columns(classes=classes, background="void") == [WEED, SOIL, VOID, VOID]


def test_a_label_that_was_drawn_is_no_background_whatever_its_name(cvat):
    (cvat.root / "labelmap.txt").write_text("Weed:250,50,83::\nBackground:10,128,0::\nbackground:0,0,0::\n")
    assert cvat.columns(background="void", classes={"Background": "soil"}) == [WEED, SOIL, VOID, VOID]


@pytest.mark.parametrize(
    ("colour", "options", "said"),
    [
        (BLACK, {}, r"25\.0 % of its pixels are unlabelled: say with the option background"),
        ((10, 128, 1), {"background": "soil"}, r"1 colour that labelmap\.txt has not, the first is \(10, 128, 1\)"),
        ((9, 9, 9), {"background": "soil"}, r"labelmap\.txt: field has no class called 'stone', but 'soil'"),
    ],
)
def test_a_colour_that_is_no_class_is_told_with_the_mask(cvat, colour, options, said):
    with (cvat.root / "labelmap.txt").open("a") as file:
        file.write("stone:9,9,9::\n")
    cvat.colours("cam 1/a", WEEDS, CROPS, WEEDS, colour)
    with pytest.raises(DatasetError, match=rf"SegmentationClass/cam 1/a\.png cannot be used: .*{said}"):
        check_pictures([cvat.open(**options)])


def test_labels_without_colours_have_those_of_voc(cvat):
    (cvat.root / "labelmap.txt").write_text("background:::\nweed:::\ncrop:::\n")
    cvat.colours("cam 1/a", BLACK, (128, 0, 0), (0, 128, 0), BORDER)
    assert cvat.columns(background="soil") == [SOIL, WEED, CROP, VOID]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("weed:1,2,3::\ncrop:1,2,3::\n", r"weed and crop have one colour, \(1, 2, 3\)"),
        ("weed:1,2,3::\ncrop:::\n", "lines that are not name:red,green,blue"),
        ("weed\n", "lines that are not name:red,green,blue"),
    ],
)
def test_a_label_map_that_is_not_clear_is_refused(cvat, content, said):
    (cvat.root / "labelmap.txt").write_text(content)
    with pytest.raises(DatasetError, match=said):
        cvat.open()


def test_without_a_label_map_masks_hold_ids(cvat):
    cvat.ids(SOIL, WEED, CROP, VOID)
    assert cvat.columns() == [SOIL, WEED, CROP, VOID]
    cvat._save("SegmentationClass/cam 1/a.png", np.array([[0, 1, 2, 21]] * 2))
    with pytest.raises(UnknownMaskIds, match=r"id 21 \(25\.0 %\)"):
        check_pictures([cvat.open()])
    for options in ({"background": "soil"}, {"classes": {"crop": "weed"}}, {"classes": {"*": "void"}}):
        with pytest.raises(DatasetError, match="masks hold ids"):
            cvat.open(**options)


@pytest.mark.parametrize("name", ["cvat", "voc"])
def test_what_was_exported_from_a_job_is_read(tmp_path, name):
    truth = np.array([[SOIL, WEED, CROP, VOID]] * 2, np.uint8)
    content = exported([truth], FIELD)
    (tmp_path / "label_space.json").write_text(json.dumps(FIELD.to_dict()))
    written(files_of(EXPORTS[name], content), tmp_path)
    save(tmp_path / "images" / f"{next(content.images()).name}.png", np.zeros((2, 4, 3)))
    mask = DATASETS["voc"](tmp_path, "train", background="void", validation_share=0)[0][1]
    assert np.array_equal(mask, truth)


def test_a_folder_without_the_one_of_the_masks_is_told(cvat):
    (cvat.root / "SegmentationClass").rename(cvat.root / "masks")
    with pytest.raises(DatasetError, match=r"there is no folder .*SegmentationClass, where Pascal VOC has its masks"):
        cvat.open()


def test_pictures_without_a_mask_are_left_out_or_show_background(cvat, caplog):
    cvat.write_list("default", "cam 1/a", '"cam 1/b"', "")
    cvat.picture("JPEGImages/cam 1/b.jpg")
    with pytest.raises(
        DatasetError, match=r"1 of 2 pictures in .*default\.txt without annotations, the first is cam 1/b"
    ):
        cvat.open(background="soil")
    assert cvat.open(background="soil", unannotated="leave_out").names() == ["a.jpg"]
    assert cvat.open(background="void").names() == ["a.jpg"]
    assert "they are left out" in caplog.text
    shown = cvat.open(background="soil", unannotated="background")
    assert check_pictures([shown]) == []
    assert np.unique(shown[1][1]).tolist() == [SOIL]
    with pytest.raises(DatasetError, match=r"cam 1/b\.png cannot be used: 100\.0 % of its pixels are unlabelled: say"):
        cvat.open(unannotated="background")[1]


@pytest.mark.parametrize("listed", [True, False])
def test_masks_with_a_suffix_in_capitals_are_found(cvat, listed):
    cvat.picture("JPEGImages/b.JPG")
    cvat.colours("b", CROPS, CROPS, CROPS, CROPS)
    (cvat.root / "SegmentationClass" / "b.png").rename(cvat.root / "SegmentationClass" / "b.PNG")
    cvat.write_list("default", "cam 1/a", "b")
    if not listed:
        (cvat.root / "ImageSets" / "Segmentation" / "default.txt").unlink()
    found = cvat.open(background="void")
    masks = {pair[0].stem: np.unique(found[place][1]).tolist() for place, pair in enumerate(found.pairs)}
    assert masks == {"a": [WEED, CROP, VOID], "b": [CROP]}


@pytest.mark.parametrize("name", ["cam 1/a.jpg", "cam 1/a  1"])
def test_where_the_mask_of_a_listed_name_was_looked_for_is_told(cvat, name):
    cvat.write_list("default", name)
    with pytest.raises(DatasetError, match=rf"the first, {name}, it would be .*SegmentationClass/{name}\.png"):
        cvat.open()


def test_a_list_is_the_split_that_it_is_called_as_and_any_other_is_divided(cvat):
    names = [f"{number}" for number in range(10)]
    for name in names:
        cvat.picture(f"JPEGImages/{name}.jpg")
        cvat.colours(name, WEEDS, CROPS, WEEDS, CROPS)
    cvat.write_list("default", *names)
    assert [len(cvat.open(split)) for split in ("train", "val", "all")] == [8, 2, 10]
    cvat.write_list("Train", *names[:7])
    cvat.write_list("Validation", *names[7:])
    cvat.write_list("trainval", *names)
    assert [len(cvat.open(split)) for split in ("train", "val", "trainval")] == [7, 3, 10]
    for each in (cvat.root / "ImageSets" / "Segmentation").glob("[Vd]*.txt"):
        each.unlink()
    with pytest.raises(DatasetError, match=r"has no list for 'val', but Train\.txt, trainval\.txt"):
        cvat.open("val")
    for each in (cvat.root / "ImageSets" / "Segmentation").glob("*.txt"):
        each.unlink()
    assert len(cvat.open(pictures="JPEGImages", background="soil")) == 11


def test_a_picture_that_is_missing_or_there_twice_is_named(cvat, tmp_path):
    with pytest.raises(DatasetError, match=r"there is no folder .*elsewhere"):
        cvat.open(pictures="elsewhere")
    cvat.picture("JPEGImages/cam 1/a.png")
    with pytest.raises(DatasetError, match=r"cam 1/a in .*default\.txt may be a\.jpg or a\.png"):
        cvat.open()
    cvat.picture("elsewhere/b.png")
    with pytest.raises(DatasetError, match=r"missing in .*: 1 picture of .*default\.txt, the first is cam 1/a"):
        cvat.open(pictures=str(tmp_path / "elsewhere"))
