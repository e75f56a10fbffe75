"""Webhooks from a real stack to real receivers: what arrives, in which order, and what a kill costs."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from jobs.deliveries.endpoint import COMPLETED, EVENTS, STARTED
from tests.receiver import Arrived, Receiver
from tests.services.processes import wait_for
from tests.services.valkey import MortalValkey
from tests.stack import Stack, running_stack, submit_pictures

# The same rules as ever, only quicker, so that a test can wait.
HURRIED = {
    "MASKMILL_WORKER_ALLOW_PRIVATE_ADDRESSES": "true",
    "MASKMILL_WORKER_WEBHOOK_TIMEOUT_S": "5",
    "MASKMILL_WORKER_WEBHOOK_LEASE_S": "6",
    "MASKMILL_WORKER_WEBHOOK_PAUSES_S": "[0.2, 0.2, 0.2, 0.2]",
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, broker: MortalValkey) -> Iterator[Stack]:
    parts = {"MASKMILL_BROKER_URL": broker.server.url, **HURRIED}
    with running_stack(tmp_path_factory.mktemp("stack"), parts) as stack:
        stack.start_webhooks()
        yield stack


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def submit(stack: Stack, receiver: Receiver, images: int = 4, *, events: Sequence[str] = (STARTED, COMPLETED)) -> str:
    return submit_pictures(stack, images, webhook={"url": receiver.url, "events": list(events)})


def deliveries(stack: Stack, job_id: str) -> list[dict[str, Any]]:
    with stack.http() as http:
        return list(http.get(f"/jobs/{job_id}/deliveries").raise_for_status().json()["items"])


def all_delivered(stack: Stack, job_id: str, *, timeout_s: float = 90) -> list[dict[str, Any]]:
    stack.finished(job_id)

    def done() -> bool:
        found = deliveries(stack, job_id)
        return bool(found) and all(each["status"] == "delivered" for each in found)

    wait_for(done, what=f"the deliveries of {job_id}: {deliveries(stack, job_id)}", timeout_s=timeout_s)
    return deliveries(stack, job_id)


def secret(stack: Stack) -> str:
    with stack.http() as http:
        return str(http.get("/webhook-secret").raise_for_status().json()["secret"])


def test_the_public_library_verifies_every_delivery(stack: Stack, receiver: Receiver) -> None:
    jobs = [submit(stack, receiver) for _ in range(3)]
    for job_id in jobs:
        all_delivered(stack, job_id)
        assert receiver.events(job_id) == ["job.started", "job.completed"]
    verifier = Webhook(secret(stack))
    for each in receiver.arrived:
        assert verifier.verify(each.body, each.headers) == each.said
        assert len(each.body) < 20_000
    last = [each.said["data"] for each in receiver.arrived if each.said["type"] == "job.completed"][-1]
    assert (last["status"], last["links"]["archive"]) == ("succeeded", f"/jobs/{last['id']}/archive")


def test_a_receiver_that_fails_three_times_gets_each_event_once_more_and_in_order(
    stack: Stack, receiver: Receiver
) -> None:
    receiver.answer = lambda arrived: 500 if len(receiver.arrived) <= 3 else 204
    job_id = submit(stack, receiver)
    first, second = all_delivered(stack, job_id)
    assert [each.id for each in receiver.arrived] == [first["id"]] * 4 + [second["id"]]
    assert [done["status_code"] for done in first["attempts"]] == [500, 500, 500, 204]
    assert [done["status_code"] for done in second["attempts"]] == [204]
    verifier = Webhook(secret(stack))
    for each in receiver.arrived:
        verifier.verify(each.body, each.headers)


def test_a_process_that_is_killed_between_a_try_and_its_record_loses_nothing(stack: Stack, receiver: Receiver) -> None:
    begun = threading.Event()

    def answer(arrived: Arrived) -> int | None:
        first = not begun.is_set()
        begun.set()
        return None if first else 204

    receiver.answer = answer
    job_id = submit(stack, receiver)
    assert begun.wait(90)
    stack.kill("webhooks")
    receiver.over.set()
    assert all(each["attempts"] == [] for each in deliveries(stack, job_id))

    stack.start_webhooks()

    assert [each["event"] for each in all_delivered(stack, job_id)] == ["job.started", "job.completed"]
    assert receiver.events(job_id) == ["job.started", "job.started", "job.completed"]


def test_a_receiver_that_never_answers_delays_neither_images_nor_other_receivers(
    stack: Stack, receiver: Receiver
) -> None:
    silent = Receiver(answer=lambda arrived: None)
    try:
        stuck = [submit(stack, silent) for _ in range(12)]
        well = submit(stack, receiver)
        all_delivered(stack, well, timeout_s=45)  # one after the other, the twelve would take a minute
        for job_id in stuck:
            assert stack.finished(job_id)["status"] == "succeeded"
            assert deliveries(stack, job_id)[-1]["status"] == "pending"
    finally:
        silent.close()


def test_what_is_given_up_is_told_and_can_be_asked_for(stack: Stack, receiver: Receiver) -> None:
    receiver.answer = lambda arrived: 302
    job_id = submit_pictures(stack, 1, webhook={"url": receiver.url})
    stack.finished(job_id)
    wait_for(lambda: deliveries(stack, job_id)[0]["status"] == "exhausted", what="the end of all tries")
    (given_up,) = deliveries(stack, job_id)
    assert [done["status_code"] for done in given_up["attempts"]] == [302] * 5
    receiver.answer = lambda arrived: 204
    with stack.http() as http:
        assert http.post(given_up["links"]["redeliver"]).status_code == 202
    assert all_delivered(stack, job_id)[0]["id"] == given_up["id"]


def test_a_receiver_that_is_gone_is_told_nothing_more(stack: Stack, receiver: Receiver) -> None:
    receiver.answer = lambda arrived: 410
    job_id = submit(stack, receiver)
    stack.finished(job_id)
    wait_for(lambda: {each["status"] for each in deliveries(stack, job_id)} == {"gone"}, what="the end of the tries")
    assert receiver.events(job_id) == ["job.started"]


def test_a_ping_tells_what_came_back(stack: Stack, receiver: Receiver) -> None:
    with stack.http() as http:
        told = http.post("/webhooks/test", json={"url": receiver.url}).raise_for_status().json()
    assert (told["delivered"], told["status_code"]) == (True, 204)
    (arrived,) = receiver.arrived
    assert arrived.id == told["webhook_id"]
    Webhook(secret(stack)).verify(arrived.body, arrived.headers)


def test_after_a_change_of_the_secret_old_and_new_verify(stack: Stack, receiver: Receiver) -> None:
    before = secret(stack)
    with stack.http() as http:
        after = http.post("/webhook-secret/rotate").raise_for_status().json()["secret"]
    all_delivered(stack, submit(stack, receiver))
    for each in receiver.arrived:
        for known in (before, after):
            Webhook(known).verify(each.body, each.headers)


def test_a_long_job_tells_of_its_progress(stack: Stack, receiver: Receiver) -> None:
    worker = stack.living_worker()
    job_id = submit(stack, receiver, images=60, events=EVENTS)
    stack.wait_for_job(job_id, lambda job: job["images"]["succeeded"] >= 5)
    stack.processes[worker].send_signal(signal.SIGSTOP)
    time.sleep(5)
    stack.processes[worker].send_signal(signal.SIGCONT)
    all_delivered(stack, job_id)
    started, *between, completed = receiver.events(job_id)
    assert (started, set(between), completed) == ("job.started", {"job.progress"}, "job.completed")


def test_a_clean_end_writes_down_what_is_under_way(stack: Stack, receiver: Receiver) -> None:
    begun = threading.Event()

    def answer(arrived: Arrived) -> int:
        begun.set()
        time.sleep(0.5)
        return 204

    receiver.answer = answer
    job_id = submit_pictures(stack, 1, webhook={"url": receiver.url})
    assert begun.wait(90)
    stack.processes["webhooks"].terminate()
    assert stack.processes["webhooks"].wait(90) == 0
    assert [each["status"] for each in deliveries(stack, job_id)] == ["delivered"]
    assert not list(Path(stack.environment["MASKMILL_HOME"]).glob("run/webhooks@*.alive"))
    stack.start_webhooks()
