"""Corrections over HTTP, and what follows from them."""

from __future__ import annotations

import csv
import io
import zipfile
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from jobs.errors import DatabaseUnavailable
from jobs.exports.importing import FORMS
from jobs.ports import Readable
from jobs.watching.hints import Hint
from segmentation.exports import EXPORTS
from tests.factories import encoded, mask, picture, zip_of
from tests.fakes import MemoryObjects
from tests.memory_database import MemoryDatabase
from tests.unit.api.house import House
from tests.unit.api.test_results import finished

WIDTH, HEIGHT = 32, 24


def label_png(left: int = 0, right: int = 1, *, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """The fake model says 0 left and 1 right of the middle."""
    ids = np.full((height, width), left, np.uint8)
    ids[:, width // 2 :] = right
    return mask(ids)


def put(client: TestClient, job_id: str, data: bytes, *, index: int = 0) -> Any:
    return client.put(f"/jobs/{job_id}/images/{index}/correction", content=data, headers={"content-type": "image/png"})


def archive(client: TestClient, job_id: str, **params: str) -> zipfile.ZipFile:
    answer = client.get(f"/jobs/{job_id}/archive", params=params)
    assert answer.status_code == 200, answer.text
    return zipfile.ZipFile(io.BytesIO(answer.content))


def test_a_correction_is_the_images_ground_truth_from_then_on(client: TestClient, house: House) -> None:
    job_id = finished(client, house)
    tag = client.get(f"/jobs/{job_id}").headers["etag"]
    answer = put(client, job_id, label_png(0, 2))
    assert answer.status_code == 200, answer.text
    assert answer.json()["ground_truth"]["pixel_accuracy"] == 0.5
    assert answer.json()["ground_truth"]["source"] == "correction"
    row = client.get(f"/jobs/{job_id}/images/0").json()
    assert row["metrics"]["ground_truth"] == answer.json()["ground_truth"]
    assert "ground_truth" not in client.get(f"/jobs/{job_id}/images/1").json()["metrics"]
    job = client.get(f"/jobs/{job_id}")
    truth = job.json()["metrics"]["ground_truth"]
    assert (truth["images"], truth["corrections"], truth["pixel_accuracy"]) == (1, 1, 0.5)
    assert job.json()["status"] == "succeeded"
    assert job.headers["etag"] != tag
    put(client, job_id, label_png())
    assert client.get(f"/jobs/{job_id}").json()["metrics"]["ground_truth"]["pixel_accuracy"] == 1.0


def test_a_correction_takes_the_place_of_the_mask_that_came_with_the_picture(client: TestClient, house: House) -> None:
    files = [("files", ("a.jpg", picture())), ("masks", ("a.png", label_png(5, 5)))]
    job_id = client.post("/jobs", files=files).json()["id"]
    house.work()
    truth = client.get(f"/jobs/{job_id}").json()["metrics"]["ground_truth"]
    assert (truth["pixel_accuracy"], truth.get("corrections")) == (0.0, None)
    put(client, job_id, label_png())
    truth = client.get(f"/jobs/{job_id}").json()["metrics"]["ground_truth"]
    assert (truth["images"], truth["pixel_accuracy"], truth["corrections"]) == (1, 1.0, 1)


def test_versions_are_kept_with_who_and_when(client: TestClient, house: House) -> None:
    job_id = finished(client, house)
    first, second = label_png(0, 2), label_png(0, 3)
    versions = [put(client, job_id, data).json()["version"] for data in (first, second, second, first)]
    assert versions == [1, 2, 2, 3]
    listed = client.get(f"/jobs/{job_id}/images/0/corrections").json()["items"]
    assert [each["version"] for each in listed] == [3, 2, 1]
    assert listed[0]["made_at"]
    assert listed[0]["made_by"] is None
    here = f"/jobs/{job_id}/images/0/correction"
    newest = client.get(here)
    assert (newest.content, newest.headers["content-type"]) == (first, "image/png")
    assert [client.get(each["link"]).content for each in listed] == [first, second, first]
    assert client.get(here, headers={"if-none-match": newest.headers["etag"]}).status_code == 304
    assert client.get(here, params={"version": 4}).json()["code"] == "correction_not_found"
    assert client.get(f"/jobs/{job_id}/images/1/correction").json()["code"] == "correction_not_found"


WRONG = [
    (b"no picture", 415, "unsupported_media_type"),
    (picture(WIDTH, HEIGHT), 415, "unsupported_media_type"),
    (picture(WIDTH, HEIGHT, form="PNG"), 422, "mask_mismatch"),
    (label_png(width=HEIGHT, height=WIDTH), 422, "mask_mismatch"),
    (label_png(0, 77), 422, "mask_unknown_ids"),
    (label_png()[:60], 422, "unreadable_image"),
]


@pytest.mark.parametrize(("data", "status", "code"), WRONG)
def test_what_is_no_correction_is_refused_with_a_code(
    client: TestClient, house: House, data: bytes, status: int, code: str
) -> None:
    job_id = finished(client, house)
    before = dict(house.objects.contents)
    answer = put(client, job_id, data)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert dict(house.objects.contents) == before
    assert client.get(f"/jobs/{job_id}/images/0/corrections").json()["items"] == []


def turned(content: bytes) -> bytes:
    """As EXIF says: a quarter to the right."""
    exif, file = Image.Exif(), io.BytesIO()
    exif[274] = 6  # orientation
    Image.open(io.BytesIO(content)).save(file, "png", exif=exif)
    return file.getvalue()


def test_a_correction_that_exif_turns_is_taken_as_it_is_looked_at(client: TestClient, house: House) -> None:
    """As a mask is."""
    job_id = finished(client, house)
    answer = put(client, job_id, turned(label_png()))
    assert (answer.status_code, answer.json()["code"]) == (422, "mask_mismatch")
    assert f"{HEIGHT}×{WIDTH} as its EXIF turns it" in answer.json()["detail"]
    upright = np.asarray(Image.open(io.BytesIO(label_png())))
    answer = put(client, job_id, turned(mask(np.rot90(upright))))
    assert answer.json()["ground_truth"]["pixel_accuracy"] == 1.0


def test_what_has_no_result_cannot_be_corrected(client: TestClient, house: House) -> None:
    job_id = client.post("/jobs", files=[("files", ("a.jpg", picture()))]).json()["id"]
    answer = put(client, job_id, label_png())
    assert (answer.status_code, answer.json()["code"]) == (409, "image_not_finished")
    assert put(client, job_id, label_png(), index=9).json()["code"] == "image_not_found"


def test_a_job_without_ids_keeps_its_corrections_and_scores_nothing(client: TestClient, house: House) -> None:
    job_id = finished(client, house, artifacts="overlay")
    first, again = put(client, job_id, label_png()), put(client, job_id, label_png())
    assert (first.json()["ground_truth"], again.json()["ground_truth"], again.json()["version"]) == (None, None, 1)
    assert "ground_truth" not in client.get(f"/jobs/{job_id}").json()["metrics"]
    tag = client.get(f"/jobs/{job_id}/archive").headers["etag"]
    put(client, job_id, label_png(1, 0))
    assert client.get(f"/jobs/{job_id}/archive").headers["etag"] != tag


@pytest.mark.parametrize("left", [None, b"", b"half of a mask"])
def test_a_mask_that_is_lost_costs_no_correction(client: TestClient, house: House, left: bytes | None) -> None:
    job_id = finished(client, house)
    put(client, job_id, label_png(0, 2), index=1)
    for index in (0, 1):
        (key,) = [key for key in house.objects.contents if f"/mask/{index:06d}" in key]
        del house.objects.contents[key]
        if left is not None:
            house.objects.put(key, left, media_type="image/png")
    assert put(client, job_id, label_png(0, 2)).json()["ground_truth"] is None
    assert client.get(f"/jobs/{job_id}/images/0/correction").content == label_png(0, 2)
    assert send(client, job_id, {"masks/a.png": label_png(0, 1)}).json()["corrected"] == 1
    refused = put(client, job_id, label_png(0, 0), index=1)  # its scores would be those of the first one
    assert (refused.status_code, refused.json()["code"]) == (404, "artifact_not_found")


def test_the_corrections_of_a_job_come_in_pages(client: TestClient, house: House) -> None:
    job_id = finished(client, house, "a.jpg", "b.jpg", "c.jpg")
    for index in (2, 0, 1):
        put(client, job_id, label_png(), index=index)
    first = client.get(f"/jobs/{job_id}/corrections", params={"limit": 2}).json()
    rest = client.get(f"/jobs/{job_id}/corrections", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [each["index"] for each in first["items"] + rest["items"]] == [0, 1, 2]
    assert rest["next_cursor"] is None


def test_the_archive_holds_the_newest_corrections(client: TestClient, house: House) -> None:
    job_id = finished(client, house, "north/a.jpg", "b.jpg")
    for each in (label_png(0, 2), label_png(0, 3)):
        put(client, job_id, each)
    whole = archive(client, job_id)
    assert whole.read("corrected/north/a.png") == label_png(0, 3)
    assert "corrected/b.png" not in whole.namelist()
    rows = list(csv.DictReader(io.StringIO(whole.read("metrics.csv").decode())))
    assert [row["pixel_accuracy"] for row in rows] == ["0.5", ""]
    some = archive(client, job_id, artifacts="corrected")
    assert some.namelist() == ["manifest.json", "corrected/north/a.png"]


def test_a_deleted_job_takes_its_corrections_with_it(client: TestClient, house: House) -> None:
    job_id = finished(client, house)
    put(client, job_id, label_png())
    assert client.delete(f"/jobs/{job_id}").status_code == 204
    assert dict(house.objects.contents) == {}
    assert client.get(f"/jobs/{job_id}/images/0/correction").status_code == 404


def test_a_correction_that_is_not_kept_leaves_no_object(
    client: TestClient, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = finished(client, house)
    before = dict(house.objects.contents)

    def stored_last(key: str, data: bytes | Readable, *, media_type: str) -> int:
        house.is_database_away = True
        return MemoryObjects.put(house.objects, key, data, media_type=media_type)

    monkeypatch.setattr(house.objects, "put", stored_last)
    assert put(client, job_id, label_png()).status_code == 503
    assert dict(house.objects.contents) == before


def test_a_correction_is_whole_when_the_answer_to_its_commit_is_lost(client: TestClient, house: House) -> None:
    lost: list[Hint] = []

    def lose(hint: Hint) -> None:
        """After the commit."""
        if is_losing:
            lost.append(hint)
            raise DatabaseUnavailable("the answer was lost")

    house.database, is_losing = MemoryDatabase(on_commit=lose), False
    job_id, is_losing = finished(client, house), True
    assert put(client, job_id, label_png(0, 2)).status_code == 503
    assert len(lost) == 1
    assert client.get(f"/jobs/{job_id}/images/0/correction").content == label_png(0, 2)
    assert any(name.startswith("corrected/") for name in archive(client, job_id).namelist())


def test_a_large_body_is_refused(client: TestClient, house: House) -> None:
    job_id = finished(client, house)
    limit = house.settings.max_image_bytes
    answer = client.put(f"/jobs/{job_id}/images/0/correction", headers={"content-length": str(limit + 1)}, content=b"")
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_ids_in_any_lossless_depth_are_read(client: TestClient, house: House) -> None:
    job_id = finished(client, house)
    grey = np.zeros((HEIGHT, WIDTH), np.uint8)
    assert put(client, job_id, encoded(grey, "PNG")).json()["ground_truth"]["pixel_accuracy"] == 0.5


def send(client: TestClient, job_id: str, files: dict[str, bytes], **params: str) -> Any:
    return client.post(f"/jobs/{job_id}/corrections", content=zip_of(files), params=params)


def test_a_folder_of_masks_comes_back_as_a_batch(client: TestClient, house: House) -> None:
    job_id = finished(client, house, "north/a.jpg", "b.jpg", "c.jpg")
    files = {
        "work/images/north/a.jpg": b"a picture",
        "work/masks/north/a.png": label_png(0, 2),
        "work/masks/b.png": label_png(),  # as it was predicted
        "work/masks/nobody.png": label_png(0, 2),
        "work/label_space.json": b"{}",  # which an archive has, too
        ".cache/masks/c.png": label_png(0, 2),
        "work/masks/.old/c.png": label_png(0, 2),
        "work/__MACOSX/c.png": label_png(0, 2),
    }
    taken = send(client, job_id, files)
    assert taken.status_code == 200, taken.text
    told = {"unknown": {"count": 1, "examples": ["nobody"]}, "unannotated": {"count": 0, "examples": []}}
    assert taken.json() == {"format": "folder", "corrected": 1, "unchanged": 1, **told}
    assert send(client, job_id, files).json()["corrected"] == 0
    assert [each["index"] for each in client.get(f"/jobs/{job_id}/corrections").json()["items"]] == [0]
    assert client.get(f"/jobs/{job_id}").json()["metrics"]["ground_truth"]["corrections"] == 1


TWINS = ("a/x.jpg", "a/x.png", "cam/1.jpg", "CAM/1.jpg")  # without suffix, or without their case, the same


def test_the_masks_of_an_archive_come_back_as_they_went_out(client: TestClient, house: House) -> None:
    job_id = finished(client, house, *TWINS)
    archive = client.get(f"/jobs/{job_id}/archive").content
    taken = client.post(f"/jobs/{job_id}/corrections", content=archive).json()
    nothing = {"count": 0, "examples": []}
    assert taken == {"format": "folder", "corrected": 0, "unchanged": 4, "unknown": nothing, "unannotated": nothing}


def test_a_mask_that_is_called_as_its_picture_is_never_given_to_another(client: TestClient, house: House) -> None:
    job_id = finished(client, house, *TWINS)
    drawn = {"masks/a/x.png.png": label_png(0, 2), "masks/CAM/1.png": label_png(0, 2), "masks/a/x.png": label_png(2, 2)}
    taken = send(client, job_id, drawn).json()
    assert (taken["corrected"], taken["unknown"]) == (2, {"count": 1, "examples": ["a/x"]})
    assert [each["index"] for each in client.get(f"/jobs/{job_id}/corrections").json()["items"]] == [1, 3]


KEPT = {"night/a": 1, "work/night/a": 1, "work/a": 0, "images/a": 2, "mask/images/a": 2, "labels/a": 3, "masks/a": 0}


@pytest.mark.parametrize(("file", "index"), KEPT.items())
def test_a_mask_keeps_the_folders_of_its_picture(client: TestClient, house: House, file: str, index: int) -> None:
    job_id = finished(client, house, "a.jpg", "night/a.jpg", "images/a.jpg", "labels/a.jpg")
    assert send(client, job_id, {f"{file}.png": label_png(0, 2)}).json()["corrected"] == 1
    assert [each["index"] for each in client.get(f"/jobs/{job_id}/corrections").json()["items"]] == [index]


def test_files_are_called_as_other_systems_write_names(client: TestClient, house: House) -> None:
    job_id = finished(client, house, "Zürich/é.jpg", "b.jpg")
    composed, decomposed, windows = "masks/Zürich/é.png", "masks/Zu\u0308rich/e\u0301.png", "masks\\Zürich\\é.png"
    for count, name in enumerate((decomposed, windows), start=2):
        assert send(client, job_id, {name: label_png(0, count)}).json()["corrected"] == 1
    taken = send(client, job_id, {composed: label_png(0, 2), decomposed: label_png(0, 4)})
    assert (taken.json()["code"], "two files are called so" in taken.json()["detail"]) == ("export_unreadable", True)


def test_a_mask_whose_palette_was_sorted_anew_is_refused(client: TestClient, house: House) -> None:
    job_id = finished(client, house)
    shown, file = Image.open(io.BytesIO(client.get(f"/jobs/{job_id}/images/0/mask").content)), io.BytesIO()
    shown.remap_palette([1, 0]).save(file, "png")  # looks as before
    one, batch = put(client, job_id, file.getvalue()), send(client, job_id, {"masks/a.png": file.getvalue()})
    assert [each.json()["code"] for each in (one, batch)] == ["mask_mismatch", "export_unreadable"]
    assert "put its palette in another order" in one.json()["detail"]


def test_what_lies_in_a_folder_of_pictures_and_has_colours_is_no_mask(client: TestClient, house: House) -> None:
    job_id = finished(client, house, "images/a.jpg")
    taken = send(client, job_id, {"images/a.png": picture(WIDTH, HEIGHT, form="PNG"), "a.png": label_png(0, 2)}).json()
    assert (taken["corrected"], taken["unknown"]["count"]) == (1, 0)


def test_labels_for_yolo_with_notes_beside_them_are_no_tasks(client: TestClient, house: House) -> None:
    """As Label Studio exports them."""
    line = b"1 0 0 1 0 1 1 0 1"
    files = {"labels/0f3c1d2e-a.txt": line, "classes.txt": b"building\nsky\n", "notes.json": b'{"categories": []}'}
    taken = send(client, finished(client, house), files).json()
    assert (taken["format"], taken["corrected"], taken["unknown"]["count"]) == ("yolo", 1, 0)


def test_an_unknown_form_is_told_those_that_there_are(client: TestClient, house: House) -> None:
    answer = client.post(f"/jobs/{finished(client, house)}/corrections", params={"format": "nope"}, content=b"")
    assert answer.status_code == 422
    assert answer.json()["detail"] == f"format: must be one of {', '.join(FORMS)}, got 'nope'"


@pytest.mark.parametrize("name", EXPORTS)
def test_what_a_tool_gives_back_is_known_by_its_files(client: TestClient, house: House, name: str) -> None:
    job_id = finished(client, house, "north/a.jpg", "b.jpg")
    exported = client.get(f"/jobs/{job_id}/archive", params={"export": name, "pictures": "true"}).content
    taken = client.post(f"/jobs/{job_id}/corrections", content=exported).json()
    assert FORMS[taken["format"]].__class__ is EXPORTS[name].__class__
    assert (taken["corrected"], taken["unchanged"], taken["unknown"]["count"]) == (0, 2, 0)


def test_images_that_went_out_before_others_corrected_them_take_nothing_back(client: TestClient, house: House) -> None:
    job_id = finished(client, house, "a.jpg", "b.jpg", "c.jpg")
    before = client.get(f"/jobs/{job_id}/archive", params={"export": "cvat"}).content
    put(client, job_id, label_png(0, 2))
    between = client.get(f"/jobs/{job_id}/archive", params={"export": "cvat"}).content
    put(client, job_id, label_png(0, 3))
    for sent in (before, between):
        taken = client.post(f"/jobs/{job_id}/corrections", content=sent).json()
        assert (taken["corrected"], taken["unchanged"]) == (0, 3)
    assert send(client, job_id, {"masks/a.png": label_png(), "masks/b.png": label_png(4, 4)}).json()["corrected"] == 1
    versions = client.get(f"/jobs/{job_id}/corrections").json()["items"]
    assert [(each["index"], each["version"]) for each in versions] == [(0, 2), (1, 1)]
    assert put(client, job_id, label_png()).json()["version"] == 3  # who means one image may


WRONG_BATCHES = [
    ({"masks/a.png": label_png(0, 77)}, "mask_unknown_ids"),
    ({"masks/a.png": label_png(width=5)}, "mask_mismatch"),
    ({"masks/a.png": b"no picture"}, "export_unreadable"),
    ({"masks/a.png": label_png(0, 2), "corrected/a.png": label_png()}, "export_unreadable"),  # which one?
    ({"masks/nobody.png": label_png()}, "invalid_options"),
    ({"nothing.txt": b""}, "invalid_options"),
    ({"tasks.json": b"{"}, "export_unreadable"),
]


@pytest.mark.parametrize(("files", "code"), WRONG_BATCHES)
def test_of_a_wrong_batch_nothing_is_kept(client: TestClient, house: House, files: dict[str, bytes], code: str) -> None:
    job_id = finished(client, house)
    answer = send(client, job_id, {"masks/b.png": label_png(0, 2), **files} if "masks/a.png" in files else files)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert client.get(f"/jobs/{job_id}/corrections").json()["items"] == []


def test_a_batch_for_a_job_without_masks_is_kept_whole(client: TestClient, house: House) -> None:
    taken = send(client, finished(client, house, artifacts="overlay"), {"masks/a.png": label_png()}).json()
    assert (taken["corrected"], taken["unchanged"]) == (1, 0)


def test_an_entry_too_long_to_be_held_is_refused(
    client: TestClient, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.exports.importing.LARGEST_DOCUMENT", 10)
    answer = send(client, finished(client, house), {"masks/a.png": label_png()})
    assert answer.status_code == 413
    assert "longer than 10 bytes" in answer.json()["detail"]


def test_what_is_no_archive_is_refused(client: TestClient, house: House) -> None:
    job_id = finished(client, house)
    damaged = bytearray(zip_of({"masks/a.png": label_png()}))
    damaged[60] ^= 0xFF
    for body in (b"no archive", bytes(damaged)):
        answer = client.post(f"/jobs/{job_id}/corrections", content=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "archive_unreadable")
