"""Results that a job wants in a bucket, where the store has lost some of them."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from jobs.errors import StorageUnavailable
from jobs.reporting.outputs import Outputs
from tests.unit.api.house import House
from tests.unit.api.test_outputs import new_outputs, put_there, submit


@pytest.fixture
def outputs(house: House) -> Outputs:
    return new_outputs(house)


@pytest.mark.parametrize(("kind", "left"), [("mask", b""), ("mask", b"cut"), ("coco", b"")])
def test_what_the_store_has_lost_keeps_nothing_else_from_its_bucket(
    client: TestClient, house: House, outputs: Outputs, kind: str, left: bytes
) -> None:
    job_id = submit(client, artifacts=["mask", "coco"])
    house.work()
    key = next(key for key in house.objects.keys("") if f"/{kind}/" in key)
    house.objects.delete(key)
    if left:
        house.objects.put(key, left, media_type="image/png")
    outputs.run()
    assert "manifest.json" not in put_there(house, job_id)
    outputs.run()
    there = put_there(house, job_id)
    assert there["files_missing.csv"].startswith(b"file,message\r\n%b/a." % kind.encode())
    assert {"mask/a.png", "coco/a.json"} & there.keys()
    assert "coco.json" in there
    assert outputs.run() == 0


def test_what_is_lost_amid_a_job_keeps_nothing_else_away(client: TestClient, house: House, outputs: Outputs) -> None:
    job_id = submit(client, artifacts=["mask", "coco", "overlay"])
    house.work()
    keys = {key.split("/")[-2]: key for key in house.objects.keys(f"default/jobs/{job_id}")}
    put, away = house.buckets.put, [StorageUnavailable("away")]

    def breaking_off(location: str, data: Any, *, media_type: str) -> None:
        put(location, data, media_type=media_type)
        if location.endswith("mask/a.png") and away:
            raise away.pop()

    house.objects.delete(keys["coco"])
    outputs.run()
    house.buckets.put = breaking_off  # type: ignore[method-assign]
    outputs.run()
    house.objects.delete(keys["mask"])
    outputs.run()
    there = put_there(house, job_id)
    assert there["files_missing.csv"].count(b"\r\n") == 3
    assert {"overlay/a.jpg", "manifest.json"} < there.keys()


def test_a_store_that_has_nothing_of_a_job_is_taken_to_be_away(
    client: TestClient, house: House, outputs: Outputs
) -> None:
    """As a folder is whose disk is not mounted."""
    job_id = submit(client, artifacts=["mask", "coco"])
    house.work()
    contents = {key: b"".join(house.objects.stream(key)) for key in house.objects.keys("")}
    house.objects.delete_prefix("default/")
    for _ in range(3):
        outputs.run()
    assert not put_there(house, job_id)
    for key, data in contents.items():
        house.objects.put(key, data, media_type="image/png")
    outputs.run()
    assert {"mask/a.png", "coco/a.json", "manifest.json"} < put_there(house, job_id).keys()
    assert "files_missing.csv" not in put_there(house, job_id)


@pytest.mark.parametrize("is_new", [False, True])
@pytest.mark.parametrize("count", [1, 2])
def test_what_was_lost_and_is_back_comes_to_the_bucket(
    client: TestClient, house: House, is_new: bool, count: int
) -> None:
    outputs = new_outputs(house, look_again_s=0)
    job_id = submit(client, artifacts=["mask", "coco", "overlay"])
    house.work()
    lost = {key.split("/")[-2]: key for key in house.objects.keys("") if "/overlay/" in key or "/mask/" in key}
    kept = {kind: b"".join(house.objects.stream(key)) for kind, key in lost.items()}
    for key in lost.values():
        house.objects.delete(key)
    for _ in range(3):
        outputs.run()
    assert put_there(house, job_id)["files_missing.csv"].count(b"\r\n") == 3
    assert (outputs.run(), new_outputs(house).run()) == (0, 0)
    for kind in sorted(kept)[:count]:
        house.objects.put(lost[kind], kept[kind], media_type="image/png")
    put = (new_outputs(house) if is_new else outputs).run()
    there = put_there(house, job_id)
    assert (put > 0, there["files_missing.csv"].count(b"\r\n")) == (True, 3 - count)
    assert [name in there for name in ("mask/a.png", "overlay/a.jpg")] == [True, count > 1]
    assert outputs.run() == 0


def test_a_bucket_that_takes_no_results_any_more_is_told_once_of_a_job_with_lost_files(
    client: TestClient, house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    outputs = new_outputs(house, look_again_s=0)
    submit(client, artifacts=["mask", "coco"])
    house.work()
    house.objects.delete(next(key for key in house.objects.keys("") if "/mask/" in key))
    for _ in range(2):
        outputs.run()
    monkeypatch.setattr(house.buckets, "allows", lambda *_, **__: False)
    caplog.clear()
    for _ in range(3):
        outputs.run()
    assert [each.message for each in caplog.records] == ["results may not be put there any more"]
