"""Exports of pictures with odd names, and what comes back of them as tools on other systems write it."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Any
from unicodedata import normalize
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from segmentation.errors import MaskMismatch, UnavailableExport, UnreadableExport
from segmentation.exports import EXPORTS, Exported, Known, Returned
from segmentation.exports.export import names_before
from segmentation.label_space import RGB, LabelClass, LabelSpace
from segmentation.label_spaces.camvid_11 import CAMVID_11
from segmentation.label_spaces.cityscapes_34 import CITYSCAPES_34
from tests.exporting import Ids, exported, files_of, returned

NAME = "Zürich/Straße é"
ROAD = {"id": 1, "name": "road"}
POLYGON: dict[str, Any] = {"type": "polygonlabels", "value": {"points": [[0, 0], [50, 0], [50, 50]]}}
POLYGON["value"]["polygonlabels"] = ["road"]
TASK = {"data": {"maskmill": NAME}}


def back(form: str, document: object, *, path: str) -> Returned:
    """Read, for one picture of 4×4."""
    files = {path: partial(bytes, json.dumps(document).encode())}
    found = Returned(files, [Known(0, NAME, 4, 4, picture=f"{NAME}.jpg")], CAMVID_11)
    assert [each.image.index for each in EXPORTS[form].read(found)] == [0] * (not found.unknown)
    return found


@pytest.mark.parametrize("name", [NAME, normalize("NFD", NAME), NAME.replace("/", "\\")])
def test_names_are_known_as_macos_and_windows_write_them(name: str) -> None:
    outline = {"image_id": 1, "category_id": 1, "segmentation": [[0, 0, 2, 0, 2, 2]]}
    document = {"images": [{"id": 1, "file_name": f"{name}.jpg"}], "categories": [ROAD], "annotations": [outline]}
    assert not back("coco", document, path="instances.json").unknown
    looked = Returned({}, [Known(0, NAME, 4, 4, picture=f"{NAME}.jpg")], CAMVID_11)
    assert looked.knows(name)
    assert [each is not None for each in (looked.image(name), looked.picture(name), looked.file(f"{name}.jpg"))] == [
        True
    ] * 3


def test_a_coco_document_may_name_addresses_of_label_studio() -> None:
    """It writes them where it does not fetch the pictures."""
    known = [Known(n, f"{each}/ü 1", 4, 4, picture=f"{each}/ü 1.jpg") for n, each in enumerate("ab")]
    images = [
        {"id": n, "file_name": f"/data/local-files/?d=images/{each}/%C3%BC%201.jpg"} for n, each in enumerate("ab")
    ]
    files = {
        "result.json": partial(bytes, json.dumps({"images": images, "categories": [], "annotations": []}).encode())
    }
    looked = Returned(files, known, CAMVID_11)
    assert [each.image.index for each in EXPORTS["coco"].read(looked)] == [0, 1]


def test_label_files_may_be_called_as_addresses_of_label_studio() -> None:
    files = {"labels/%C3%BC%201.txt": partial(bytes, b"0 0 0 1 0 1 1 0 1"), "classes.txt": partial(bytes, b"road")}
    looked = Returned(files, [Known(0, "a/ü 1", 4, 4, picture="a/ü 1.jpg")], CAMVID_11)
    assert [each.image.index for each in EXPORTS["yolo"].read(looked)] == [0]


def test_names_that_roboflow_makes_of_capital_suffixes_are_known() -> None:
    looked = Returned({}, [Known(0, "IMG_1", 4, 4, picture="IMG_1.JPG")], CAMVID_11)
    name = "IMG_1_JPG.rf.0f3cA1.jpg"
    assert looked.file(name, *names_before(name)) is not None


@pytest.mark.parametrize("twice", ["images", "categories"])
def test_ids_that_a_coco_document_gives_twice_are_refused(twice: str) -> None:
    """Else annotations of one picture are drawn on the other, too."""
    document: dict[str, list[object]] = {"images": [{"id": 1, "file_name": "a.jpg"}], "categories": [ROAD]}
    document[twice].append({"id": 1, "name": "car", "file_name": "b.jpg"})
    with pytest.raises(UnreadableExport, match=f"two of its {twice} have the id 1"):
        back("coco", {**document, "annotations": []}, path="instances.json")


def test_annotations_of_no_listed_picture_are_told() -> None:
    """As where some ids are text and some are numbers: the picture would look as if nobody had annotated it."""
    outline = {"image_id": "1", "category_id": 1, "segmentation": [[0, 0, 2, 0, 2, 2]]}
    document = {"images": [{"id": 1, "file_name": f"{NAME}.jpg"}], "categories": [ROAD], "annotations": [outline]}
    files = {"instances.json": partial(bytes, json.dumps(document).encode())}
    looked = Returned(files, [Known(0, NAME, 4, 4, picture=f"{NAME}.jpg")], CAMVID_11)
    assert len(list(EXPORTS["coco"].read(looked))) == 1
    assert looked.unknown == ["image_id '1'"]


def test_what_was_drawn_on_a_turned_picture_is_refused() -> None:
    def task(degrees: int) -> object:
        return {**TASK, "annotations": [{"result": [{**POLYGON, "image_rotation": degrees}]}]}

    assert not back("label-studio", task(360), path="p.json").unknown
    with pytest.raises(MaskMismatch, match="drawn on the picture turned by 90° in Label Studio"):
        back("label-studio", task(90), path="p.json")


def named(names: dict[str, int], space: LabelSpace) -> Exported:
    """Pictures that are of one class each."""
    maps: list[Ids] = [np.full((2, 3), each, np.uint8) for each in names.values()]
    content = exported(maps, space)
    images = [replace(image, name=name) for image, name in zip(content.images(), names, strict=True)]
    return replace(content, images=lambda: iter(images))


def test_addresses_in_label_studio_lead_to_the_pictures_whatever_their_names() -> None:
    content = named({"100% a&b #1+2": 0}, CAMVID_11)
    [task] = json.loads(files_of(EXPORTS["label-studio"], content)["tasks.json"])
    address = urlsplit(task["data"]["image"])
    assert parse_qs(address.query)["d"] == ["images/100% a&b #1+2.jpg"]
    assert not address.fragment


def test_pictures_in_folders_are_told_apart_by_their_addresses_too() -> None:
    """Label Studio makes tasks of its own of the pictures that came with the export."""
    results = [{"result": [POLYGON]}]
    tasks = [{"data": {"image": f"/data/local-files/?d=images/{n}/one.jpg"}, "annotations": results} for n in "ab"]
    files = {"p.json": partial(bytes, json.dumps(tasks).encode())}
    known = [Known(0, "a/one", 4, 4, picture="a/one.jpg"), Known(1, "b/one", 4, 4, picture="b/one.jpg")]
    found = EXPORTS["label-studio"].read(Returned(files, known, CAMVID_11))
    assert [each.image.index for each in found] == [0, 1]


def test_folders_called_as_those_of_cityscapes_keep_their_masks_apart() -> None:
    names = {
        "x": 7,
        "maskmill/x": 8,
        "maskmill_/x": 11,
        "a/x": 12,
        "maskmill/a/x": 13,
        "gtFine/x": 23,
        "b/gtFine/x": 26,
    }
    content = named(names, CITYSCAPES_34)
    form = EXPORTS["cityscapes"]
    looked = returned(files_of(form, content), content)
    assert {each.image.name: int(each.ids[0, 0]) for each in form.read(looked)} == names
    assert not looked.unknown


def test_ids_that_cityscapes_does_not_have_are_refused() -> None:
    """Its table leads them to void, where nobody would see that they were lost."""
    content = named({"a": 7}, CITYSCAPES_34)
    files = files_of(EXPORTS["cityscapes"], named({"a": 40}, CITYSCAPES_34))
    with pytest.raises(UnreadableExport, match=r"a_gtFine_labelIds.png: Cityscapes has no label id 40 \(100.0 %\)"):
        list(EXPORTS["cityscapes"].read(returned(files, content)))


OURS, THEIRS = b"names:\n  0: sky\n  1: road\n", b"road\nsky\n"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"data.yaml": OURS, "classes.txt": THEIRS}, "data.yaml and classes.txt give the classes other numbers"),
        ({"a/data.yaml": OURS, "b/data.yaml": b"names: [road, sky]"}, "several files called data.yaml differ"),
        ({"data.yaml": OURS, "classes.txt": b"Sky\nroad\ncar\n", "labels/classes.txt": b"Sky\r\nroad\r\ncar"}, ""),
    ],
)
def test_lists_of_classes_that_differ_are_refused(files: dict[str, bytes], said: str) -> None:
    """The numbers of each file would be read by the first list."""
    drawn = {"labels/one.txt": b"1 0 0 1 0 1 1 0 1", **files}
    known = [Known(0, "one", 2, 2, picture="one.jpg")]
    found = EXPORTS["yolo"].read(
        Returned({name: partial(bytes, data) for name, data in drawn.items()}, known, CAMVID_11)
    )
    if said:
        with pytest.raises(UnreadableExport, match=said):
            list(found)
    else:
        assert [int(each.ids[0, 0]) for each in found] == [3]


@pytest.mark.parametrize("form", ["cvat", "voc"])
def test_more_classes_than_numbers_below_the_ignored_one_are_refused(form: str) -> None:
    """The 255th would be drawn as what counts nowhere."""
    spaces = [
        LabelSpace("many", tuple(LabelClass(n, f"class {n}", (n, 0, 0), "thing") for n in range(count)), ignore_id=255)
        for count in (254, 255)
    ]
    EXPORTS[form].check(spaces[0])
    with pytest.raises(UnavailableExport, match="takes 254 classes, many has 255"):
        EXPORTS[form].check(spaces[1])


@pytest.mark.parametrize("form", ["cvat", "voc"])
@pytest.mark.parametrize(("name", "colour"), [("sand", (224, 224, 192)), ("ignored", (1, 2, 3))])
def test_a_class_in_the_colour_or_with_the_name_of_what_counts_nowhere_is_none_of_it(
    form: str, name: str, colour: RGB
) -> None:
    """What nobody labelled came back as that class, or the class was no class's."""
    space = LabelSpace("own", (LabelClass(0, name, colour, "thing"),), ignore_id=255)
    content = exported([np.array([[0, 255]], np.uint8)], space)
    [back] = EXPORTS[form].read(returned(files_of(EXPORTS[form], content), content))
    assert back.ids.tolist() == [[0, 255]]
