"""Lists of jobs and images by more than their status: over HTTP. What each filter means: `contracts`."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.factories import picture
from tests.unit.api.house import House
from tests.unit.api.test_named_inputs import submit


def listed(client: TestClient, **where: Any) -> list[str]:
    answer = client.get("/jobs", params=where)
    assert answer.status_code == 200, answer.text
    return [job["id"] for job in answer.json()["items"]]


def test_jobs_are_listed_by_metadata_and_time(client: TestClient, house: House) -> None:
    first = submit(client, {"sample": "crossing"}, metadata={"run": "7", "site": "north"})
    house.clock.advance(3600)
    second = submit(client, {"sample": "crossing"}, metadata={"run": 7})
    made = client.get(f"/jobs/{second}").json()["created_at"]
    assert listed(client, **{"metadata.run": "7"}) == [second, first]
    assert listed(client, **{"metadata.run": "7", "metadata.site": "north"}) == [first]
    assert listed(client, **{"metadata.no": "7"}) == []
    assert listed(client, created_after=made) == [second]
    assert listed(client, created_before=made) == [first]
    assert listed(client, created_after=made, **{"metadata.site": "north"}) == []


@pytest.mark.parametrize(
    ("where", "field"),
    [
        ({"created_after": ""}, "created_after"),
        ({"created_after": "2026-01-01T00:00:00"}, "created_after"),
        ({"created_before": "0001-01-01T00:00:00+14:00"}, "created_before"),
        ({"created_before": "2026"}, "created_before"),  # seconds since 1970, in JSON's usual ways
        ({"created_after": "1796076959.5"}, "created_after"),
        ({"metadata.": "1"}, "metadata."),
        ({"metadata": "1"}, "metadata"),
        ({f"metadata.{number}": "1" for number in range(6)}, "metadata"),
        ({"metadata.run": "7" * 5000}, "metadata"),
    ],
)
def test_a_filter_of_jobs_that_makes_no_sense_is_a_fault(client: TestClient, where: dict[str, str], field: str) -> None:
    answer = client.get("/jobs", params=where)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


def test_images_are_listed_by_what_they_are_called_and_say(client: TestClient, house: House) -> None:
    house.buckets.contents = {f"photos/cam/{name}": picture() for name in ("a.jpg", "b.jpg")}
    broken = {"object": "photos/no.jpg", "ref": "r2", "name": "e\u0301t\u00e9/no.jpg"}
    job_id = submit(client, {"object": "photos/cam/a.jpg", "ref": "r1"}, {"prefix": "photos/"}, broken)
    house.work()

    def found(**where: str) -> list[int]:
        answer = client.get(f"/jobs/{job_id}/images", params=where)
        assert answer.status_code == 200, answer.text
        return [row["index"] for row in answer.json()["items"]]

    assert found(ref="r1") == [0]
    assert found(name="cam/") == [1, 2]
    assert found(name="e\u0301") == found(error="input_not_found") == [3]
    assert found(error="input_not_found", status="succeeded") == found(warning="mask_mismatch") == []
    assert found(sort="class_drift", name="cam/") == [1, 2]


@pytest.mark.parametrize("where", [{"ref": "a\0"}, {"name": ""}, {"warning": "%"}, {"error": "Timed out"}])
def test_a_filter_of_images_that_makes_no_sense_is_a_fault(client: TestClient, where: dict[str, str]) -> None:
    job_id = submit(client, {"sample": "crossing"})
    answer = client.get(f"/jobs/{job_id}/images", params=where)
    assert (answer.status_code, [each["field"] for each in answer.json()["errors"]]) == (422, list(where))


@pytest.mark.parametrize(
    ("path", "name", "value", "said"),
    [
        ("", "model", "a b", "must be `NAME`, `NAME/VERSION` or `NAME@ALIAS`, got 'a b'"),
        ("/{}/images", "warning", "No", "must be a code, such as mask_mismatch, got 'No'"),
        ("/{}/images", "ref", "", "must be one character at least, none of them NUL, got ''"),
        ("/{}/images", "sort", "no", "Input should be 'index', 'confidence', "),
        ("/{}/images", "status", "no", "Input should be 'queued', 'running', "),
    ],
)
def test_what_is_wrong_with_a_value_is_said_in_words(
    client: TestClient, path: str, name: str, value: str, said: str
) -> None:
    job = submit(client, {"sample": "crossing"})
    (fault,) = client.get(f"/jobs{path.format(job)}", params={name: value}).json()["errors"]
    assert (fault["field"], fault["message"][: len(said)]) == (name, said)
