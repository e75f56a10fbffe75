"""A broker that is killed and loses its data costs time and nothing else: the images table is the outbox."""

from __future__ import annotations

import os
import signal
import time

from tests.services.valkey import MortalValkey
from tests.stack import Stack, everything_once, submit_pictures

IMAGES = 200
DEATHS = 3


def test_every_image_is_done_once_after_the_broker_lost_everything(stack: Stack, broker: MortalValkey) -> None:
    job_id = submit_pictures(stack, IMAGES)
    stack.wait_for_job(job_id, lambda job: job["images"]["succeeded"] >= 20)
    os.kill(broker.server.pid, signal.SIGKILL)
    broker.rise_empty()
    job, _ = stack.rows(job_id)
    assert job.counts.queued, "the broker was to be killed while images were waiting"

    assert stack.finished(job_id, timeout_s=150)["status"] == "succeeded"
    everything_once(stack, job_id, IMAGES)


def test_a_job_is_accepted_while_the_broker_is_away(stack: Stack, broker: MortalValkey) -> None:
    os.kill(broker.server.pid, signal.SIGKILL)
    job_id = submit_pictures(stack, 5)
    broker.rise_empty()

    assert stack.finished(job_id, timeout_s=150)["images"]["succeeded"] == 5


def test_a_worker_outlives_the_broker_again_and_again(stack: Stack, broker: MortalValkey) -> None:
    """Each death finds messages in work, which kombu restores by a connection that is gone."""
    job_ids = []
    for _ in range(DEATHS):
        job_ids.append(submit_pictures(stack, 60))
        stack.wait_for_job(job_ids[-1], lambda job: job["images"]["succeeded"] >= 5)
        os.kill(broker.server.pid, signal.SIGKILL)
        time.sleep(1.5)  # the worker tries to connect, and closes what is left of the lost connection
        broker.rise_empty()

    assert [stack.finished(job_id, timeout_s=150)["status"] for job_id in job_ids] == ["succeeded"] * DEATHS
    assert {name: process.poll() for name, process in stack.processes.items()} == dict.fromkeys(stack.processes)
