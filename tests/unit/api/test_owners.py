"""Whoever asks sees what is the caller's own, whatever the route; and what a job tells only when there is something."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import cast

import pytest
from fastapi import Request
from fastapi.testclient import TestClient

from api.edge.gate import Gate
from api.main import create_app
from jobs.callers import Caller
from jobs.job import Failure, ImageWarning, Slice
from jobs.ports import Outcome
from tests.factories import make_result, picture
from tests.unit.api.house import LOCAL, House

OTHERS = Caller("acme", "admin")


class Doorman:
    def __init__(self, asks: list[Caller]) -> None:
        self._asks = asks

    async def caller(self, _request: Request) -> Caller:
        return self._asks[-1]


@pytest.fixture
def asks() -> list[Caller]:
    """Who asks from now on: the last one."""
    return [OTHERS]


@pytest.fixture
def client(house: House, asks: list[Caller]) -> Iterator[TestClient]:
    services = replace(house.services(), gate=cast(Gate, Doorman(asks)))
    with TestClient(create_app(lambda: nullcontext(services)), base_url=LOCAL, raise_server_exceptions=False) as client:
        yield client


def submit(client: TestClient, **headers: str) -> str:
    answer = client.post("/jobs", files={"files": ("a.jpg", picture())}, headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


CALLS = [
    *("GET ", "GET ?wait=5", "GET /images", "GET /images/0", "GET /images/0/input", "GET /images/0/mask"),
    *("GET /archive", "POST /cancel", "POST /retry", "DELETE "),
]


@pytest.mark.parametrize("call", CALLS)
def test_another_tenants_job_is_a_404_and_stays_as_it_is(
    client: TestClient, house: House, asks: list[Caller], call: str
) -> None:
    job_id = submit(client)
    house.work()
    told = client.get(f"/jobs/{job_id}").json()
    asks.append(Caller("zeta", "admin"))
    method, path = call.split(" ")
    answer = client.request(method, f"/jobs/{job_id}{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")
    asks.append(OTHERS)
    assert client.get(f"/jobs/{job_id}").json() == told


def test_a_list_holds_the_callers_own_jobs(client: TestClient, asks: list[Caller]) -> None:
    job_id = submit(client)
    assert [job["id"] for job in client.get("/jobs").json()["items"]] == [job_id]
    asks.append(Caller("zeta", "admin"))
    assert client.get("/jobs").json()["items"] == []


def test_two_tenants_may_use_one_idempotency_key(client: TestClient, asks: list[Caller]) -> None:
    headers = {"Idempotency-Key": "k"}
    first = submit(client, **headers)
    assert submit(client, **headers) == first
    asks.append(Caller("zeta", "admin"))
    assert submit(client, **headers) != first


def test_objects_lie_below_their_tenant(client: TestClient, house: House) -> None:
    job_id = submit(client)
    house.work()
    assert {key.split(f"{job_id}/")[0] for key in house.objects.contents} == {"acme/jobs/"}


def finish(house: House, job_id: str, outcome: Outcome) -> None:
    with house.database.unit() as unit:
        job = unit.jobs.get(job_id)
        unit.images.claim(Slice(job_id=job_id, first=0, last=0, priority=job.priority), worker="w", lease_s=60)
        unit.images.finish(job_id, [outcome])
        unit.commit()


def test_a_job_says_what_it_waits_for_while_it_does(client: TestClient, house: House) -> None:
    job_id = submit(client)
    assert "waiting_for" not in client.get(f"/jobs/{job_id}").json()
    outage = Failure("storage_unavailable", "away")
    finish(house, job_id, Outcome(index=0, attempt=1, failure=outage, retry_in_s=0, waiting_for="storage"))
    assert client.get(f"/jobs/{job_id}").json()["waiting_for"] == "storage"
    assert client.get(f"/jobs/{job_id}/images/0").json()["attempts"] == 0
    finish(house, job_id, Outcome(index=0, attempt=2, results=(make_result(),)))
    assert "waiting_for" not in client.get(f"/jobs/{job_id}").json()
    assert client.get(f"/jobs/{job_id}/images/0").json()["attempts"] == 1


def test_warnings_are_told_with_the_image_and_counted_with_the_job(client: TestClient, house: House) -> None:
    job_id, other = submit(client), submit(client)
    warning = ImageWarning("mask_unknown_ids", "id 255 (3 %)")
    finish(house, job_id, Outcome(index=0, attempt=1, results=(make_result(),), warnings=(warning,)))
    finish(house, other, Outcome(index=0, attempt=1, results=(make_result(),)))
    assert client.get(f"/jobs/{job_id}").json()["warnings"] == {"mask_unknown_ids": 1}
    (row,) = client.get(f"/jobs/{job_id}/images").json()["items"]
    assert row["warnings"] == [{"code": "mask_unknown_ids", "detail": "id 255 (3 %)"}]
    assert not {"warnings", "skipped"} & client.get(f"/jobs/{other}").json().keys()
    assert "warnings" not in client.get(f"/jobs/{other}/images/0").json()


def test_what_came_packed_and_is_no_picture_is_told(client: TestClient) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as bundle:
        bundle.writestr("a.jpg", picture())
        bundle.writestr("notes.txt", "x")
    job = client.post("/jobs", files={"files": ("cams.zip", packed.getvalue())}).json()
    assert job["skipped"] == {"count": 1, "examples": ["notes.txt"]}
