"""Batches of corrections that hold more than was drawn: what is as it went out, and what nobody looked at, stays."""

from __future__ import annotations

import json
from contextlib import nullcontext
from io import BytesIO

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import ExifTags, Image

from api.main import create_app
from segmentation.label_space import LabelClass, LabelSpace
from segmentation.label_spaces import LabelSpaces
from tests.factories import make_card, mask, picture
from tests.fakes import FakeCatalog, FakeSegmenter
from tests.unit.api.house import LOCAL, House
from tests.unit.api.test_corrections import HEIGHT, WIDTH, archive, label_png, put, send


@pytest.mark.parametrize("name", ["coco", "yolo", "result.json"])
def test_who_was_not_annotated_yet_keeps_its_ground_truth(client: TestClient, house: House, name: str) -> None:
    files = [("files", (each, picture())) for each in ("cam/a.jpg", "b.jpg", "c.jpg")]
    job_id = client.post("/jobs", files=[*files, ("masks", ("b.png", label_png(0, 2)))]).json()["id"]
    house.work()
    exported = archive(client, job_id, export="yolo" if name == "yolo" else "coco")
    kept = {each: exported.read(each) for each in exported.namelist()}
    if name != "yolo":  # COCO as we write it, and as Label Studio calls it
        ((path, content),) = kept.items()
        document = json.loads(content)
        of_a = [each for each in document["annotations"] if each["image_id"] == 1]
        kept = {path if name == "coco" else name: json.dumps({**document, "annotations": of_a[:1]}).encode()}
    else:
        kept |= {"labels/train/b.txt": b"", "labels/train/c.txt": b"\n"}
        kept["labels/train/cam/a.txt"] = kept["labels/train/cam/a.txt"].partition(b"\n")[0]
    taken = send(client, job_id, kept).json()
    assert (taken["corrected"], taken["unchanged"]) == (1, 0)
    assert taken["unannotated"] == {"count": 2, "examples": ["b", "c"]}
    truth = client.get(f"/jobs/{job_id}/images/1").json()["metrics"]["ground_truth"]
    assert truth["pixel_accuracy"] == 0.5
    assert client.get(f"/jobs/{job_id}").json()["metrics"]["ground_truth"]["corrections"] == 1


def without_void(house: House) -> TestClient:
    """A service whose model knows two classes and no id for what is neither."""
    bare = LabelSpace("bare", (LabelClass(0, "road", (9, 9, 9), "flat"), LabelClass(1, "sky", (0, 0, 9), "sky")))
    house.catalog = FakeCatalog([make_card("tiny", label_space="bare")], LabelSpaces((bare,)))
    house.segmenter = FakeSegmenter(label_space="bare", spaces=LabelSpaces((bare,)))
    return TestClient(create_app(lambda: nullcontext(house.services())), base_url=LOCAL)


def test_who_was_not_annotated_yet_is_passed_over_where_there_is_no_void(house: House) -> None:
    with without_void(house) as client:
        job_id = client.post("/jobs", files=[("files", ("a.jpg", picture()))]).json()["id"]
        house.work()
        content = {"images": [{"id": 1, "file_name": "a.jpg"}], "categories": [], "annotations": []}
        taken = send(client, job_id, {"annotations/instances_default.json": json.dumps(content).encode()}).json()
    assert (taken["corrected"], taken["unannotated"]["examples"]) == (0, ["a"])


@pytest.mark.parametrize("name", ["coco", "yolo", "cvat", "label-studio", "geojson"])
def test_what_a_model_leaves_without_a_class_comes_back_where_there_is_no_void(house: House, name: str) -> None:
    with without_void(house) as client:
        told = {"artifacts": ["mask"], "min_confidence": 0.81, "polygons": {"tolerance": 1, "min_area": 9}}
        files = [("files", (each, picture())) for each in ("a.jpg", "b.jpg")]
        job_id = client.post("/jobs", files=files, data={"options": json.dumps(told)}).json()["id"]
        house.work()
        exported = client.get(f"/jobs/{job_id}/archive", params={"export": name}).content
        answer = client.post(f"/jobs/{job_id}/corrections", content=exported)
        assert (answer.json()["corrected"], answer.json()["unchanged"]) == (0, 2)
        left = send(client, job_id, {"masks/a.png": label_png(1, 255)})  # as it was, there
        assert left.json()["corrected"] == 1
        assert client.get(f"/jobs/{job_id}").json()["metrics"]["ground_truth"]["corrections"] == 1
        assert "corrected/a.png" in archive(client, job_id).namelist()
        again = client.get(f"/jobs/{job_id}/archive", params={"export": name}).content
        assert client.post(f"/jobs/{job_id}/corrections", content=again).json()["unchanged"] == 2


def test_what_was_corrected_in_part_may_stay_without_a_class_where_it_had_none(house: House) -> None:
    with without_void(house) as client:
        files = [("files", (each, picture())) for each in ("a.jpg", "b.jpg")]
        job_id = client.post("/jobs", files=files, data={"min_confidence": "0.81"}).json()["id"]
        with_classes = client.post("/jobs", files=files).json()["id"]
        house.work()
        assert put(client, job_id, label_png(1, 255)).json()["ground_truth"]["pixel_accuracy"] == 0.0
        assert put(client, job_id, label_png(1, 255, width=WIDTH)).is_success
        assert put(client, job_id, label_png(255, 2)).json()["code"] == "mask_unknown_ids"
        answer = put(client, with_classes, label_png(1, 255))
        assert (answer.status_code, answer.json()["code"]) == (422, "mask_unknown_ids")
        drawn = send(client, with_classes, {"masks/a.png": label_png(1, 255)})
        assert (drawn.status_code, drawn.json()["code"]) == (422, "mask_unknown_ids")
        said = "a: 50.0 % of its pixels are of no class, went out with one, and bare has no id for such"
        assert said in drawn.json()["detail"]


def test_corrections_of_another_job_are_upright_and_may_be_of_no_class_in_part(house: House) -> None:
    exif, shown = Image.Exif(), BytesIO()
    exif[ExifTags.Base.Orientation] = 3  # turned, and the shape does not tell
    Image.open(BytesIO(picture())).save(shown, "JPEG", exif=exif)
    with without_void(house) as client:
        files = [("files", ("a.jpg", shown.getvalue()))]
        job_id = client.post("/jobs", files=files, data={"min_confidence": "0.81"}).json()["id"]
        house.work()
        assert put(client, job_id, label_png(1, 255)).is_success
        for told in ({"masks": "corrected"}, {}):
            job_id = client.post("/jobs", json={"inputs": [{"job": job_id, **told}]}).json()["id"]
            house.work()
            row = client.get(f"/jobs/{job_id}/images/0").json()
            assert "warnings" not in row
            assert row["metrics"]["ground_truth"]["pixel_accuracy"] == 0.0  # of the half that has a class


def test_polygons_that_were_corrected_in_part_come_back_with_what_went_out_simplified(house: House) -> None:
    with without_void(house) as client:
        told = {"artifacts": ["mask"], "polygons": {"tolerance": 2, "min_area": 385}}
        files = [("files", ("a.jpg", picture()))]
        job_id = client.post("/jobs", files=files, data={"options": json.dumps(told)}).json()["id"]
        house.work()
        exported = archive(client, job_id, export="coco-polygons")
        (path,) = exported.namelist()
        document = json.loads(exported.read(path))
        assert document["annotations"] == []  # all regions are smaller
        half = [0, 0, WIDTH // 2, 0, WIDTH // 2, HEIGHT, 0, HEIGHT]
        document["annotations"] = [{"id": 1, "image_id": 1, "category_id": 2, "segmentation": [half], "iscrowd": 0}]
        taken = send(client, job_id, {path: json.dumps(document).encode()})
        assert taken.json()["corrected"] == 1, taken.text


POLYGONS = ("coco-polygons", "label-studio-polygons", "yolo", "geojson")


@pytest.mark.parametrize("instances", ["false", "true"])
@pytest.mark.parametrize("name", POLYGONS)
def test_what_went_out_simplified_and_came_back_so_is_no_correction(
    client: TestClient, house: House, name: str, instances: str
) -> None:
    told = {"artifacts": ["mask", "polygons"], "classes": ["sky"], "polygons": {"tolerance": 2, "min_area": 385}}
    files = [("files", (each, picture())) for each in ("cam/a.jpg", "b.jpg")]
    job_id = client.post("/jobs", files=files, data={"options": json.dumps(told)}).json()["id"]
    house.work()
    slope = np.add.outer(np.arange(HEIGHT) * 2, np.arange(WIDTH)) > HEIGHT
    put(client, job_id, mask(np.where(slope, 3, 5).astype(np.uint8)), index=1)  # of the prediction nothing is left
    exported = client.get(f"/jobs/{job_id}/archive", params={"export": name, "instances": instances}).content
    taken = client.post(f"/jobs/{job_id}/corrections", content=exported).json()
    assert (taken["corrected"], taken["unchanged"]) == (0, 2)
    if name == "geojson":
        shown = {f"polygons/{n}.geojson": client.get(f"/jobs/{job_id}/images/{n}/polygons").content for n in (0, 1)}
        named = dict(zip(("polygons/cam/a.geojson", "polygons/b.geojson"), shown.values(), strict=True))
        assert send(client, job_id, named).json()["corrected"] == 0
    assert send(client, job_id, {"masks/b.png": label_png(4, 4)}).json()["corrected"] == 1


@pytest.mark.parametrize("left", [None, b"cut"])
def test_a_correction_that_is_lost_keeps_no_other_and_can_be_sent_again(
    client: TestClient, house: House, left: bytes | None
) -> None:
    job_id = client.post("/jobs", files=[("files", ("a.png", picture()))]).json()["id"]
    house.work()

    def lose(version: int) -> None:
        key = sorted(key for key in house.objects.keys("") if "/corrections/" in key)[version - 1]
        house.objects.delete(key)
        if left is not None:
            house.objects.put(key, left, media_type="image/png")

    put(client, job_id, label_png(0, 2))
    lose(1)
    assert put(client, job_id, label_png(0, 2)).json()["version"] == 1
    assert client.get(f"/jobs/{job_id}/images/0/correction").content == label_png(0, 2)
    lose(1)
    assert send(client, job_id, {"masks/a.png": label_png(0, 3)}).json()["corrected"] == 1
