"""What comes back from annotation tools as no export of ours looks: other forms are read, broken ones are told."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segmentation.errors import MaskMismatch, UnavailableExport, UnreadableExport
from segmentation.exports import EXPORTS, Known, Returned, export, hugging_face
from segmentation.exports.documents import loaded
from segmentation.exports.label_studio import decode_brush, encode_brush
from segmentation.exports.shapes import instance_numbers, regions_of
from segmentation.label_map import LabelMap
from segmentation.label_space import LabelClass, LabelSpace
from segmentation.label_spaces.cityscapes_34 import CITYSCAPES_34
from tests.exporting import Ids, exported, files_of, returned

SPACE = LabelSpace(
    "two", (LabelClass(0, "road", (10, 20, 30), "ground"), LabelClass(5, "car", (40, 50, 60), "vehicle")), ignore_id=255
)
VOID = SPACE.void_id
SQUARE = [[1, 1], [3, 1], [3, 3], [1, 3]]  # of a picture of 4×4
DRAWN: Ids = np.full((4, 4), VOID, np.uint8)
DRAWN[1:3, 1:3] = 5


def back(name: str, files: Mapping[str, object]) -> list[tuple[str, Ids]]:
    """What an export reads from these files, for two pictures of 4×4: a/one and b/two."""
    told = {path: data if isinstance(data, bytes) else json.dumps(data).encode() for path, data in files.items()}
    images = [Known(0, "a/one", 4, 4), Known(1, "b/two", 4, 4)]
    content = Returned({path: partial(bytes, data) for path, data in told.items()}, images, SPACE)
    return [(each.image.name, each.ids) for each in EXPORTS[name].read(content)]


def png(pixels: Ids) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


IN_COLOURS = png(np.where((DRAWN == 5)[..., None], np.array([1, 2, 3], np.uint8), np.uint8(0)))
CLEAR = png(np.full((4, 4, 4), 0, np.uint8))  # transparent: pictures are laid on white


CATEGORY = {"id": 9, "name": "Car"}


def coco(*annotations: object, file_name: str = "a/one.jpg") -> dict[str, dict[str, Any]]:
    return {
        "instances.json": {
            "categories": [CATEGORY],
            "images": [{"id": 1, "file_name": file_name}],
            "annotations": list(annotations),
        }
    }


def drawn_in_coco(segmentation: object) -> dict[str, object]:
    return {"image_id": 1, "category_id": 9, "segmentation": segmentation}


def test_a_file_name_that_is_another_pictures_own_is_nobodys() -> None:
    pictures = {"a/x": "a/x.jpg", "a/x_000001": "a/x.png"}  # as they were exported, and as their client calls them
    images = [Known(index, *pair[:1], 4, 4, picture=pair[1]) for index, pair in enumerate(pictures.items())]
    content = Returned({}, images, SPACE)
    asked = ["a/x.jpg", "a/x_000001.png", "data/x_000001.png", "a/x.png", "x.jpg"]
    found = [content.file(name) for name in asked]
    assert [each and each.index for each in found] == [0, 1, 1, None, None]
    assert content.unknown == ["a/x.png", "x"]


def brushed(kind: str, value: object) -> dict[str, object]:
    return {"type": kind, "value": value}


def geojson(properties: object, kind: str, coordinates: object) -> dict[str, object]:
    shape = {"type": kind, "coordinates": coordinates}
    return {"polygons/a/one.geojson": {"features": [{"properties": properties, "geometry": shape}]}}


STROKE = {"rle": encode_brush(DRAWN == 5), "brushlabels": ["car"]}
NAMES = {"data.yaml": b"names: [road, car]\n"}
LINE = b"\n1 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75\n"
CAR = {"points": [[25, 25], [75, 25], [75, 75], [25, 75]], "polygonlabels": ["car"]}


BUS = {"id": 9, "name": "bus"}
OUTLINE = drawn_in_coco([np.ravel(SQUARE).tolist()])
POLYGON = {"annotations": [{"result": [brushed("polygonlabels", CAR)]}]}
CITY = {"data": {"image": "/data/local-files/?d=upload/a/one.jpg"}}
BOX = {"type": "rectanglelabels", "value": {"x": 25, "y": 25, "width": 50, "height": 50, "rectanglelabels": ["car"]}}
BITS = {"type": "bitmasklabels", "value": {"imageDataURL": "data:image/png;base64,", "bitmasklabels": ["car"]}}
APART = {"type": "brush", "value": {"format": "rle", "rle": [0]}}  # of a configuration with tags Brush and Labels
OTHER = {"type": "keypointlabels", "value": {"x": 1}}
RELATION = {"type": "relation", "from_id": "r0", "to_id": "r1", "direction": "right"}


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("coco", coco(drawn_in_coco([np.ravel(SQUARE).tolist()]))),
        ("coco", coco(drawn_in_coco({"size": [4, 4], "counts": [5, 2, 2, 2, 5]}))),
        ("coco", coco(OUTLINE, file_name="one_jpg.rf.0f3cA1.jpg")),  # Roboflow
        (
            "coco",
            {"result.json": coco(OUTLINE, file_name="images\\1f2e3d4c-one.jpg")["instances.json"]},
        ),  # Label Studio
        (
            "coco",
            {"instances.json": coco(OUTLINE)["instances.json"] | {"categories": [{"id": 8, "name": "bus"}, CATEGORY]}},
        ),
        ("yolo", {"labels/a/one.txt": LINE, "classes.txt": b"bus\ncar\nlorry\n"}),
        (
            "cvat",
            {"SegmentationClass/a/one.png": IN_COLOURS, "labelmap.txt": b"bus:7,7,7::\ncar:1,2,3::\nvoid:8,8,8::\n"},
        ),
        (
            "voc",
            {"SegmentationClass/a/one.png": IN_COLOURS, "labelmap.txt": b"bus:7,7,7::\ncar:1,2,3::\nroad:7,7,7::\n"},
        ),
        ("label-studio", {"p.json": [{"data": {"image": "/data/upload/1/1f2e3d4c-one.jpg"}, **POLYGON}]}),
        ("geojson", geojson({"class": "Car"}, "Polygon", [SQUARE])),
        ("geojson", geojson({"class_id": 5}, "MultiPolygon", [[SQUARE]])),
        (
            "label-studio",
            {"tasks.json": {**CITY, "annotations": [{"result": [OTHER, RELATION, brushed("polygonlabels", CAR)]}]}},
        ),
        ("label-studio", {"tasks.json": [{**CITY, "completions": [{"result": [brushed("brushlabels", STROKE)]}]}]}),
        ("cvat", {"SegmentationClass/a/one.png": png(np.where(DRAWN == 5, 2, 255).astype(np.uint8))}),
        ("yolo", {"labels/1f2e3d4c-one.txt": LINE, "classes.txt": b"bus\ncar\nroad\n"}),  # Label Studio
        ("yolo", {"train/labels/one_jpg.rf.0f3cA1.txt": LINE, "data.yaml": b"nc: 2\nnames: ['bus', 'car']\n"}),
        ("yolo", {"labels/a/one.txt": LINE, "labels/classes.txt": b"\xef\xbb\xbfroad\r\ncar\r\n"}),
        ("yolo", {"labels/train/a/one.txt": LINE, "data.yaml": b"# names: none\nnames: {0: 'a, b', 1: car}  # two\n"}),
        ("yolo", {"labels/train/a/one.txt": LINE, "data.yaml": b'names:\n# of two\n- bus # a\n- "car"\n'}),
        ("yolo", {"labels/train/a/one.txt": LINE, "data.yaml": b"names: ['road', \"car\"]\n"}),
        ("yolo", {"labels/train/a/one.txt": LINE, "data.yaml": b"\xef\xbb\xbfnames: [road, car]\n"}),
        ("yolo", {"labels/train/a/one.txt": LINE, "data.yaml": b"nc: 2\nnames:\n- road\n- 'car'\n"}),
        ("yolo", {"labels/train/a/one.txt": LINE, "data.yaml": b"names:\n  1: 'car'\n\n  0: road\ntrain: x\n"}),
        ("yolo", {"labels/val/a/one.txt": LINE, "dataset.yaml": b"names:\n- road\n- car\nnc: 2\n"}),  # FiftyOne
    ],
)
def test_other_tools_writing_of_the_same_form_is_read(name: str, files: Mapping[str, object]) -> None:
    [(image, ids)] = back(name, files)
    assert image == "a/one"
    np.testing.assert_array_equal(ids, DRAWN)


@pytest.mark.parametrize("more", [{}, {"data.yaml": b"nc: 2\n"}])
def test_where_nothing_is_drawn_nobody_has_to_tell_what_numbers_mean(more: Mapping[str, object]) -> None:
    [(image, ids)] = back("yolo", {"labels/train/a/one.txt": b" \n", **more})
    assert image == "a/one"
    assert (ids == 255).all()


@pytest.mark.parametrize(
    ("name", "files", "told"),
    [
        ("coco", {"instances.json": b"{"}, "no JSON"),
        ("coco", coco({"image_id": 1}), "no COCO annotations: KeyError"),
        ("coco", coco(drawn_in_coco({"size": [4, 4], "counts": [5, 2]})), "another size"),
        ("coco", coco(drawn_in_coco({"size": [4, 4], "counts": [-1, 17]})), "another size"),
        ("coco", coco(drawn_in_coco([[1, 2, float("inf"), 4, 5, 6]])), "finite"),
        ("coco", coco(drawn_in_coco([])), "no outline"),
        ("coco", coco(drawn_in_coco([[1, 1, 3, 3]])), "no outline"),
        ("coco", coco(drawn_in_coco([[5, 1, 7, 1, 7, 3]])), "a/one: an annotation lies beyond the picture"),
        ("geojson", geojson({"class": "car"}, "Polygon", [[[5, 1], [7, 1], [7, 3]]]), "all polygons lie beyond"),
        ("geojson", geojson({"class": "cart"}, "Polygon", [SQUARE]), "a/one: there is no class 'cart'"),
        ("geojson", {"a/one.geojson": {"features": [{}]}}, "no polygons: KeyError"),
        ("geojson", geojson({"class": "car"}, "Polygon", [[1, 2]]), r"list of finite \[x, y\]"),
        ("label-studio", {"tasks.json": [3]}, "no tasks of Label Studio"),
        ("label-studio", {"tasks.json": {**CITY, "annotations": [{"result": [BOX]}]}}, "a/one: .* not rectanglelabels"),
        ("label-studio", {"tasks.json": {**CITY, "annotations": [{"result": [BITS]}]}}, "not bitmasklabels"),
        ("label-studio", {"tasks.json": {**CITY, "annotations": [{"result": [APART]}]}}, "not brush"),
        ("label-studio", {"tasks.json": {**CITY}}, "neither annotations nor predictions"),
        (
            "label-studio",
            {"tasks.json": [{"image": "a/one.jpg", "label": []}]},
            "of Label Studio's forms JSON has them",
        ),
        ("cvat", {"SegmentationClass/a/one.png": b"GIF"}, "PNG|picture|image"),
        ("cvat", {"SegmentationClass/a/one.png": png(np.full((4, 4), 3, np.uint8))}, "number 3 is no class's"),
        ("cvat", {"SegmentationClass/a/one.png": b"GIF", "labelmap.txt": b"car:40,50,60::\n"}, "PNG|picture|image"),
        ("cvat", {"SegmentationClass/a/one.png": png(np.full((4, 4, 3), 9, np.uint8)), "labelmap.txt": b""}, "#090909"),
        ("cvat", {"SegmentationClass/a/one.png": CLEAR, "labelmap.txt": b"car:255,255,255::\n"}, "are transparent"),
        (
            "cvat",
            {"SegmentationClass/a/one.png": IN_COLOURS, "labelmap.txt": b"car:1,2,3::\nroad:1,2,3::\n"},
            "a/one.png: the colour #010203: labelmap.txt: road has the",
        ),
        (
            "cvat",
            {"SegmentationClass/a/one.png": IN_COLOURS, "labelmap.txt": b"bus:1,2,3::\ncar:1,2,3::\n"},
            "a/one.png: the colour #010203: labelmap.txt: there is no class 'bus'",
        ),
        (
            "coco",
            {"instances.json": coco(OUTLINE)["instances.json"] | {"categories": [BUS]}},
            "a/one: there is no class 'bus'",
        ),
        (
            "label-studio",
            {
                "p.json": {
                    **CITY,
                    "annotations": [{"result": [brushed("polygonlabels", {**CAR, "polygonlabels": ["bus"]})]}],
                }
            },
            "a/one: there is no class 'bus'",
        ),
        ("cvat", {"SegmentationClass/a/one.png": b"", "labelmap.txt": b"car:red::"}, "no colour in 'car:red::'"),
        ("yolo", {"labels/train/a/one.txt": LINE}, "nothing tells what the numbers of the classes mean"),
        ("yolo", {"labels/train/a/one.txt": b"1 0.5 x", **NAMES}, "one.txt, line 1"),
        ("yolo", {"labels/train/a/one.txt": b"1 0.5 0.5 0.25 0.25", **NAMES}, "line 1: no class and polygon"),
        ("yolo", {"labels/train/a/one.txt": b"\n7 0 0 1 0 1 1", **NAMES}, "one.txt, line 2"),
        ("yolo", {"labels/train/a/one.txt": b"-1 0 0 1 0 1 1", **NAMES}, "one.txt, line 1"),
        ("yolo", {"labels/a/one.txt": LINE, "classes.txt": b"road\nbus\n"}, "one.txt, line 2: there is no class 'bus'"),
        ("yolo", {"labels/train/a/one.txt": LINE, "data.yaml": b'names: ["\\x41"]\n'}, "a name cannot be read"),
        ("yolo", {"labels/train/a/one.txt": LINE, "data.yaml": b"names:\n  1: car\n"}, "numbered from 0"),
        ("yolo", {"labels/train/a/one.txt": LINE, "data.yaml": b"nc: 2\n"}, "no names of classes were found"),
        ("yolo", {"labels/val/a/one.txt": LINE, "dataset.yaml": b"nc: 2\n"}, "dataset.yaml: no names of classes"),
    ],
)
def test_what_cannot_be_read_is_told(name: str, files: Mapping[str, object], told: str) -> None:
    with pytest.raises(UnreadableExport, match=told):
        back(name, files)


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("coco", coco(drawn_in_coco([]), file_name="nobody.jpg")),
        ("coco", {"instances_of_something_else.json": {"hello": 1}}),
        ("geojson", {"nobody.geojson": {"features": []}, "one.txt": b""}),
        ("huggingface", {"masks/nobody.png": b"", "masks/one.txt": b"", "one.png": b""}),
        ("cvat", {"SegmentationClass/nobody.png": b""}),
        ("label-studio", {"tasks.json": {"data": {"maskmill": "nobody"}}}),
        ("yolo", {"labels/train/nobody.txt": b""}),
    ],
)
def test_what_belongs_to_no_picture_of_the_job_is_passed_over(name: str, files: Mapping[str, object]) -> None:
    assert back(name, files) == []


def sized(width: int, height: int) -> dict[str, object]:
    return {"original_width": width, "original_height": height}


def tasks(kind: str, value: object, **size: object) -> dict[str, object]:
    return {"tasks.json": [{**CITY, "annotations": [{"result": [{**brushed(kind, value), **size}]}]}]}


def coco_of(width: object, height: object) -> dict[str, object]:
    [document] = coco(drawn_in_coco([np.ravel(SQUARE).tolist()])).values()
    return {"instances.json": {**document, "images": [{**document["images"][0], "width": width, "height": height}]}}


def geojson_of(width: int, height: int) -> dict[str, object]:
    [(path, document)] = geojson({"class": "car"}, "Polygon", [SQUARE]).items()
    assert isinstance(document, dict)
    return {path: {**document, "image": {"width": width, "height": height}}}


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("coco-polygons", coco_of(8, 8)),  # as it was resized for a training
        ("coco-polygons", coco_of(4, 6)),
        ("geojson", geojson_of(8, 8)),
        ("label-studio-polygons", tasks("polygonlabels", CAR, **sized(4, 9))),
        ("label-studio", tasks("brushlabels", STROKE, **sized(2, 8))),  # as many pixels
    ],
)
def test_what_was_drawn_on_a_picture_of_another_size_is_refused(name: str, files: Mapping[str, object]) -> None:
    with pytest.raises(MaskMismatch, match=r"a/one: drawn on a picture of \d×\d, and it is 4×4"):
        back(name, files)


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("coco-polygons", coco_of(4, 4.0)),
        ("coco-polygons", coco_of(None, None)),
        ("coco-polygons", coco_of(0, 0)),  # of tools that do not look at pictures
        ("geojson", geojson_of(4, 4)),
        ("label-studio-polygons", tasks("polygonlabels", CAR, **sized(640, 641))),  # per cent; sides are rounded
        ("label-studio", tasks("brushlabels", STROKE, **sized(4, 4))),
    ],
)
def test_what_was_drawn_on_a_picture_of_its_size_is_read(name: str, files: Mapping[str, object]) -> None:
    [(_, ids)] = back(name, files)
    np.testing.assert_array_equal(ids, DRAWN)


SKIPPED = {**CITY, "annotations": [{"was_cancelled": True, "result": []}], "predictions": []}


@pytest.mark.parametrize("task", [SKIPPED, {**SKIPPED, "annotations": []}, {**CITY, "completions": []}])
def test_tasks_that_nobody_annotated_are_passed_over(task: Mapping[str, object]) -> None:
    drawn = {"data": {"maskmill": "b/two"}, "annotations": [{"result": [brushed("brushlabels", STROKE)]}]}
    [(image, ids)] = back("label-studio", {"project.json": [task, drawn]})
    assert image == "b/two"
    np.testing.assert_array_equal(ids, DRAWN)


def test_a_document_too_long_to_be_held_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segmentation.exports.documents.LARGEST_DOCUMENT", 10)
    monkeypatch.setattr(export, "LARGEST_DOCUMENT", 10)
    with pytest.raises(UnreadableExport, match="longer than 10 bytes"):
        loaded(b"[1,2,3,4,5,6]", "tasks.json")
    with pytest.raises(UnreadableExport, match=r"data.yaml is longer than 10 bytes"):
        back("yolo", {"labels/a/one.txt": LINE, "data.yaml": b"names: [road, car]"})


@pytest.mark.parametrize("cut", [1, 8, 9])
def test_a_brush_that_ends_early_or_has_another_size_is_refused(cut: int) -> None:
    packed = encode_brush(DRAWN == 5)
    with pytest.raises(UnreadableExport, match="another size"):
        decode_brush(packed, height=4, width=5)
    with pytest.raises((UnreadableExport, IndexError)):
        decode_brush(packed[:-cut], height=4, width=4)


def test_a_brush_whose_values_stand_one_by_one_is_read() -> None:
    """The tool's own packer writes values that differ as they come, each of its own bits."""
    head = [(2 * 4, 32), (7, 5), *((size - 1, 4) for size in (3, 4, 8, 16))]
    values = [0, 0, 0, 0, 1, 2, 3, 255]
    parts = [*head, (0, 1), (0, 2), (7, 3), *((value, 8) for value in values)]
    bits = "".join(f"{value:0{count}b}" for value, count in parts)
    packed = [int(bits[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(bits), 8)]
    np.testing.assert_array_equal(decode_brush(packed, height=1, width=2), [[False, True]])
    with pytest.raises(UnreadableExport, match="ends within a run"):
        decode_brush(packed[:-2], height=1, width=2)


def test_a_long_table_is_written_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(hugging_face, "ROWS", 2)
    files = files_of(EXPORTS["huggingface"], exported([DRAWN] * 5, SPACE))
    table = parquet.ParquetFile(io.BytesIO(files["train/metadata.parquet"]))
    assert table.metadata.num_row_groups == 3
    assert table.read().column("name").to_pylist() == [f"cam_{number}/Straße {number}" for number in range(1, 6)]


def test_without_pyarrow_the_export_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UnavailableExport, match="needs pyarrow"):
        EXPORTS["huggingface"].check(SPACE)


def test_more_regions_than_a_png_has_numbers_share_the_last_ones() -> None:
    ids: Ids = np.full((2, 9), VOID, np.uint8)
    ids[0, ::2] = 5
    ids[1, 1::2] = 0
    regions = regions_of(LabelMap(ids, SPACE))
    assert len(np.unique(instance_numbers(regions, ids.shape))) == len(regions) + 1
    numbers = instance_numbers(regions, ids.shape, most=5)
    assert numbers.max() == 5
    assert {tuple(np.unique(ids[numbers == number])) for number in range(1, 6)} <= {(0,), (5,)}


@pytest.mark.parametrize(
    ("name", "folder"), [("yolo", "labels"), ("huggingface", "masks"), ("cvat", "SegmentationClass")]
)
def test_pictures_may_lie_in_a_folder_that_is_called_as_the_forms_own(name: str, folder: str) -> None:
    if name == "huggingface":
        pytest.importorskip("pyarrow")
    content = exported([DRAWN, np.full((4, 4), 0, np.uint8)], SPACE)
    called = ["p", f"{folder}/p"]
    images = [replace(image, name=each) for image, each in zip(content.images(), called, strict=True)]
    content = replace(content, images=lambda: iter(images))
    found = EXPORTS[name].read(returned(files_of(EXPORTS[name], content), content))
    assert {each.image.name: int(each.ids[1, 1]) for each in found} == {"p": 5, f"{folder}/p": 0}


def test_pictures_and_masks_are_named_as_cityscapes_names_its_pairs() -> None:
    names = {"a": 7, "a_leftImg8bit": 8, "north/b_leftImg8bit": 11, "north/_leftImg8bit": 23}
    content = exported([np.full((2, 3), each, np.uint8) for each in names.values()], CITYSCAPES_34)
    images = [replace(image, name=name) for image, name in zip(content.images(), names, strict=True)]
    content = replace(content, images=lambda: iter(images))
    form = EXPORTS["cityscapes"]
    files = files_of(form, content)
    told = ["maskmill/a", "maskmill/a_leftImg8bit", "north/b", "north/_leftImg8bit"]
    masks = [name for name in files if "labelIds" in name]
    assert masks == [f"gtFine/train/{each}_gtFine_labelIds.png" for each in told]
    pictures = [form.picture(name, ".png", names) for name in names]
    assert pictures == [f"leftImg8bit/train/{each}_leftImg8bit.png" for each in told]
    looked = returned(files, content)
    assert {each.image.name: int(each.ids[0, 0]) for each in form.read(looked)} == names
    assert not looked.unknown
