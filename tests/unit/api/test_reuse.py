"""A batch that comes again with some new pictures: what a client reads of it, and what lies in the store."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.factories import picture, zip_of
from tests.unit.api.house import House

OLD, NEW = 20, 3


def submitted(client: TestClient, house: House, images: int, **fields: str) -> Any:
    """Worked off, and read again."""
    packed = zip_of({f"cam/{number:03d}.jpg": picture(seed=number) for number in range(images)})
    answer = client.post("/jobs", files=[("files", ("in.zip", packed))], data=fields)
    assert answer.status_code == 202, answer.text
    house.work()
    return client.get(f"/jobs/{answer.json()['id']}").json()


def entries(client: TestClient, job: Any) -> dict[str, bytes]:
    """The stored files of its archive."""
    with zipfile.ZipFile(io.BytesIO(client.get(job["links"]["archive"]).content)) as archive:
        return {name: archive.read(name) for name in archive.namelist() if "/" in name}


def test_a_job_and_its_rows_say_what_was_reused(client: TestClient, house: House) -> None:
    assert submitted(client, house, 1)["reused"] == 0
    job = submitted(client, house, 2)
    assert (job["reused"], job["images"]["succeeded"]) == (1, 2)
    assert "reuse" not in job["options"]
    rows = client.get(job["links"]["images"]).json()["items"]
    assert [row["reused"] for row in rows] == [True, False]
    assert rows[0]["timings_ms"].keys() == {"reuse", "store", "total"}
    again = submitted(client, house, 2, reuse="false")
    assert (again["reused"], again["options"]["reuse"]) == (0, False)


def test_what_is_neither_true_nor_false_is_refused(client: TestClient) -> None:
    answer = client.post("/jobs", files=[("files", ("a.jpg", picture()))], data={"reuse": "perhaps"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "reuse")


@pytest.mark.parametrize("first_goes", [True, False])
def test_a_batch_that_comes_again_costs_its_new_pictures_and_either_job_may_go(
    client: TestClient, house: House, first_goes: bool
) -> None:
    first = submitted(client, house, OLD)
    again = submitted(client, house, OLD + NEW)
    assert (again["reused"], house.segmenter.runs) == (OLD, OLD + NEW)
    before, after = entries(client, first), entries(client, again)
    assert len(before) == 2 * OLD
    assert before.items() <= after.items()
    gone, left = (first, again) if first_goes else (again, first)
    assert client.delete(f"/jobs/{gone['id']}").status_code == 204
    kept = {key: house.objects.get(key) for key in house.objects.keys("")}
    assert all(f"/{left['id']}/" in key for key in kept)
    assert entries(client, left) == (after if first_goes else before)
    assert len(kept) == left["images"]["total"] * 3
    assert client.delete(f"/jobs/{left['id']}").status_code == 204
    assert list(house.objects.keys("")) == []
