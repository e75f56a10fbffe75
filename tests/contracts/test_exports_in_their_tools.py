"""What the tools' own libraries read of our exports: the same masks.

CVAT and Label Studio are servers, and the libraries that read their forms (datumaro, label-studio-sdk) pin other
versions of OpenCV and NumPy than we run on; their forms are held by the documented rules here and by round trips.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools.coco import COCO
from shapely import contains_xy
from shapely.geometry import shape

from segmentation.exports import EXPORTS, Exported
from segmentation.label_spaces import get_label_space
from tests.exporting import Ids, exported, files_of, masks, written

CITY = get_label_space("cityscapes-34")


def with_pictures(name: str, content: Exported, root: Path) -> Path:
    written(files_of(EXPORTS[name], content), root)
    for image in content.images():
        path = root / EXPORTS[name].picture(image.name, image.suffix, ())
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((image.height, image.width, 3), np.uint8)).save(path)
    return root


def seen_by_supervision(content: Exported) -> Any:
    """Its detections in the one picture of an export for YOLO."""
    supervision = pytest.importorskip("supervision")
    with TemporaryDirectory() as folder:
        root = with_pictures("yolo", content, Path(folder))
        (labels,), (picture,) = (root / "labels").rglob("*.txt"), (root / "images").rglob("*.jpg")
        back = supervision.DetectionDataset.from_yolo(
            str(picture.parent), str(labels.parent), str(root / "data.yaml"), force_masks=True
        )
    assert back.classes == [each.name for each in content.labels.all]
    (found,) = back.annotations.values()
    return found


def with_class(found: Ids, inside: Any, class_id: int) -> None:
    found[np.asarray(inside, bool)] = class_id


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
@pytest.mark.parametrize("name", ["coco", "coco-polygons"])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_pycocotools_reads_the_same_masks(name: str, data: st.DataObject) -> None:
    maps = data.draw(st.lists(masks(CITY), min_size=1, max_size=2))
    content = exported(maps, CITY, instances=data.draw(st.booleans()))
    document = files_of(EXPORTS[name], content)["annotations/instances_default.json"]
    coco = COCO()
    coco.dataset = json.loads(document)
    coco.createIndex()
    assert min(coco.getCatIds()) == 1
    ids = {each.number: each.id for each in content.labels.all}
    for number, truth in enumerate(maps, start=1):
        found = np.full(truth.shape, CITY.void_id, np.uint8)
        for each in coco.loadAnns(coco.getAnnIds(imgIds=[number])):
            inside = coco.annToMask(each)
            assert inside.sum() == each["area"]
            with_class(found, inside, ids[each["category_id"]])
        np.testing.assert_array_equal(found, truth)


@settings(max_examples=20, deadline=None)
@given(truth=masks(CITY))
def test_shapely_finds_the_same_pixels_in_geojson(truth: Ids) -> None:
    (document,) = files_of(EXPORTS["geojson"], exported([truth], CITY)).values()
    y, x = np.mgrid[: truth.shape[0], : truth.shape[1]] + 0.5
    found = np.full(truth.shape, CITY.void_id, np.uint8)
    for feature in json.loads(document)["features"]:
        polygon = shape(feature["geometry"])
        assert polygon.is_valid
        with_class(found, contains_xy(polygon, x, y), feature["properties"]["class_id"])
    np.testing.assert_array_equal(found, truth)


@settings(max_examples=20, deadline=None)
@given(truth=masks(CITY))
def test_voc_masks_are_palette_pictures_with_255_for_what_counts_nowhere(truth: Ids) -> None:
    content = exported([truth], CITY, instances=True)
    files = files_of(EXPORTS["voc"], content)
    name = next(content.images()).name
    assert files["ImageSets/Segmentation/train.txt"].decode() == f"{name}\n"
    picture = Image.open(io.BytesIO(files[f"SegmentationClass/{name}.png"]))
    assert picture.mode == "P"
    numbers = np.asarray(picture)
    np.testing.assert_array_equal(numbers == 255, truth == CITY.void_id)
    objects = np.asarray(Image.open(io.BytesIO(files[f"SegmentationObject/{name}.png"])))
    np.testing.assert_array_equal(objects == 0, truth == CITY.void_id)
    for number in set(np.unique(objects).tolist()) - {0}:
        assert len(np.unique(truth[objects == number])) == 1


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_torchvisions_reader_of_voc_gives_the_same_masks(data: st.DataObject) -> None:
    import training.torchvision_guard  # noqa: F401, I001 - before torchvision
    from torchvision.datasets import VOCSegmentation

    maps = data.draw(st.lists(masks(CITY), min_size=1, max_size=2))
    content = exported(maps, CITY)
    numbers = content.labels.numbers.copy()
    numbers[CITY.void_id] = 255
    with TemporaryDirectory() as folder:
        with_pictures("voc", content, Path(folder) / "VOCdevkit" / "VOC2012")
        back = VOCSegmentation(folder, image_set="train")
        assert len(back) == len(maps)
        for (_, mask), truth in zip(back, maps, strict=True):
            np.testing.assert_array_equal(np.asarray(mask), numbers[truth])


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_torchvisions_reader_of_cityscapes_gives_the_same_masks(data: st.DataObject) -> None:
    import training.torchvision_guard  # noqa: F401, I001 - before torchvision
    from torchvision.datasets import Cityscapes

    maps = data.draw(st.lists(masks(CITY), min_size=1, max_size=2))
    content = exported(maps, CITY, instances=True)
    with TemporaryDirectory() as folder:
        with_pictures("cityscapes", content, Path(folder))
        back = Cityscapes(folder, split="train", mode="fine", target_type="semantic")
        found = {Path(path).parent.name: mask for path, (_, mask) in zip(back.images, back, strict=True)}
        assert sorted(found) == [f"cam_{number}" for number in range(1, len(maps) + 1)]
        for number, truth in enumerate(maps, start=1):
            np.testing.assert_array_equal(np.asarray(found[f"cam_{number}"]), truth)


@settings(max_examples=8, deadline=None)
@given(truth=masks(CITY))
def test_supervision_reads_yolos_regions_and_their_lines(truth: Ids) -> None:
    """It paints each polygon with its line, half of which lies outside: nothing is missing."""
    content = exported([truth], CITY)
    found = seen_by_supervision(content)
    ids = np.array([each.id for each in content.labels.all])
    for class_id in set(np.unique(truth).tolist()) - {CITY.void_id}:
        painted = found.mask[ids[found.class_id] == class_id].any(axis=0)
        assert painted[truth == class_id].all()


def test_supervision_paints_no_more_than_the_line() -> None:
    truth = np.full((30, 40), CITY.void_id, np.uint8)
    truth[4:24, 5:35], truth[10:16, 12:24], truth[27, 37] = 7, 26, 8  # a region with a hole, what fills it, one pixel
    content = exported([truth], CITY)
    found = seen_by_supervision(content)
    ids = np.array([each.id for each in content.labels.all])[found.class_id]
    assert sorted(ids.tolist()) == [7, 8, 26]
    for class_id, painted in zip(ids, found.mask, strict=True):
        own = np.pad(truth == class_id, ((1, 0), (1, 0)))
        line = own[1:, 1:] | own[:-1, 1:] | own[1:, :-1] | own[:-1, :-1]  # a pixel more at right and lower edges
        assert (painted & ~line).sum() <= (6 if class_id == 7 else 0)  # the way to the hole and back


def test_cityscapes_own_scripts_read_polygons_and_label_ids(tmp_path: Path) -> None:
    from cityscapesscripts.helpers.annotation import Annotation
    from cityscapesscripts.helpers.labels import id2label, name2label

    truth = np.zeros((20, 30), np.uint8)
    truth[2:18, 2:28], truth[5:15, 5:20], truth[8:10, 8:10] = 7, 26, 7
    files = files_of(EXPORTS["cityscapes"], exported([truth], CITY, instances=True))
    root = written(files, tmp_path)
    (polygons,) = root.rglob("*_polygons.json")
    annotation = Annotation()
    annotation.fromJsonFile(str(polygons))
    assert (annotation.imgWidth, annotation.imgHeight) == (30, 20)
    assert [name2label[each.label].id for each in annotation.objects] == [0, 7, 26, 7]  # each before what it holds
    (labels,) = root.rglob("*_labelIds.png")
    np.testing.assert_array_equal(np.asarray(Image.open(labels)), truth)
    (colours,) = root.rglob("*_color.png")
    assert tuple(np.asarray(Image.open(colours))[5, 5]) == id2label[26].color
    (instances,) = root.rglob("*_instanceIds.png")
    np.testing.assert_array_equal(np.unique(np.asarray(Image.open(instances))), [0, 7, 26000])


@pytest.mark.parametrize("pictures", [True, False])
def test_hugging_face_datasets_load_the_folder(tmp_path: Path, pictures: bool) -> None:
    datasets = pytest.importorskip("datasets")
    truth = np.arange(34, dtype=np.uint8)[None].repeat(3, axis=0)
    content = exported([truth, truth[::-1]], CITY, pictures=pictures)
    root = written(files_of(EXPORTS["huggingface"], content), tmp_path / "job")
    if pictures:
        with_pictures("huggingface", content, root)
    loaded = datasets.load_dataset("imagefolder", data_dir=str(root), cache_dir=str(tmp_path / "cache"), split="train")
    assert len(loaded) == 2
    assert sorted(loaded["name"]) == [image.name for image in content.images()]
    column = "mask" if pictures else "image"
    np.testing.assert_array_equal(np.asarray(loaded[0][column]), truth)
