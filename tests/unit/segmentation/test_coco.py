"""COCO annotations, bit for bit as pycocotools writes them."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from segmentation.errors import UnreadableArtifact
from segmentation.formats.coco import Coco, counts_from_text, counts_to_text
from segmentation.formats.format import FormatOptions
from segmentation.label_map import LabelMap
from segmentation.label_spaces import get_label_space

CAMVID = get_label_space("camvid-11")


def document(ids: NDArray[np.uint8], space: str = "camvid-11") -> Any:
    rgb = np.zeros((*ids.shape, 3), np.uint8)
    options = FormatOptions(file_name="zürich.jpg")
    return json.loads(Coco().encode(LabelMap(ids, get_label_space(space)), rgb, options).data)


def street() -> NDArray[np.uint8]:
    ids = np.full((50, 70), 11, dtype=np.uint8)
    ids[10:20, 5:12] = ids[0, 0] = ids[40:, 9] = 8
    return ids


def test_the_run_lengths_are_those_of_pycocotools() -> None:
    """pycocotools.mask.encode(np.asfortranarray(street() == 8)) of pycocotools 2.0."""
    (annotation,) = document(street())["annotations"]
    assert annotation["segmentation"] == {"size": [50, 70], "counts": "01S89UI0000000\\O0F0n00Zj2"}


def test_area_and_box_surround_the_class() -> None:
    (annotation,) = document(street())["annotations"]
    assert annotation["area"] == 10 * 7 + 1 + 10
    assert annotation["bbox"] == [0, 0, 12, 50]


@pytest.mark.parametrize(
    ("rows", "columns", "box"),
    [
        (slice(2, 5), slice(3, 4), [3, 2, 1, 3]),
        (slice(0, 1), slice(0, 9), [0, 0, 9, 1]),
        (slice(0, 7), slice(4, 6), [4, 0, 2, 7]),
        (slice(6, 7), slice(8, 9), [8, 6, 1, 1]),
        (slice(0, 7), slice(0, 9), [0, 0, 9, 7]),
    ],
)
def test_the_box_is_exact(rows: slice, columns: slice, box: list[int]) -> None:
    ids = np.full((7, 9), 11, dtype=np.uint8)
    ids[rows, columns] = 5
    assert document(ids)["annotations"][0]["bbox"] == box


def test_there_is_one_annotation_per_class_and_none_for_void() -> None:
    ids = np.array([[0, 1, 11, 1, 8]], dtype=np.uint8)
    annotations = document(ids)["annotations"]
    assert [(each["id"], each["image_id"], each["category_id"]) for each in annotations] == [
        (1, 1, 0),
        (2, 1, 1),
        (3, 1, 8),
    ]


def test_the_picture_and_the_categories_are_described() -> None:
    value = document(np.array([[0, 200]], dtype=np.uint8), "cityscapes-8")
    assert value["images"] == [{"id": 1, "file_name": "zürich.jpg", "width": 2, "height": 1}]
    assert value["categories"][7] == {"id": 7, "name": "vehicle", "supercategory": "vehicle"}
    assert value["categories"][8:] == [{"id": 200, "name": "id 200", "supercategory": "void"}]


@pytest.mark.parametrize(
    "counts", [[5], [0, 5], [1, 1, 1, 1], [31, 32, 1023, 1024, 7, 2**31, 3], [2**40, 1, 2**20, 2**39, 0, 1]]
)
def test_run_lengths_survive_their_text(counts: list[int]) -> None:
    assert counts_from_text(counts_to_text(np.array(counts))).tolist() == counts


def test_text_that_ends_within_a_number_is_no_run_lengths() -> None:
    with pytest.raises(ValueError, match="end within a number"):
        counts_from_text("PP")


@pytest.mark.parametrize(
    "change",
    [
        {"images": None},
        {"images": []},
        {"images": [{"width": 70}]},
        {"annotations": [{"category_id": 1}]},
        {"annotations": [{"category_id": 1, "segmentation": {"counts": "0"}}]},
        {"annotations": [{"category_id": 1, "segmentation": {"counts": ""}}]},
        {"annotations": [{"category_id": 1, "segmentation": {"counts": "é"}}]},
        {"annotations": [{"category_id": 1, "segmentation": {"counts": "oooo1"}}]},
        {"annotations": [{"category_id": 300, "segmentation": {"counts": "0\\]3"}}]},
        {"annotations": [{"category_id": 1, "segmentation": {"counts": [1, 2]}}]},
    ],
)
def test_what_are_no_annotations_cannot_be_read_back(change: dict[str, Any]) -> None:
    data = json.dumps({**document(street()), **change}).encode()
    with pytest.raises(UnreadableArtifact, match="no COCO annotations of one picture"):
        Coco().decode(data, CAMVID)


def test_what_is_no_json_cannot_be_read_back() -> None:
    with pytest.raises(UnreadableArtifact):
        Coco().decode(b"\xff{", CAMVID)


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
@pytest.mark.parametrize("seed", range(5))
def test_pycocotools_reads_the_artifact_and_finds_the_mask_in_it(seed: int, tmp_path: Path) -> None:
    from pycocotools.coco import COCO

    ids = np.random.default_rng(seed).integers(0, 12, (23, 31)).astype(np.uint8)
    (tmp_path / "street.json").write_text(json.dumps(document(ids)), encoding="utf-8")
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(tmp_path / "street.json"))
    (image,) = coco.loadImgs(coco.getImgIds())
    assert (image["width"], image["height"]) == (31, 23)
    found = np.full(ids.shape, CAMVID.void_id, np.uint8)
    for annotation in coco.loadAnns(coco.getAnnIds(imgIds=image["id"])):
        found[coco.annToMask(annotation) == 1] = annotation["category_id"]
    assert np.array_equal(found, ids)


def test_an_artifact_from_before_it_was_called_images_is_read() -> None:
    value = document(street())
    (value["image"],) = value.pop("images")
    assert np.array_equal(Coco().decode(json.dumps(value).encode(), CAMVID).ids, street())
