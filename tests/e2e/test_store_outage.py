"""An object store that is full, then read-only, in the middle of a job: its images wait, and nothing is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.services.small_disk import SmallDisk, small_disk
from tests.services.valkey import MortalValkey
from tests.stack import Stack, everything_once, running_stack, submit_pictures

IMAGES = 24
OUTAGE_S = 6.0  # far longer than four tries took before


@pytest.fixture
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    with small_disk(tmp_path_factory.mktemp("home") / "objects", size="64m") as disk:
        yield disk


@pytest.fixture
def stack(disk: SmallDisk, broker: MortalValkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    parts = {"MASKMILL_BROKER_URL": broker.server.url, "MASKMILL_HOME": str(disk.root.parent)}
    with running_stack(tmp_path_factory.mktemp("stack"), parts) as stack:
        yield stack


def test_images_wait_for_a_store_that_is_full_and_one_that_is_read_only(stack: Stack, disk: SmallDisk) -> None:
    job_id = submit_pictures(stack, IMAGES, tile={"size": 96, "overlap": 32})
    stack.wait_for_job(job_id, lambda job: job["images"]["succeeded"] >= 4)

    disk.fill()
    _outage(stack, job_id)
    disk.make_room()
    _goes_on(stack, job_id)

    disk.set_writable(writable=False)
    _outage(stack, job_id)
    disk.set_writable(writable=True)

    assert stack.finished(job_id)["status"] == "succeeded"
    everything_once(stack, job_id, IMAGES)
    _, images = stack.rows(job_id)
    assert {image.attempts for image in images} == {1}
    assert max(image.attempt for image in images) > 1


def _outage(stack: Stack, job_id: str) -> None:
    """Nothing fails while it lasts, and the service says what is missing."""
    stack.wait_for_job(job_id, lambda job: job.get("waiting_for") == "storage")
    with stack.http() as http:
        ready = http.get("/ready")
        assert ready.status_code == 503
        assert "store" in ready.text
        time.sleep(OUTAGE_S)
        job = http.get(f"/jobs/{job_id}").raise_for_status().json()
    assert (job["status"], job.get("waiting_for"), job["images"]["failed"]) == ("running", "storage", 0)


def _goes_on(stack: Stack, job_id: str) -> None:
    done = stack.rows(job_id)[0].counts.succeeded
    job = stack.wait_for_job(job_id, lambda job: job["images"]["succeeded"] > done)
    assert job["status"] == "running", "the second outage was to strike in the middle too"
