"""The same service on PostgreSQL, an S3 store and Redis, by settings alone, with two worker processes."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from jobs.deliveries.endpoint import COMPLETED, STARTED
from tests.receiver import Receiver
from tests.services.postgres import PostgresServer
from tests.services.processes import wait_for
from tests.services.s3 import S3Server
from tests.services.valkey import ValkeyServer
from tests.stack import Stack, everything_once, running_stack, submit_pictures

IMAGES = 200


@pytest.fixture(scope="module")
def remote_stack(
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: PostgresServer,
    any_s3_server: S3Server,
    valkey_server: ValkeyServer,
) -> Iterator[Stack]:
    """Two workers, "first" and "second", that share the processors."""
    valkey_server.flush()
    parts = {
        "MASKMILL_STORAGE_DATABASE_URL": postgres_server.create("remote_parts"),
        "MASKMILL_BROKER_URL": valkey_server.url,
        "MASKMILL_WORKER_PICTURE_THREADS": "2",
        "MASKMILL_WORKER_ALLOW_PRIVATE_ADDRESSES": "true",
        **any_s3_server.create_bucket().environment(),
    }
    with running_stack(tmp_path_factory.mktemp("stack"), parts, workers=("first", "second")) as stack:
        yield stack


def test_a_deleted_job_leaves_nothing_in_the_store(remote_stack: Stack) -> None:
    job_id = submit_pictures(remote_stack, 3)
    remote_stack.finished(job_id)
    with remote_stack.http() as http:
        assert http.delete(f"/jobs/{job_id}").status_code == 204
        assert http.get(f"/jobs/{job_id}").status_code == 404
    wait_for(lambda: not remote_stack.object_keys(), what="the purge", pause_s=0.2)


def test_a_job_spreads_over_two_workers(remote_stack: Stack) -> None:
    job_id = submit_pictures(remote_stack, IMAGES)

    assert remote_stack.finished(job_id)["status"] == "succeeded"
    everything_once(remote_stack, job_id, IMAGES)
    _, images = remote_stack.rows(job_id)
    assert {(image.worker or "").partition("@")[0] for image in images} == {"first", "second"}


def test_two_processes_that_send_tell_everything_once(remote_stack: Stack) -> None:
    senders = ("webhooks-1", "webhooks-2")
    for name in senders:
        remote_stack.start_webhooks(name)
    receiver = Receiver()
    hook = {"url": receiver.url, "events": [STARTED, COMPLETED]}
    try:
        job_ids = [submit_pictures(remote_stack, 2, webhook=hook) for _ in range(8)]
        for job_id in job_ids:
            assert remote_stack.finished(job_id)["status"] == "succeeded"
        wait_for(lambda: len(receiver.arrived) >= 2 * len(job_ids), what="all events", timeout_s=60)
        for job_id in job_ids:
            assert receiver.events(job_id) == ["job.started", "job.completed"]
    finally:
        receiver.close()
        for name in senders:
            remote_stack.processes[name].terminate()
            # one that has not begun yet, because the other was faster with all, ends by the signal itself
            assert remote_stack.processes.pop(name).wait(90) in (0, -signal.SIGTERM)


def test_the_other_worker_takes_over_from_a_killed_one(remote_stack: Stack) -> None:
    job_id = submit_pictures(remote_stack, IMAGES)
    remote_stack.wait_for_job(job_id, lambda job: job["images"]["succeeded"] >= 20)
    remote_stack.kill("first")

    assert remote_stack.finished(job_id)["status"] == "succeeded"
    everything_once(remote_stack, job_id, IMAGES)
