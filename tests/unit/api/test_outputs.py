"""Results that a job wants in a bucket."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from jobs.errors import JobNotFound, StorageUnavailable
from jobs.reporting.archive import Archives
from jobs.reporting.outputs import Outputs, fitting
from jobs.tenants.quotas import DAY_S
from jobs.upkeep import Upkeep, UpkeepRules
from tests.factories import mask, picture
from tests.unit.api.house import House
from tests.unit.api.test_direct_uploads import faults

PLACE = "results/run-7/"


@pytest.fixture
def outputs(house: House) -> Outputs:
    return new_outputs(house)


def new_outputs(house: House, **rules: Any) -> Outputs:
    """As of a process that has just started."""
    return Outputs(house.unit, house.inputs, house.catalog, "maskmill 1", **rules)


def new_upkeep(house: House, outputs: Outputs) -> Upkeep:
    own = (house.unit, house.objects, house.leftovers, house.dispatcher, house.policy, UpkeepRules())
    return Upkeep(*own, to_come=outputs.to_come)


def submit(client: TestClient, data: bytes = picture(), **options: Any) -> str:
    files = {"files": ("a.jpg", data)}
    answer = client.post("/jobs", files=files, data={"options": json.dumps({"output": PLACE, **options})})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def put_there(house: House, job_id: str) -> dict[str, bytes]:
    """By the names in the archive, in the order in which they came."""
    folder = f"{PLACE}{job_id}/"
    found = house.buckets.contents.items()
    return {name.removeprefix(folder): data for name, data in found if name.startswith(folder)}


def test_the_files_of_the_archive_are_put_into_the_bucket(client: TestClient, house: House, outputs: Outputs) -> None:
    job_id = submit(client)
    assert client.get(f"/jobs/{job_id}").json()["options"]["output"] == PLACE
    assert outputs.run() == 0
    house.work()
    assert outputs.run() == 5
    assert outputs.run() == 0
    archive = zipfile.ZipFile(io.BytesIO(client.get(f"/jobs/{job_id}/archive").content))
    there = put_there(house, job_id)
    assert set(there) == set(archive.namelist())
    for name in set(archive.namelist()) - {"manifest.json"}:
        assert there[name] == archive.read(name)
    assert list(there)[-1] == "manifest.json"


def test_a_job_that_expires_stays_until_its_files_are_there(client: TestClient, house: House, outputs: Outputs) -> None:
    awaited, other = submit(client, expires_in=60), submit(client, expires_in=60, output=None)
    house.work()
    house.clock.advance(61)
    upkeep = new_upkeep(house, outputs)
    assert upkeep.run().deleted == 1
    assert client.get(f"/jobs/{other}").status_code == 404
    assert client.get(f"/jobs/{awaited}").status_code == 200
    assert outputs.run() == 5
    assert upkeep.run().deleted == 1
    assert client.get(f"/jobs/{awaited}").status_code == 404
    assert list(put_there(house, awaited))[-1] == "manifest.json"


def test_jobs_whose_files_cannot_be_put_stand_in_the_way_of_no_others_expiry(
    client: TestClient, house: House, outputs: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise StorageUnavailable("away")

    monkeypatch.setattr(house.buckets, "put", away)
    upkeep = new_upkeep(house, outputs)
    awaited = [submit(client, expires_in=60) for _ in range(upkeep.rules.deletions)]
    house.work()
    house.clock.advance(61)
    assert (outputs.run(), upkeep.run().deleted) == (0, 0)
    submit(client, expires_in=60, output=None)
    house.work()
    house.clock.advance(61)
    assert upkeep.run().deleted == 1
    house.clock.advance(DAY_S)
    assert [upkeep.run().deleted, upkeep.run().deleted] == [len(awaited), 0]


def test_names_that_are_too_long_for_a_bucket_hold_up_no_others(
    client: TestClient, house: House, outputs: Outputs
) -> None:
    """Letters of most languages have several bytes."""
    alike = ["画像" * 59 + end for end in ("一", "二")]
    deep = "/".join(["画" * 60] * 3) + "/a"
    files = [("files", (f"{name}.jpg", picture())) for name in (*alike, deep, "short/b")]
    options = {"output": PLACE, "artifacts": ["mask"]}
    job_id = client.post("/jobs", files=files, data={"options": json.dumps(options)}).json()["id"]
    house.work()
    archive = zipfile.ZipFile(io.BytesIO(client.get(f"/jobs/{job_id}/archive").content)).namelist()
    assert outputs.run() == len(archive)
    there = put_there(house, job_id)
    assert len(there) == len(archive)
    assert max(len(part.encode()) for name in there for part in name.split("/")) <= 255
    assert max(len(name.encode()) for name in there) <= 400
    assert {name for name in archive if fitting(name) == name} == there.keys() & set(archive)
    assert "mask/short/b.png" in there
    assert outputs.run() == 0


def test_two_jobs_that_name_the_same_place_overwrite_nothing(
    client: TestClient, house: House, outputs: Outputs
) -> None:
    job_ids = [submit(client), submit(client)]
    house.work()
    assert outputs.run() == 10
    assert [len(put_there(house, job_id)) for job_id in job_ids] == [5, 5]


def test_what_is_there_is_not_put_again_by_another_process(client: TestClient, house: House, outputs: Outputs) -> None:
    submit(client)
    house.work()
    assert (outputs.run(), new_outputs(house).run()) == (5, 0)


def test_numbers_that_a_correction_changes_are_put_anew(client: TestClient, house: House, outputs: Outputs) -> None:
    job_id = submit(client)
    house.work()
    outputs.run()
    for sky in (0, 4):  # of each the correction is another one
        drawn = mask(np.full((24, 32), sky, np.uint8))
        assert client.put(f"/jobs/{job_id}/images/0/correction", content=drawn).is_success
        assert outputs.run() == 6
        archive = zipfile.ZipFile(io.BytesIO(client.get(f"/jobs/{job_id}/archive").content))
        there = put_there(house, job_id)
        for name in set(archive.namelist()) - {"manifest.json"}:
            assert there[name] == archive.read(name)
    assert (outputs.run(), new_outputs(house).run()) == (0, 0)


def test_corrections_come_to_the_bucket_however_long_the_job_has_ended(
    client: TestClient, house: House, outputs: Outputs
) -> None:
    job_id = submit(client)
    house.work()
    assert outputs.run() == 5
    house.clock.advance(3 * DAY_S)
    assert (outputs.run(), new_outputs(house).run()) == (0, 0)
    drawn = mask(np.full((24, 32), 4, np.uint8))
    client.put(f"/jobs/{job_id}/images/0/correction", content=drawn).raise_for_status()
    assert outputs.run() == 6
    assert put_there(house, job_id)["corrected/a.png"] == drawn
    for each in (outputs, new_outputs(house)):
        assert each.run() == 0
    house.clock.advance(2 * DAY_S)
    assert (outputs.run(), new_outputs(house).run()) == (0, 0)


def test_corrections_that_score_nothing_come_to_the_bucket(client: TestClient, house: House, outputs: Outputs) -> None:
    job_id = submit(client, artifacts=["overlay"])
    house.work()
    assert outputs.run() == 4
    for sky in (0, 4):
        drawn = mask(np.full((24, 32), sky, np.uint8))
        client.put(f"/jobs/{job_id}/images/0/correction", content=drawn).raise_for_status()
        assert outputs.run() == 5
        assert put_there(house, job_id)["corrected/a.png"] == drawn
        house.clock.advance(3 * DAY_S)
    assert (outputs.run(), new_outputs(house).run()) == (0, 0)


def test_a_corrected_job_that_is_deleted_is_forgotten(client: TestClient, house: House, outputs: Outputs) -> None:
    job_id = submit(client)
    house.work()
    drawn = mask(np.full((24, 32), 4, np.uint8))
    client.put(f"/jobs/{job_id}/images/0/correction", content=drawn).raise_for_status()
    client.delete(f"/jobs/{job_id}").raise_for_status()
    assert outputs.run() == 0


def test_a_job_that_is_tried_again_is_put_anew(client: TestClient, house: House, outputs: Outputs) -> None:
    job_id = submit(client, b"\xff\xd8\xff no picture")
    house.work()
    assert outputs.run() == 4
    client.post(f"/jobs/{job_id}/retry").raise_for_status()
    house.clock.advance(1)
    house.work()
    assert outputs.run() == 4


def test_what_failed_in_an_earlier_try_is_told_no_more(client: TestClient, house: House, outputs: Outputs) -> None:
    job_id = submit(client)
    house.work()
    old = b"index,name,ref,status,attempts,code,message\r\n0,a.jpg,,failed,1,download_failed,404\r\n"
    house.buckets.put(f"{PLACE}{job_id}/errors.csv", old, media_type="text/csv")
    assert outputs.run() == 5
    assert put_there(house, job_id)["errors.csv"] == old[: old.index(b"0,")]


def test_jobs_without_an_output_are_left_alone(client: TestClient, house: House, outputs: Outputs) -> None:
    client.post("/jobs", files={"files": ("a.jpg", picture())}).raise_for_status()
    house.work()
    assert (outputs.run(), house.buckets.contents) == (0, {})


def test_where_no_job_expires_none_is_to_come(house: House, outputs: Outputs) -> None:
    house.is_database_away = True
    assert outputs.to_come([]) == frozenset()


def test_a_round_that_is_over_goes_on_in_the_next(client: TestClient, house: House) -> None:
    submit(client)
    house.work()
    assert new_outputs(house, round_s=-1).run() == 0
    outputs, put, away = new_outputs(house), house.buckets.put, [StorageUnavailable("away")]

    def slow(location: str, data: Any, *, media_type: str) -> None:
        put(location, data, media_type=media_type)
        if len(house.buckets.contents) == 2 and away:
            raise away.pop()

    house.buckets.put = slow  # type: ignore[method-assign]
    assert outputs.run() == 1
    assert len(house.buckets.contents) == 2
    assert outputs.run() == 4
    assert len(house.buckets.contents) == 5


def test_time_that_runs_out_amid_a_job_keeps_what_was_put(
    client: TestClient, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(client)
    house.work()
    now = iter([0.0, 0.0, 0.0, 0.0, 99.0])
    outputs = new_outputs(house)
    with monkeypatch.context() as at:
        at.setattr("jobs.reporting.outputs.time", SimpleNamespace(monotonic=lambda: next(now)))
        assert outputs.run() == 2
    assert outputs.run() == 3


def test_old_numbers_that_come_late_do_not_stay_beside_another_process_s_manifest(
    client: TestClient, house: House, outputs: Outputs
) -> None:
    """One process is held up amid a job that is corrected, which another one puts meanwhile, and then breaks off."""
    job_id = submit(client)
    house.work()
    put, faster = house.buckets.put, new_outputs(house)

    def away(*_: object, **__: object) -> None:
        raise StorageUnavailable("away")

    def held_up(location: str, data: Any, *, media_type: str) -> None:
        content = data.read()
        if location.endswith("metrics.csv"):
            house.buckets.put = put  # type: ignore[method-assign]
            drawn = mask(np.full((24, 32), 4, np.uint8))
            assert client.put(f"/jobs/{job_id}/images/0/correction", content=drawn).is_success
            assert faster.run() == 6
            house.buckets.put = away  # type: ignore[method-assign]
        put(location, content, media_type=media_type)

    house.buckets.put = held_up  # type: ignore[method-assign]
    outputs.run()
    house.buckets.put = put  # type: ignore[method-assign]
    outputs.run()
    archive = zipfile.ZipFile(io.BytesIO(client.get(f"/jobs/{job_id}/archive").content))
    assert put_there(house, job_id)["metrics.csv"] == archive.read("metrics.csv")


@pytest.mark.parametrize("late", ["metrics.csv", "corrected/a.png"])
def test_what_a_killed_process_wrote_late_is_put_right_by_the_next_one(
    client: TestClient, house: House, outputs: Outputs, late: str
) -> None:
    job_id = submit(client)
    house.work()
    before: dict[str, bytes] = {}
    there: dict[str, bytes] = {}
    for class_id in (3, 4):
        drawn = mask(np.full((24, 32), class_id, np.uint8))
        assert client.put(f"/jobs/{job_id}/images/0/correction", content=drawn).is_success
        assert outputs.run() == 6
        before, there = there, put_there(house, job_id)
    house.buckets.contents[f"{PLACE}{job_id}/{late}"] = before[late]
    assert new_outputs(house).run() == 6
    assert put_there(house, job_id) == there
    assert new_outputs(house).run() == 0


def test_a_job_that_vanishes_meanwhile_is_no_trouble(
    client: TestClient, house: House, outputs: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(client)
    house.work()

    def gone(self: Archives, job_id: str, **_: object) -> None:
        raise JobNotFound("gone")

    with monkeypatch.context() as at:
        at.setattr(Archives, "open", gone)
        assert outputs.run() == 0
    assert outputs.run() == 5


def test_no_two_rounds_run_at_once(client: TestClient, house: House, outputs: Outputs) -> None:
    submit(client)
    house.work()
    inner: list[int] = []
    put = house.buckets.put

    def meanwhile(location: str, data: Any, *, media_type: str) -> None:
        other = threading.Thread(target=lambda: inner.append(outputs.run()))
        other.start()
        other.join()
        put(location, data, media_type=media_type)

    house.buckets.put = meanwhile  # type: ignore[method-assign]
    assert outputs.run() == 5
    assert inner == [0] * 5


def test_a_bucket_that_takes_no_results_is_refused(client: TestClient, house: House, outputs: Outputs) -> None:
    inputs = {"inputs": [{"sample": "crossing"}]}
    for place in ("photos/a/", "none/a/"):
        assert list(faults(client.post("/jobs", json={**inputs, "output": place}))) == ["output"]
    submit(client)
    house.work()
    house.buckets.tenants = frozenset()
    assert (outputs.run(), house.buckets.contents) == (0, {})


@pytest.mark.parametrize(
    "place",
    [
        *("results", "results/a", "results/../a/", "results//", "a/b/", "results/\n/", 7),
        *(f"results/{'画' * 86}/", f"results/{'画' * 85}/{'画' * 85}/"),
    ],
)
def test_a_place_that_is_none_is_refused(client: TestClient, place: Any) -> None:
    answer = client.post("/jobs", json={"inputs": [{"sample": "crossing"}], "output": place})
    assert list(faults(answer)) == ["output"]
