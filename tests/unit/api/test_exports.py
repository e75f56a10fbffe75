"""Exports over HTTP: a job's archive in the form of an annotation tool."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import ExifTags, Image

from segmentation.exports import EXPORTS
from segmentation.picture_files.file_data import HELD_BYTES
from tests.factories import encoded, picture
from tests.unit.api.house import House
from tests.unit.api.test_corrections import label_png, put
from tests.unit.api.test_results import finished


def exported(client: TestClient, job_id: str, **params: str) -> zipfile.ZipFile:
    answer = client.get(f"/jobs/{job_id}/archive", params=params)
    assert answer.status_code == 200, answer.text
    found = zipfile.ZipFile(io.BytesIO(answer.content))
    assert found.testzip() is None
    return found


@pytest.mark.parametrize("name", EXPORTS)
def test_a_jobs_archive_may_be_an_export(client: TestClient, house: House, name: str) -> None:
    job_id = finished(client, house, "north/a.jpg", "b.jpg")
    answer = client.get(f"/jobs/{job_id}/archive", params={"export": name, "instances": "true"})
    assert answer.status_code == 200, answer.text
    assert f"{job_id}_{name}.zip" in answer.headers["content-disposition"]
    assert (answer.headers["accept-ranges"], "content-length" in answer.headers) == ("none", False)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as found:
        assert found.testzip() is None
        assert EXPORTS[name].fits(found.namelist())
    assert client.get(f"/jobs/{job_id}/archive", params={"export": name, "instances": "true"}).content == answer.content
    head = client.head(f"/jobs/{job_id}/archive", params={"export": name})
    assert (head.status_code, head.content) == (200, b"")


def test_polygons_are_simplified_as_the_job_says_and_read_from_what_is_whole(client: TestClient, house: House) -> None:
    told = {"artifacts": ["polygons", "mask"], "polygons": {"tolerance": 1, "min_area": 100}}
    sent = client.post("/jobs", files={"files": ("a.jpg", picture())}, data={"options": json.dumps(told)}).json()
    house.work()
    assert sent["options"]["polygons"] == told["polygons"]
    lines = exported(client, sent["id"], export="yolo").read("labels/train/a.txt").decode().splitlines()
    assert [len(line.split()) for line in lines] == [9, 9]
    drawn = client.get(f"/jobs/{sent['id']}/images/0/polygons").json()
    assert (len(drawn["features"]), drawn["outlines"]) == (2, told["polygons"])


def test_what_is_drawn_undecided_and_simplified_goes_through_together(client: TestClient, house: House) -> None:
    """The model says sky on the left and building on the right, each with a confidence of 0.8."""
    told = {
        "artifacts": ["polygons", "coco", "mask"],
        "classes": ["building"],
        "polygons": {"tolerance": 1, "min_area": 10},
        "min_confidence": 0.8,
    }
    jobs = []
    for least in (0.8, 0.81):
        told["min_confidence"] = least
        sent = client.post("/jobs", files={"files": ("a.jpg", picture())}, data={"options": json.dumps(told)})
        assert sent.status_code == 202, sent.text
        house.work()
        jobs.append(client.get(sent.json()["links"]["self"]).json())
    sure, unsure = jobs
    assert sure["options"] | told | {"min_confidence": 0.8} == sure["options"]
    assert (sure["metrics"]["coverage"], unsure["metrics"]["coverage"]) == (1.0, 0.0)
    assert sure["metrics"]["class_fractions"] == {"building": 0.5, "sky": 0.5}
    drawn = client.get(f"/jobs/{sure['id']}/images/0/polygons").json()
    assert [each["properties"]["class"] for each in drawn["features"]] == ["building"]
    with exported(client, sure["id"]) as archive:
        merged = json.loads(archive.read("coco.json"))
        assert [each["category_id"] for each in merged["annotations"]] == [1]
        assert merged["info"]["classes"] == [each["name"] for each in merged["categories"]] == ["building"]
        assert "coverage" in archive.read("metrics.csv").decode()
    assert len(exported(client, sure["id"], export="yolo").read("labels/train/a.txt").splitlines()) == 2
    assert exported(client, unsure["id"], export="yolo").read("labels/train/a.txt") == b""


def test_a_class_that_there_is_not_is_refused_by_name(client: TestClient) -> None:
    answer = client.post("/jobs", files={"files": ("a.jpg", picture())}, data={"classes": "sky, mars"})
    (fault,) = answer.json()["errors"]
    assert (answer.status_code, fault["field"]) == (422, "classes")
    assert fault["message"].startswith("camvid-11 has no class 'mars'; it has sky, building, ")


def test_why_annotations_of_some_classes_cannot_be_exported_is_told(client: TestClient, house: House) -> None:
    told = {"artifacts": ["coco"], "classes": ["sky"]}
    sent = client.post("/jobs", files={"files": ("a.jpg", picture())}, data={"options": json.dumps(told)}).json()
    house.work()
    answer = client.get(f"/jobs/{sent['id']}/archive", params={"export": "cvat"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "export")
    assert "what is simplified, or of some classes, does not do" in answer.json()["detail"]


def test_pictures_come_along_when_they_are_asked_for(client: TestClient, house: House) -> None:
    job_id = finished(client, house, "north/a.jpg")
    assert exported(client, job_id, export="yolo").namelist() == ["data.yaml", "labels/train/north/a.txt"]
    with_pictures = exported(client, job_id, export="yolo", pictures="true")
    assert with_pictures.read("images/train/north/a.jpg") == picture()


def turned_picture() -> bytes:
    """32×24 pixels that EXIF turns to 24×32."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    sent = io.BytesIO()
    Image.open(io.BytesIO(picture(32, 24))).save(sent, "jpeg", exif=exif)
    return sent.getvalue()


@pytest.mark.parametrize("name", EXPORTS)
def test_pictures_lie_as_their_masks_do_for_tools_that_know_no_exif(
    client: TestClient, house: House, name: str
) -> None:
    job_id = client.post("/jobs", files={"files": ("a.jpg", turned_picture())}).json()["id"]
    house.work()
    row = client.get(f"/jobs/{job_id}/images/0").json()
    assert (row["width"], row["height"]) == (24, 32)
    with exported(client, job_id, export=name, pictures="true") as archive:
        (there,) = [each for each in archive.namelist() if each.endswith(".jpg")]
        found = Image.open(io.BytesIO(archive.read(there)))
    assert (found.format, found.size, dict(found.getexif())) == ("JPEG", (24, 32), {})


def test_a_turned_picture_is_as_bright_as_its_model_saw_it(client: TestClient, house: House) -> None:
    exif, sent = Image.Exif(), io.BytesIO()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(np.full((24, 32), 4000, np.uint16)).save(sent, "tiff", exif=exif)
    job_id = client.post("/jobs", files={"files": ("a.tif", sent.getvalue())}, data={"bit_depth": "12"}).json()["id"]
    house.work()
    there = exported(client, job_id, export="voc", pictures="true").read("JPEGImages/a.tif")
    found = Image.open(io.BytesIO(there))
    assert (found.size, found.getpixel((0, 0))) == ((24, 32), (250, 250, 250))


def test_a_single_picture_lies_as_its_masks_do_where_that_is_asked_for(
    client: TestClient, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = [turned_picture(), picture(), b"\xff\xd8\xff no picture"]
    files = [("files", (f"{number}.jpg", data)) for number, data in enumerate(sent)]
    job_id = client.post("/jobs", files=files).json()["id"]
    inputs = [f"/jobs/{job_id}/images/{index}/input" for index in range(3)]
    assert client.get(inputs[0], params={"upright": "true"}).content == sent[0]  # nobody has looked at it yet
    house.work()
    answer = client.get(inputs[0], params={"upright": "true"})
    found = Image.open(io.BytesIO(answer.content))
    assert (found.format, found.size, dict(found.getexif())) == ("JPEG", (24, 32), {})
    assert answer.headers["content-type"] == "image/jpeg"
    assert [client.get(path, params={"upright": "true"}).content for path in inputs[1:]] == sent[1:]
    assert client.get(inputs[0]).content == sent[0]
    monkeypatch.setattr(house.objects, "presigned_get", lambda key, *, expires_s: f"https://store/{key}")
    assert client.get(inputs[0], params={"upright": "true"}, follow_redirects=False).content == answer.content


@pytest.mark.parametrize("held", [0, HELD_BYTES])
def test_pictures_come_as_they_were_sent_in_memory_or_not(
    client: TestClient, house: House, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.inputs.inputs.HELD_BYTES", held)
    job_id = finished(client, house, "a.jpg")
    assert exported(client, job_id, export="voc", pictures="true").read("JPEGImages/a.jpg") == picture()


@pytest.mark.parametrize(
    ("form", "packing"), [("JPEG", zipfile.ZIP_STORED), ("BMP", zipfile.ZIP_DEFLATED), ("TIFF", zipfile.ZIP_DEFLATED)]
)
def test_pictures_are_packed_where_that_may_make_them_smaller(
    client: TestClient, house: House, form: str, packing: int
) -> None:
    sent = encoded(np.zeros((24, 32, 3), np.uint8), form)
    job_id = client.post("/jobs", files={"files": (f"a.{form.lower()}", sent)}).json()["id"]
    house.work()
    with exported(client, job_id, export="voc", pictures="true") as archive:
        entry = archive.getinfo(f"JPEGImages/a.{form.lower()}")
        assert archive.read(entry) == sent
    assert entry.compress_type == packing


def test_corrections_take_the_place_of_predictions_unless_they_are_not_wanted(client: TestClient, house: House) -> None:
    job_id = finished(client, house, "a.jpg")
    put(client, job_id, label_png(2, 2))

    def classes(**params: str) -> list[str]:
        document = json.loads(
            exported(client, job_id, export="coco", **params).read("annotations/instances_default.json")
        )
        names = {each["id"]: each["name"] for each in document["categories"]}
        return [names[each["category_id"]] for each in document["annotations"]]

    assert classes() == ["pole"]
    assert classes(corrected="false") == ["sky", "building"]


def test_failed_images_are_not_exported(client: TestClient, house: House) -> None:
    files = [("files", ("a.jpg", b"no picture")), ("files", ("b.jpg", picture()))]
    job_id = client.post("/jobs", files=files).json()["id"]
    house.work()
    assert "SegmentationClass/b.png" in (names := exported(client, job_id, export="voc").namelist())
    assert "SegmentationClass/a.png" not in names


def test_an_export_may_be_chosen_with_the_job(client: TestClient, house: House) -> None:
    job_id = finished(client, house, "a.jpg", export="cvat")
    names = exported(client, job_id).namelist()
    assert names == ["labelmap.txt", "ImageSets/Segmentation/default.txt", "SegmentationClass/a.png"]
    assert exported(client, job_id, artifacts="mask").namelist() == ["manifest.json", "mask/a.png"]
    assert "labels/train/a.txt" in exported(client, job_id, export="yolo").namelist()
    chosen = json.dumps({"name": "cvat", "instances": True})
    with_objects = exported(client, finished(client, house, "a.jpg", export=chosen))
    objects = np.asarray(Image.open(io.BytesIO(with_objects.read("SegmentationObject/a.png"))))
    assert np.unique(objects).tolist() == [1, 2]


WRONG = ["nothing", '{"name": "cvat", "colour": true}', '{"name": "cvat", "instances": 1}', '{"name": ["cvat"]}']


@pytest.mark.parametrize("value", WRONG)
def test_a_wrong_choice_is_a_field_fault_that_names_the_choices(client: TestClient, value: str) -> None:
    answer = client.post("/jobs", files=[("files", ("a.jpg", picture()))], data={"export": value})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "export")
    inputs = [{"sample": "market"}]
    assert client.post("/jobs", json={"inputs": inputs, "export": 7}).json()["errors"][0]["field"] == "export"


def test_what_cannot_be_exported_is_told(client: TestClient, house: House) -> None:
    job_id = finished(client, house, "a.jpg", label_space="cityscapes-8")
    for name in ("nothing", "cityscapes"):  # categories have no label ids
        answer = client.get(f"/jobs/{job_id}/archive", params={"export": name})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "export")
    plain = finished(client, house, "a.jpg", artifacts="overlay")
    answer = client.get(f"/jobs/{plain}/archive", params={"export": "cvat"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "export")
    files = [("files", ("a.jpg", picture()))]
    refused = client.post("/jobs", files=files, data={"export": "cvat", "artifacts": "overlay"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "export")
    waiting = client.post("/jobs", files=files).json()["id"]
    assert client.get(f"/jobs/{waiting}/archive", params={"export": "cvat"}).json()["code"] == "job_not_finished"
