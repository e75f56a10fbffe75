"""Jobs over HTTP: submitting in both forms, reading, waiting, changing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

import numpy as np
import pytest
from fastapi.testclient import TestClient

from jobs.callers import DEFAULT
from jobs.job import Slice, Source, SourceKind
from tests.factories import mask, picture, tar_of, zip_of
from tests.unit.api.house import House


def submit(client: TestClient, names: tuple[str, ...] = ("a.jpg", "b.jpg"), **fields: str) -> str:
    files = [("files", (name, picture(seed=seed))) for seed, name in enumerate(names)]
    answer = client.post("/jobs", files=files, data=fields)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def test_a_batch_is_answered_with_202_and_where_to_look(client: TestClient) -> None:
    answer = client.post(
        "/jobs", files=[("files", ("a.jpg", picture())), ("files", ("b.zip", zip_of({"c.png": picture()})))]
    )
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/jobs/{job['id']}" == job["links"]["self"]
    assert answer.headers["retry-after"] == "1"
    assert job["status"] == "queued"
    assert job["images"]["total"] == 2
    assert client.get(answer.headers["location"]).json()["id"] == job["id"]


def test_images_zips_and_tars_may_be_mixed(client: TestClient) -> None:
    files = [
        ("files", ("a.jpg", picture())),
        ("files", ("b.zip", zip_of({"x/b1.png": picture(), "x/b2.jpg": picture()}))),
        ("files", ("c.tar.gz", tar_of({"c1.jpg": picture()}))),
    ]
    job = client.post("/jobs", files=files).json()
    rows = client.get(job["links"]["images"]).json()["items"]
    assert [row["name"] for row in rows] == ["a.jpg", "x/b1.png", "x/b2.jpg", "c1.jpg"]


def test_masks_are_scored_against(client: TestClient, house: House) -> None:
    truth = np.zeros((24, 32), np.uint8)
    truth[:, 16:] = 1
    files = [("masks", ("a_mask.png", mask(truth))), ("files", ("a.jpg", picture())), ("files", ("b.jpg", picture()))]
    job = client.post("/jobs", files=files).json()
    house.work()
    metrics = client.get(job["links"]["self"]).json()["metrics"]
    assert metrics["ground_truth"]["images"] == 1
    assert metrics["ground_truth"]["pixel_accuracy"] == 1.0
    row = client.get(job["links"]["images"] + "/0").json()
    assert row["metrics"]["ground_truth"]["miou"] == 1.0


@pytest.mark.parametrize("options_first", [True, False])
def test_options_may_come_before_or_after_the_files(client: TestClient, options_first: bool) -> None:
    options = ("options", (None, json.dumps({"artifacts": ["mask"], "metadata": {"run": 7}})))
    file = ("files", ("a.jpg", picture()))
    answer = client.post("/jobs", files=[options, file] if options_first else [file, options])
    assert answer.json()["metadata"] == {"run": 7}
    assert answer.json()["options"]["artifacts"] == ["mask"]


def test_options_may_be_given_by_their_own_names(client: TestClient) -> None:
    files = {"files": ("a.jpg", picture())}
    job = client.post("/jobs", files=files, data={"artifacts": "mask,coco", "expires_in": "3600"}).json()
    assert job["options"]["artifacts"] == ["mask", "coco"]
    assert job["expires_at"] == "2026-01-01T01:00:00Z"


def test_an_option_given_twice_is_a_field_fault(client: TestClient) -> None:
    data = {"options": '{"model": "tiny"}', "model": "tiny"}
    answer = client.post("/jobs", files={"files": ("a.jpg", picture())}, data=data)
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_options"
    assert answer.json()["errors"][0]["field"] == "model"


def test_the_json_form_names_inputs(client: TestClient) -> None:
    inputs = [
        {"url": "https://example.org/x/zurich.jpg?size=1", "ref": "r1", "mask": {"url": "https://example.org/m.png"}},
        {"sample": "crossing", "name": "mine.jpg"},
    ]
    answer = client.post("/jobs", json={"inputs": inputs, "artifacts": ["mask"]})
    assert answer.status_code == 202
    rows = client.get(answer.json()["links"]["images"]).json()["items"]
    assert [(row["name"], row["ref"]) for row in rows] == [("zurich.jpg", "r1"), ("mine.jpg", None)]
    assert "input" not in rows[0]["artifacts"]


def test_a_samples_mask_is_its_ground_truth_and_not_its_picture(client: TestClient, house: House) -> None:
    body = {"inputs": [{"sample": "crossing", "mask": {"sample": "crossing"}}], "mask_label_space": "cityscapes-34"}
    job_id = client.post("/jobs", json=body).json()["id"]
    with house.database.unit() as unit:
        image = unit.images.get(job_id, 0)
    assert image.source == Source(SourceKind.SAMPLE, "crossing")
    assert image.mask == Source(SourceKind.SAMPLE, "crossing#mask")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"sample": "nowhere"}, "inputs.0.sample"),
        ({"url": "file:///etc/passwd"}, "inputs.0.url"),
        ({"url": "https://user:word@example.org/a.jpg"}, "inputs.0.url"),
        ({"url": "https://example.org/a.jpg", "sample": "crossing"}, "inputs.0"),
        ({}, "inputs.0"),
        ({"sample": "crossing", "name": "a\u0000b"}, "inputs.0.name"),
        ({"sample": "crossing", "mask": {"sample": "nowhere"}}, "inputs.0.mask.sample"),
        ({"sample": "crossing", "size": 3}, "inputs.0.size"),
    ],
)
def test_a_wrong_input_is_named(client: TestClient, wrong: dict[str, object], field: str) -> None:
    answer = client.post("/jobs", json={"inputs": [wrong]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize("body", ["{", "[]", '{"inputs": [], "metadata": {"a": NaN}}', "[" * 100_000])
def test_a_body_that_is_no_json_object_is_a_bad_request(client: TestClient, body: str) -> None:
    answer = client.post("/jobs", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_a_request_without_an_image_is_refused(client: TestClient) -> None:
    assert client.post("/jobs", json={"inputs": []}).json()["code"] == "no_images"
    assert client.post("/jobs", files={"options": (None, "{}")}).json()["code"] == "no_images"


def test_another_kind_of_body_is_unsupported(client: TestClient) -> None:
    answer = client.post("/jobs", content=b"x", headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_the_same_key_and_request_give_the_first_job(client: TestClient, house: House) -> None:
    def send(data: bytes) -> tuple[int, str]:
        answer = client.post("/jobs", files={"files": ("a.jpg", data)}, headers={"Idempotency-Key": "k1"})
        return answer.status_code, answer.json().get("id", answer.json().get("code"))

    first = send(picture())
    assert send(picture()) == first
    assert send(picture(seed=1)) == (422, "idempotency_key_reused")
    assert len(client.get("/jobs").json()["items"]) == 1
    assert len(house.objects.contents) == 1


def test_a_request_of_another_kind_under_the_same_key_is_refused(client: TestClient) -> None:
    headers = {"Idempotency-Key": "k1"}
    assert client.post("/jobs", json={"inputs": [{"sample": "market"}]}, headers=headers).status_code == 202
    assert client.post("/jobs", json={"inputs": [{"sample": "market"}]}, headers=headers).status_code == 202
    other = client.post("/jobs", json={"inputs": [{"sample": "crossing"}]}, headers=headers)
    assert other.json()["code"] == "idempotency_key_reused"


def test_waiting_for_the_end_answers_200(client: TestClient, house: House) -> None:
    house.dispatcher.dispatch = lambda pieces: (house.dispatcher.sent.extend(pieces), house.work())  # type: ignore[assignment, method-assign, func-returns-value]
    answer = client.post("/jobs", files={"files": ("a.jpg", picture())}, headers={"Prefer": "wait=5"})
    assert answer.status_code == 200
    assert answer.json()["status"] == "succeeded"
    assert answer.headers["preference-applied"] == "wait=5"


def test_a_wait_that_is_over_answers_202(client: TestClient) -> None:
    answer = client.post("/jobs", files={"files": ("a.jpg", picture())}, headers={"Prefer": "wait=0"})
    assert answer.status_code == 202


def test_a_job_that_is_deleted_while_its_end_is_waited_for_is_a_404_as_documented(
    client: TestClient, house: House
) -> None:
    def delete(pieces: Iterable[Slice]) -> None:
        with house.database.unit() as unit:
            unit.jobs.purge(next(iter(pieces)).job_id)
            unit.commit()

    house.dispatcher.dispatch = delete  # type: ignore[method-assign]
    answer = client.post("/jobs", files={"files": ("a.jpg", picture())}, headers={"Prefer": "wait=5"})
    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")
    assert "404" in client.get("/openapi.json").json()["paths"]["/jobs"]["post"]["responses"]


def test_a_longer_wait_than_allowed_is_refused_before_anything_is_stored(client: TestClient, house: House) -> None:
    answer = client.post("/jobs", files={"files": ("a.jpg", picture())}, headers={"Prefer": "wait=61"})
    assert answer.status_code == 422
    assert not house.objects.contents


def test_an_unchanged_job_is_a_304(client: TestClient, house: House) -> None:
    path = f"/jobs/{submit(client)}"
    tag = client.get(path).headers["etag"]
    unchanged = client.get(path, headers={"If-None-Match": tag})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    house.work()
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 200


def test_a_wait_with_an_old_tag_ends_at_once(client: TestClient, house: House) -> None:
    path = f"/jobs/{submit(client)}"
    tag = client.get(path).headers["etag"]
    house.work()
    answer = client.get(path, params={"wait": 60}, headers={"If-None-Match": tag})
    assert answer.json()["status"] == "succeeded"


def test_a_wait_in_vain_is_a_304_for_who_knows_the_job(client: TestClient) -> None:
    path = f"/jobs/{submit(client)}"
    tag = client.get(path).headers["etag"]
    assert client.get(path, params={"wait": 1}, headers={"If-None-Match": tag}).status_code == 304


def test_a_wait_ends_when_the_process_is_asked_to_stop(client: TestClient) -> None:
    path = f"/jobs/{submit(client)}"
    client.app.state.stopping.set()  # type: ignore[attr-defined]
    assert client.get(path, params={"wait": 60}).json()["status"] == "queued"


def test_a_key_whose_first_request_is_still_read_is_a_409(client: TestClient, house: House) -> None:
    with house.services().use_cases(DEFAULT).submitting.open_draft("k1"):
        answer = client.post("/jobs", files={"files": ("a.jpg", picture())}, headers={"Idempotency-Key": "k1"})
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_in_progress")


def test_jobs_are_listed_newest_first_in_pages(client: TestClient) -> None:
    ids = [submit(client, ("a.jpg",)) for _ in range(5)]
    first = client.get("/jobs", params={"limit": 3}).json()
    rest = client.get("/jobs", params={"limit": 3, "cursor": first["next_cursor"]}).json()
    assert {job["id"] for job in first["items"] + rest["items"]} == set(ids)
    assert rest["next_cursor"] is None
    assert len(first["items"]) == 3


def test_jobs_are_filtered_by_status_and_model(client: TestClient, house: House) -> None:
    done = submit(client)
    house.work()
    submit(client)
    assert [job["id"] for job in client.get("/jobs", params={"status": "succeeded"}).json()["items"]] == [done]
    assert client.get("/jobs", params={"model": "other"}).json()["items"] == []


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "status=done", "cursor=%00", "model=%00", "cursor=job_1"]
)
def test_a_query_that_makes_no_sense_is_a_field_fault(client: TestClient, query: str) -> None:
    answer = client.get(f"/jobs?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == query.split("=", maxsplit=1)[0]


@pytest.mark.parametrize("job_id", ["job_01JD3T1M4Z8Q5R6S7T8V9WAXBY", "x", "%00", "job_%F0%9F%98%80"])
def test_a_job_that_is_not_there_is_a_404(client: TestClient, job_id: str) -> None:
    answer = client.get(f"/jobs/{job_id}")
    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")


def test_cancel_takes_the_queued_images_at_once(client: TestClient) -> None:
    job_id = submit(client)
    answer = client.post(f"/jobs/{job_id}/cancel")
    assert answer.status_code == 202
    assert answer.json()["status"] == "canceled"


def test_retry_takes_the_failed_images_again(client: TestClient, house: House) -> None:
    files = [("files", ("good.jpg", picture())), ("files", ("bad.jpg", b"no picture"))]
    job_id = client.post("/jobs", files=files).json()["id"]
    house.work()
    assert client.get(f"/jobs/{job_id}").json()["status"] == "partial"
    answer = client.post(f"/jobs/{job_id}/retry")
    assert answer.status_code == 202
    assert answer.json()["images"] == {
        "total": 2,
        "queued": 1,
        "running": 0,
        "succeeded": 1,
        "failed": 0,
        "canceled": 0,
    }


def test_a_job_without_failures_cannot_be_retried(client: TestClient, house: House) -> None:
    job_id = submit(client)
    early = client.post(f"/jobs/{job_id}/retry")
    assert (early.status_code, early.json()["code"]) == (409, "job_not_finished")
    house.work()
    assert client.post(f"/jobs/{job_id}/retry").status_code == 409


def test_delete_takes_rows_and_objects(client: TestClient, house: House) -> None:
    job_id = submit(client)
    running = client.delete(f"/jobs/{job_id}")
    assert (running.status_code, running.json()["code"]) == (409, "job_running")
    house.work()
    gone = client.delete(f"/jobs/{job_id}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert client.get(f"/jobs/{job_id}").status_code == 404
    assert not house.objects.contents


def test_links_name_only_what_there_is(client: TestClient) -> None:
    links = client.get(f"/jobs/{submit(client)}").json()["links"]
    known = [re.sub(r"{\w+}", "[^/]+", path) for path in client.get("/openapi.json").json()["paths"]]
    assert all(any(re.fullmatch(path, link) for path in known) for link in links.values())


def test_numbers_that_were_not_measured_are_left_out(client: TestClient, house: House) -> None:
    job_id = submit(client)
    assert client.get(f"/jobs/{job_id}").json()["metrics"] == {"class_fractions": {}}
    house.work()
    assert set(client.get(f"/jobs/{job_id}").json()["metrics"]) == {"class_fractions", "mean_confidence"}


def test_a_failed_job_says_so(client: TestClient, house: House) -> None:
    job_id = client.post("/jobs", files={"files": ("bad.jpg", b"no picture")}).json()["id"]
    house.work()
    job = client.get(f"/jobs/{job_id}").json()
    assert job["status"] == "failed"
    assert job["error"]["code"] == "all_images_failed"


@pytest.mark.parametrize("spelt", ["tiny", "models:/tiny"])
def test_a_model_has_one_name_however_it_is_spelt(client: TestClient, spelt: str) -> None:
    submit(client, model=spelt)
    assert client.post("/jobs", json={"inputs": [{"sample": "crossing"}], "model": spelt}).json()["model"] == "tiny"
    for asked in ("tiny", "models:/tiny"):
        assert [job["model"] for job in client.get("/jobs", params={"model": asked}).json()["items"]] == ["tiny"] * 2


@pytest.mark.parametrize(
    ("asked", "status"), [("street/3", 200), ("street@champion", 200), ("../x", 422), ("a/b", 422)]
)
def test_jobs_can_be_listed_by_a_version_of_a_model(client: TestClient, asked: str, status: int) -> None:
    assert client.get("/jobs", params={"model": asked}).status_code == status


def test_a_key_whose_request_is_being_read_tells_when_to_come_back(client: TestClient, house: House) -> None:
    with house.database.unit() as unit:
        unit.idempotency.begin("k", holder="somebody", patience_s=60)
        unit.commit()
    answer = client.post("/jobs", files={"files": ("a.jpg", picture())}, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_in_progress")
    assert answer.headers["retry-after"] == "5"
