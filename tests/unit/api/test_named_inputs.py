"""Inputs that a request names: uploads, objects of buckets, folders of them, lists, and their masks."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from jobs.uploads.sweeping import GRACE_S, sweep_uploads
from tests.factories import mask, picture
from tests.memory_uploads import MemoryUploads
from tests.unit.api.house import House
from tests.unit.api.test_direct_uploads import announce, faults, put

TRUTH = mask(np.zeros((24, 32), np.uint8))


def upload(client: TestClient, name: str, data: bytes, content_type: str | None = None) -> str:
    file = {"name": name, "size": len(data), "content_type": content_type}
    (ticket,) = announce(client, file)
    assert put(client, ticket, data).status_code == 200
    return str(ticket["upload"])


def packed(**files: bytes) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "/").replace("_p", ".p").replace("_j", ".j"), data)
    return whole.getvalue()


def submit(client: TestClient, *inputs: dict[str, Any], **more: Any) -> str:
    answer = client.post("/jobs", json={"inputs": list(inputs), **more})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def rows(client: TestClient, job_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(f"/jobs/{job_id}/images").json()["items"]
    return found


def told(client: TestClient, job_id: str, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows(client, job_id)]


def test_uploads_become_images_under_their_own_names(client: TestClient, house: House) -> None:
    one, other = upload(client, "cam_a/0001.jpg", picture()), upload(client, "2.jpg", picture(), "image/jpeg")
    job_id = submit(client, {"upload": one}, {"upload": other, "name": "b.jpg", "ref": "r-2"}, {"upload": one})
    house.work()
    named = [("cam_a/0001.jpg", None), ("b.jpg", "r-2"), ("cam_a/0001_000002.jpg", None)]
    assert told(client, job_id, "name", "ref", "status") == [(*each, "succeeded") for each in named]
    assert client.get(f"/jobs/{job_id}/images/0/input").content == picture()


def test_an_upload_serves_several_jobs_and_goes_with_the_last(client: TestClient, house: House) -> None:
    one = upload(client, "a.jpg", picture())
    first, second = submit(client, {"upload": one}), submit(client, {"upload": one})
    house.work()
    house.clock.advance(48 * 3600)
    assert sweep_uploads(house.unit, house.objects, after="") == (0, "")
    for job_id in (first, second):
        assert client.get(f"/jobs/{job_id}/images/0/input").status_code == 200 or job_id == first
        assert client.delete(f"/jobs/{job_id}").status_code == 204
    house.clock.advance(GRACE_S + 1)
    assert sweep_uploads(house.unit, house.objects, after="") == (1, "")
    assert house.objects.contents == {}
    assert client.get(f"/uploads/{one}").status_code == 404


def test_what_nobody_uses_is_removed_also_when_it_never_came_whole(client: TestClient, house: House) -> None:
    upload(client, "a.jpg", picture())
    (ticket,) = announce(client, {"name": "b.jpg", "size": 10})
    put(client, ticket, b"0123", Content_Range="bytes 0-3/10")
    house.clock.advance(24 * 3600 + GRACE_S + 1)
    assert sweep_uploads(house.unit, house.objects, after="")[0] == 2
    assert (house.objects.contents, house.objects.partial) == ({}, {})


def test_an_upload_that_is_not_there_is_a_fault(client: TestClient, house: House) -> None:
    (ticket,) = announce(client, {"name": "a.jpg", "size": 5})
    listed = upload(client, "list.jsonl", b"{}\n")
    unknown = "upl_" + "0" * 26
    inputs = [{"upload": unknown}, {"upload": ticket["upload"]}, {"upload": listed}, {"manifest": unknown}]
    said = faults(client.post("/jobs", json={"inputs": inputs[:3]}))
    assert list(said) == ["inputs.0.upload", "inputs.1.upload", "inputs.2.upload"]
    assert "has not arrived" in said["inputs.1.upload"]
    assert list(faults(client.post("/jobs", json={"inputs": inputs[3:]}))) == ["inputs.0.manifest"]
    one = upload(client, "a.jpg", picture())
    house.clock.advance(24 * 3600 + 1)
    assert list(faults(client.post("/jobs", json={"inputs": [{"upload": one}]}))) == ["inputs.0.upload"]


def test_a_packed_upload_is_unpacked_in_its_place(client: TestClient, house: House) -> None:
    whole = packed(cam__a_jpg=picture(), b_jpg=picture(), notes_txt=b"x")
    archive, one = upload(client, "all.zip", whole, "application/zip"), upload(client, "z.jpg", picture())
    job_id = submit(client, {"upload": one}, {"upload": archive, "ref": "r"}, {"sample": "crossing"})
    named = [("z.jpg", None), ("cam/a.jpg", "r"), ("b.jpg", "r"), ("crossing.jpg", None)]
    assert told(client, job_id, "name", "ref") == named
    assert client.get(f"/jobs/{job_id}").json()["skipped"]["count"] == 1


def test_a_packed_upload_that_is_none_is_unreadable(client: TestClient, house: House) -> None:
    archive = upload(client, "all.zip", b"PK\x03\x04 no archive", "application/zip")
    answer = client.post("/jobs", json={"inputs": [{"upload": archive}]})
    assert (answer.status_code, answer.json()["code"]) == (400, "archive_unreadable")
    assert [key for key in house.objects.contents if "/jobs/" in key] == []


HIDDEN = (".thumbs/1.jpg", "cam/._1.jpg", "__MACOSX/cam/1.jpg")


def test_all_pictures_below_a_prefix_are_inputs(client: TestClient, house: House) -> None:
    for key in ("day/cam/2.jpg", "day/cam/1.jpg", "day/notes.txt", "night/3.jpg", *(f"day/{each}" for each in HIDDEN)):
        house.buckets.contents[f"photos/{key}"] = picture()
    job_id = submit(client, {"prefix": "photos/day/", "ref": "d"}, {"object": "photos/night/3.jpg"})
    house.work()
    named = [("cam/1.jpg", "d"), ("cam/2.jpg", "d"), ("3.jpg", None)]
    assert told(client, job_id, "name", "ref", "status") == [(*each, "succeeded") for each in named]
    assert client.get(rows(client, job_id)[0]["artifacts"]["input"]).content == picture()


def test_a_bucket_that_is_not_allowed_is_a_fault(client: TestClient, house: House) -> None:
    inputs = [{"object": "results/a.jpg"}, {"prefix": "secret/a/"}, {"object": "photos/a.jpg"}]
    said = faults(client.post("/jobs", json={"inputs": inputs}))
    assert list(said) == ["inputs.0.object", "inputs.1.prefix"]
    said = faults(client.post("/jobs", json={"inputs": [{"prefix": "photos/none/"}]}))
    assert said == {"inputs.0.prefix": "no picture lies there"}


@pytest.mark.parametrize("name", [None, "crossing.png"])
def test_what_the_ids_of_a_samples_mask_mean_nobody_has_to_say(
    client: TestClient, house: House, name: str | None
) -> None:
    mask = {"sample": "crossing"}
    listed = {"inputs": [{"sample": "crossing"}], "masks": [mask if name is None else {**mask, "name": name}]}
    plain = {"upload": upload(client, "other.png", TRUTH)}
    for body in (listed, {"inputs": [{"sample": "crossing", "mask": mask}]}):
        job = client.post("/jobs", json=body).json()
        assert job["options"]["mask_label_space"] == "cityscapes-34"
        wrong = client.post("/jobs", json={**body, "mask_label_space": "cityscapes-19"})
        assert faults(wrong)["mask_label_space"] == "masks of samples are in cityscapes-34, whatever is said"
        other = {"upload": upload(client, "other.jpg", picture()), "mask": plain}
        mixed = {**body, "inputs": [*body["inputs"], other]}
        said = faults(client.post("/jobs", json=mixed))["mask_label_space"]
        assert said.endswith("masks of samples are in cityscapes-34, and no name tells of the others")
        told = client.post("/jobs", json={**mixed, "mask_label_space": "cityscapes-34"})
        again = client.post("/jobs", json={"inputs": [{"job": told.json()["id"]}]}).json()
        assert (again["options"]["mask_label_space"], again["id"] != job["id"]) == ("cityscapes-34", True)


def test_a_manifest_lists_inputs_of_every_kind(client: TestClient, house: House) -> None:
    one = upload(client, "a.jpg", picture())
    lines = [
        {"upload": one, "ref": "1"},
        {"sample": "crossing", "mask": {"sample": "crossing"}, "name": "c.jpg"},
        {"url": "https://example.org/u.jpg"},
    ]
    text = "\n".join(map(json.dumps, lines)).encode() + b"\n\n"
    listed = upload(client, "list.jsonl", text, "application/x-ndjson")
    job_id = submit(client, {"sample": "market"}, {"manifest": listed})
    named = [("market.jpg", None), ("a.jpg", "1"), ("c.jpg", None), ("u.jpg", None)]
    assert told(client, job_id, "name", "ref") == named


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (b'{"sample": "crossing"}\nnonsense\n', "inputs.0.manifest.1"),
        (b'{"sample": "none"}', "inputs.0.manifest.0.sample"),
        (b'{"sample": "' + b"x" * 20_000 + b'"}', "inputs.0.manifest"),
        (b'{"manifest": "upl_00000000000000000000000000"}', "inputs.0.manifest.0.manifest"),
    ],
)
def test_what_is_wrong_in_a_manifest_is_named_by_its_line(client: TestClient, text: bytes, field: str) -> None:
    listed = upload(client, "list.jsonl", text)
    assert list(faults(client.post("/jobs", json={"inputs": [{"manifest": listed}]}))) == [field]


def test_a_picture_is_no_manifest(client: TestClient) -> None:
    one = upload(client, "a.jpg", picture())
    assert list(faults(client.post("/jobs", json={"inputs": [{"manifest": one}]}))) == ["inputs.0.manifest"]


def test_masks_find_their_images_by_name(client: TestClient, house: House) -> None:
    pictures = [{"upload": upload(client, f"cam/{name}.jpg", picture())} for name in "ab"]
    truths = [{"upload": upload(client, f"cam/{name}_mask.png", TRUTH)} for name in "ab"]
    archive = upload(client, "masks.zip", packed(a_mask_png=TRUTH, b_mask_png=TRUTH), "application/zip")
    own = submit(client, {**pictures[0], "mask": truths[0]})
    listed = submit(client, *pictures, masks=truths)
    unpacked = submit(client, *pictures, masks=[{"upload": archive}])
    house.work()
    for job_id, count in ((own, 1), (listed, 2), (unpacked, 2)):
        assert client.get(f"/jobs/{job_id}").json()["metrics"]["ground_truth"]["images"] == count


def test_masks_of_a_prefix_lie_below_another(client: TestClient, house: House) -> None:
    house.buckets.contents = {
        **{f"photos/in/{name}.jpg": picture() for name in "ab"},
        **{f"photos/truth/{name}.png": TRUTH for name in "ab"},
    }
    first = submit(client, {"prefix": "photos/in/", "mask": {"prefix": "photos/truth/"}})
    second = submit(client, {"prefix": "photos/in/"}, masks=[{"prefix": "photos/truth/"}])
    house.work()
    for job_id in (first, second):
        assert client.get(f"/jobs/{job_id}").json()["metrics"]["ground_truth"]["images"] == 2


def test_prefixes_with_equal_names_keep_each_its_own_masks(client: TestClient, house: House) -> None:
    house.buckets.contents = {
        **{f"photos/{time}/in/{name}.jpg": picture() for time in ("day", "night") for name in "ab"},
        **{f"photos/{time}/truth/{name}.png": TRUTH for time in ("day", "night") for name in "ab"},
    }
    masked = [
        {"prefix": f"photos/{time}/in/", "mask": {"prefix": f"photos/{time}/truth/"}} for time in ("day", "night")
    ]
    job_id = submit(client, *masked, {"prefix": "photos/day/in/"})
    house.work()
    names = ["a.jpg", "b.jpg", "in/a.jpg", "in/b.jpg", "day/in/a.jpg", "day/in/b.jpg"]
    assert told(client, job_id, "name") == [(name,) for name in names]
    truths = [row["metrics"].get("ground_truth") is not None for row in rows(client, job_id)]
    assert truths == [True] * 4 + [False] * 2


def test_masks_that_lie_among_the_pictures_are_passed_over(client: TestClient, house: House) -> None:
    house.buckets.contents = {"photos/a.jpg": picture(), "photos/a_mask.png": TRUTH}
    job_id = submit(client, {"prefix": "photos/"})
    assert told(client, job_id, "name") == [("a.jpg",)]
    assert client.get(f"/jobs/{job_id}").json()["skipped"] == {"count": 1, "examples": ["a_mask.png"]}


@pytest.mark.parametrize(
    ("masks", "field"),
    [
        ({}, "masks"),
        ([{"upload": "x"}], "masks.0.upload"),
        ([{"sample": "none"}], "masks.0.sample"),
        ([{"upload": "upl_" + "0" * 26}], "masks.0.upload"),
        ([{"url": "https://example.org/other.png"}], "masks"),
    ],
)
def test_masks_that_make_no_sense_are_refused(client: TestClient, masks: Any, field: str) -> None:
    answer = client.post("/jobs", json={"inputs": [{"sample": "crossing"}], "masks": masks})
    assert list(faults(answer)) == [field]


def test_an_input_cannot_have_many_masks(client: TestClient) -> None:
    archive = upload(client, "masks.zip", packed(a_png=TRUTH), "application/zip")
    answer = client.post("/jobs", json={"inputs": [{"sample": "crossing", "mask": {"upload": archive}}]})
    assert list(faults(answer)) == ["inputs.0.mask.upload"]


def test_the_same_request_with_the_same_key_is_one_job(client: TestClient, house: House) -> None:
    one, listed = upload(client, "a.jpg", picture()), upload(client, "list.jsonl", b'{"sample": "market"}')
    body = {"inputs": [{"upload": one}, {"manifest": listed}], "masks": []}
    headers = {"Idempotency-Key": "k"}
    first = client.post("/jobs", json=body, headers=headers)
    house.clock.advance(25 * 3600 - 3600 * 2)
    again = client.post("/jobs", json=body, headers=headers)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    other = client.post("/jobs", json={**body, "masks": [{"sample": "market"}]}, headers=headers)
    assert other.json()["code"] == "idempotency_key_reused"


def test_masks_that_were_uploaded_and_are_not_needed_stay_where_they_are(client: TestClient, house: House) -> None:
    one = upload(client, "a.jpg", picture())
    kinds = [{"upload": upload(client, f"a_gtFine_{kind}.png", TRUTH)} for kind in ("labelIds", "color")]
    job_id = submit(client, {"upload": one}, masks=kinds, mask_label_space="cityscapes-34")
    assert client.get(f"/jobs/{job_id}").json()["skipped"]["examples"] == ["a_gtFine_color.png"]
    assert len(house.objects.contents) == 3


def test_an_upload_that_expires_while_its_job_is_made_is_a_fault(
    client: TestClient, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = upload(client, "a.jpg", picture())
    monkeypatch.setattr(MemoryUploads, "use", lambda self, ids: 0)
    said = faults(client.post("/jobs", json={"inputs": [{"upload": one}]}))
    assert said == {"inputs": "an upload has expired meanwhile"}


def test_a_ref_comes_back_in_rows_tables_and_annotations(client: TestClient, house: House) -> None:
    one = upload(client, "a.jpg", picture())
    job_id = submit(client, {"upload": one, "ref": "mine"}, {"upload": one}, artifacts=["coco"])
    house.work()
    archive = zipfile.ZipFile(io.BytesIO(client.get(f"/jobs/{job_id}/archive").content))
    assert archive.read("metrics.csv").splitlines()[1].startswith(b"0,a.jpg,mine,")
    images = json.loads(archive.read("coco.json"))["images"]
    assert [each.get("ref") for each in images] == ["mine", None]
    assert "ref" not in images[1]
    assert rows(client, job_id)[0]["ref"] == "mine"


def test_what_is_named_in_no_known_form_is_told_how_it_looks(client: TestClient) -> None:
    given: list[dict[str, Any]] = [
        {"job": "job_1"},
        {"upload": "upl_1"},
        {"object": "a.jpg"},
        {"mask": {"object": "b"}},
    ]
    given[3]["object"] = "photos/b.jpg"
    said = {each["field"]: each["message"] for each in client.post("/jobs", json={"inputs": given}).json()["errors"]}
    assert said["inputs.0.job"] == "must look like job_01JD3T1M4Z8Q5R6S7T8V9WAXBY, got 'job_1'"
    assert said["inputs.1.upload"].startswith("must look like upl_01")
    assert said["inputs.2.object"] == "must look like BUCKET/KEY, got 'a.jpg'"
    assert said["inputs.3.mask.object"] == "must look like BUCKET/KEY, got 'b'"
