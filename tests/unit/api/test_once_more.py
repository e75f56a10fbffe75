"""The inputs of a job as those of another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from jobs.job import Job, JobImage
from jobs.ports import OpenUnit
from jobs.reporting.read import images_in_order
from segmentation.label_space import LabelClass, LabelSpace
from segmentation.label_spaces import LabelSpaces
from tests.factories import make_card, mask, picture
from tests.fakes import FakeCatalog, FakeSegmenter
from tests.films import film
from tests.unit.api.house import House
from tests.unit.api.test_corrections import label_png, put
from tests.unit.api.test_direct_uploads import faults
from tests.unit.api.test_named_inputs import rows, submit, told, upload

TRUTH = mask(np.repeat([[7] * 16 + [11] * 16], 24, axis=0).astype(np.uint8))  # ids of cityscapes-34
NEVER = "job_" + "0" * 26


def first_job(client: TestClient, house: House) -> str:
    """Files with masks, and one that is no picture."""
    files = [("files", (f"cam/{name}.jpg", picture(seed=at))) for at, name in enumerate("ab")]
    files += [("files", ("cam/c.jpg", b"\xff\xd8\xff no picture")), ("masks", ("cam/a_gtFine_labelIds.png", TRUTH))]
    data = {"label_space": "cityscapes-8", "artifacts": "mask"}
    job_id = str(client.post("/jobs", files=files, data=data).json()["id"])
    house.work()
    return job_id


def truths(client: TestClient, job_id: str) -> int:
    told: dict[str, Any] = client.get(f"/jobs/{job_id}").json()["metrics"].get("ground_truth", {})
    return int(told.get("images", 0))


@pytest.mark.parametrize("first_goes", [True, False])
def test_either_job_may_be_deleted_and_the_other_stays_whole(
    client: TestClient, house: House, first_goes: bool
) -> None:
    first = first_job(client, house)
    second = submit(client, {"job": first}, label_space="cityscapes-8")
    gone, stays = (first, second) if first_goes else (second, first)
    house.work()
    assert client.delete(f"/jobs/{gone}").status_code == 204
    assert [key for key in house.objects.contents if gone in key] == []
    assert told(client, stays, "name", "status") == [
        *(("cam/a.jpg", "succeeded"), ("cam/b.jpg", "succeeded")),
        ("cam/c.jpg", "failed"),
    ]
    assert client.get(f"/jobs/{stays}/images/1/input").content == picture(seed=1)
    assert client.get(f"/jobs/{stays}").json()["options"]["mask_label_space"] == "cityscapes-34"
    assert truths(client, stays) == 1
    again = submit(client, {"job": stays}, label_space="cityscapes-8", reuse=False)
    house.work()
    assert truths(client, again) == 1


def test_frames_of_another_jobs_film_keep_their_time(client: TestClient) -> None:
    files = [("files", ("drive.mkv", film(seconds=1.0, container="matroska"))), ("files", ("still.jpg", picture()))]
    first = client.post("/jobs", files=files, data={"every": "500ms"}).json()["id"]
    again = submit(client, {"job": first})
    assert client.get(f"/jobs/{again}").json()["options"]["every"] == 0.5
    assert client.get(f"/jobs/{submit(client, {'job': again})}").json()["options"]["every"] == 0.5
    still = submit(client, {"job": first, "indices": [0]})
    assert "every" not in {name for name, value in client.get(f"/jobs/{still}").json()["options"].items() if value}
    answer = client.post("/jobs", json={"inputs": [{"job": first}], "every": "500ms"})
    assert faults(answer) == {"every": "is of films; the request holds none that is read here"}


def test_corrections_are_the_truth_of_another_job_where_that_is_asked_for(client: TestClient, house: House) -> None:
    first = first_job(client, house)
    given = {"job": first, "masks": "corrected"}
    assert faults(client.post("/jobs", json={"inputs": [given]})) == {
        "inputs.0.job": "none of these images was corrected"
    }
    put(client, first, label_png(1, 2), index=1)
    misread = client.post("/jobs", json={"inputs": [given], "mask_label_space": "cityscapes-34"})
    assert faults(misread) == {"mask_label_space": "corrections of another job are in cityscapes-8, whatever is said"}
    lost = faults(client.post("/jobs", json={"inputs": [given]}))["mask_label_space"]
    assert lost.startswith("the masks are in cityscapes-8, the results in ")
    assert "choose another model" in lost
    second = submit(client, given, label_space="cityscapes-8", mask_label_space="cityscapes-8")
    assert client.get(f"/jobs/{second}").json()["options"]["mask_label_space"] == "cityscapes-8"
    second = submit(client, given, label_space="cityscapes-8")
    assert client.get(f"/jobs/{second}").json()["options"]["mask_label_space"] == "cityscapes-8"
    assert client.delete(f"/jobs/{first}").status_code == 204
    house.work()
    truths = [row["metrics"].get("ground_truth") for row in rows(client, second)[:2]]
    assert truths[0] is None
    assert truths[1]["pixel_accuracy"] == 0.5


def test_only_what_is_meant_is_taken(client: TestClient, house: House) -> None:
    first = first_job(client, house)
    some = submit(client, {"job": first, "status": "succeeded", "indices": [1, 2]}, {"sample": "crossing"})
    assert told(client, some, "name") == [("cam/b.jpg",), ("crossing.jpg",)]
    failed = submit(client, {"job": first, "status": "failed"}, {"job": first, "indices": [2]})
    assert told(client, failed, "name") == [("cam/c.jpg",), ("cam/c_000001.jpg",)]


def test_what_is_not_in_the_store_is_named_once_more(client: TestClient, house: House) -> None:
    house.buckets.contents = {"photos/a.jpg": picture(), "photos/a.png": TRUTH}
    one = upload(client, "u.jpg", picture(seed=5))
    bucket = {"object": "photos/a.jpg", "ref": "mine", "mask": {"object": "photos/a.png"}}
    first = submit(client, bucket, {"upload": one}, {"url": "https://example.org/w.jpg"})
    house.work()
    house.buckets.contents["photos/a.jpg"] = picture(seed=9)
    second = submit(client, {"job": first})
    house.objects.put("https://example.org/w.jpg", picture(), media_type="image/jpeg")
    assert client.delete(f"/jobs/{first}").status_code == 204
    house.work()
    named = [("a.jpg", "mine"), ("u.jpg", None), ("w.jpg", None)]
    assert told(client, second, "name", "ref", "status") == [(*each, "succeeded") for each in named]
    assert client.get(rows(client, second)[0]["artifacts"]["input"]).content == picture(seed=9)
    house.buckets.tenants = frozenset()
    said = faults(client.post("/jobs", json={"inputs": [{"job": second}]}))
    assert "not any more" in said["inputs.0.job"]


def test_masks_of_two_meanings_go_into_two_jobs(client: TestClient, house: House) -> None:
    first = first_job(client, house)
    files = [("files", ("a.jpg", picture())), ("masks", ("a.png", mask(np.zeros((24, 32), np.uint8))))]
    other = str(client.post("/jobs", files=files).json()["id"])
    both = {"inputs": [{"job": first}, {"job": other}]}
    assert "submit them as two" in faults(client.post("/jobs", json=both))["inputs.1.job"]


BARE = LabelSpace("field", (LabelClass(0, "soil", (9, 9, 9), "flat"), LabelClass(1, "weed", (0, 9, 0), "plant")))


@pytest.mark.parametrize("corrected", [True, False])
def test_masks_in_classes_that_changed_since_are_not_read_in_the_new_ones(
    open_client: Callable[[House], TestClient], house: House, corrected: bool
) -> None:
    def serve(space: LabelSpace) -> TestClient:
        house.catalog = FakeCatalog([make_card("tiny", label_space="field")], LabelSpaces((space,)))
        house.segmenter = FakeSegmenter(label_space="field", spaces=LabelSpaces((space,)))
        return open_client(house)

    files = [("files", ("a.jpg", picture())), ("masks", ("a.png", label_png(1, 0)))]
    first = serve(BARE).post("/jobs", files=files).json()["id"]
    house.work()
    put(serve(BARE), first, label_png(1, 0))
    given = {"job": first, **({"masks": "corrected"} if corrected else {})}
    crop = LabelClass(2, "crop", (9, 9, 0), "plant")
    more = serve(replace(BARE, classes=(*BARE.classes, crop), mappings={"camvid-11": {0: 3}}))
    same = submit(more, given, reuse=False)
    house.work()
    assert more.get(f"/jobs/{same}").json()["metrics"]["ground_truth"]["pixel_accuracy"] == 0.0
    other = serve(replace(BARE, classes=(BARE.classes[0], replace(crop, id=1), replace(BARE.classes[1], id=2))))
    answer = other.post("/jobs", json={"inputs": [given]})
    assert "in field as it was when that job was submitted" in faults(answer)["mask_label_space"]


def test_masks_whose_names_say_something_else_go_into_another_job(client: TestClient, house: House) -> None:
    asked = {"inputs": [{"job": first_job(client, house)}], "label_space": "cityscapes-8"}
    trained = {"upload": upload(client, "t.png", TRUTH), "name": "cam/b_gtFine_labelTrainIds.png"}
    said = faults(client.post("/jobs", json={**asked, "masks": [trained]}))
    assert "submit them as two" in said["mask_label_space"]
    same = {**trained, "name": "cam/b_gtFine_labelIds.png"}
    assert client.post("/jobs", json={**asked, "masks": [same]}).status_code == 202
    said_so = client.post("/jobs", json={**asked, "masks": [trained], "mask_label_space": "cityscapes-19"})
    assert said_so.json()["options"]["mask_label_space"] == "cityscapes-19"


@pytest.mark.parametrize("way", ["masks", "mask"])
def test_masks_whose_names_say_nothing_do_not_take_the_meaning_of_another_jobs(
    client: TestClient, house: House, way: str
) -> None:
    other = {"upload": upload(client, "other.jpg", picture())}
    plain = {"upload": upload(client, "other.png", TRUTH)}
    asked: dict[str, Any] = {"inputs": [{"job": first_job(client, house)}, other], "masks": [plain]}
    if way == "mask":
        asked = {"inputs": [{"job": first_job(client, house)}, {**other, "mask": plain}]}
    said = faults(client.post("/jobs", json=asked))
    assert said["mask_label_space"].startswith(
        "say it if it is the same for all, else submit them as two: masks of another job are in cityscapes-34"
    )
    told = client.post("/jobs", json={**asked, "mask_label_space": "cityscapes-34"})
    assert told.json()["options"]["mask_label_space"] == "cityscapes-34"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"job": NEVER}, "inputs.0.job"),
        ({"job": "job_1"}, "inputs.0.job"),
        ({"indices": [9]}, "inputs.0.job"),
        ({"status": "canceled"}, "inputs.0.job"),
        ({"status": "gone"}, "inputs.0.status"),
        ({"indices": [-1]}, "inputs.0.indices.0"),
        ({"masks": "corrected"}, "inputs.0.job"),
        ({"masks": "drawn"}, "inputs.0.masks"),
        ({"name": "a.jpg"}, "inputs.0"),
        ({"ref": "a"}, "inputs.0"),
        ({"sample": "crossing"}, "inputs.0"),
    ],
)
def test_what_cannot_be_meant_is_a_fault(client: TestClient, house: House, given: dict[str, Any], field: str) -> None:
    asked = {"job": first_job(client, house), **given}
    assert list(faults(client.post("/jobs", json={"inputs": [asked]}))) == [field]


def test_indices_without_a_job_are_a_fault(client: TestClient) -> None:
    answer = client.post("/jobs", json={"inputs": [{"sample": "crossing", "indices": [0]}]})
    assert list(faults(answer)) == ["inputs.0"]


def test_a_job_that_goes_just_now_or_has_lost_something_gives_nothing(
    client: TestClient, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = first_job(client, house)
    before = dict(house.objects.contents)
    for key in [key for key in before if "/inputs/" in key]:
        house.objects.delete(key)
    answer = client.post("/jobs", json={"inputs": [{"job": first}]})
    assert "the store has lost it; name the images" in faults(answer)["inputs.0.job"]
    assert house.objects.contents.keys() <= before.keys()
    copy = house.objects.copy

    def late(source: str, target: str) -> None:
        client.delete(f"/jobs/{first}")
        copy(source, target)

    monkeypatch.setattr(house.objects, "copy", late)
    answer = client.post("/jobs", json={"inputs": [{"job": first}]})
    assert "is being deleted" in faults(answer)["inputs.0.job"]


def test_a_job_that_goes_while_it_is_read_gives_nothing(
    client: TestClient, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = first_job(client, house)

    def late(open_unit: OpenUnit, tenant: str, job: Job) -> Iterator[JobImage]:
        assert client.delete(f"/jobs/{job.id}").status_code == 204
        return images_in_order(open_unit, tenant, job)

    monkeypatch.setattr("jobs.inputs.of_job.images_in_order", late)
    answer = client.post("/jobs", json={"inputs": [{"job": first}]})
    assert faults(answer) == {"inputs.0.job": f"job {first} is being deleted"}
    assert client.get("/jobs").json()["items"] == []
    assert [key for key in house.objects.contents if "/jobs/" in key] == []
