"""The threads that take small jobs while all others are at work."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import redis
from kombu.mixins import ConsumerMixin

from broker import lane
from broker.app import BULK, INTERACTIVE, make_app
from broker.dispatch import CeleryDispatcher
from broker.lane import Lane
from broker.settings import BrokerSettings
from jobs.job import Priority, Slice
from telemetry import trail
from tests.services.processes import wait_for

SMALL = Slice(job_id="job_1", first=0, last=0, priority=Priority.INTERACTIVE)
LARGE = Slice(job_id="job_2", first=0, last=31, priority=Priority.BULK)


class Runs:
    """What was run; the first waits until the gate is open, and a job called `bad` raises."""

    def __init__(self) -> None:
        self.taken: list[Slice] = []
        self.carried: list[Mapping[str, str]] = []
        self.gate = threading.Event()

    def __call__(self, piece: Slice, carried: Mapping[str, str]) -> None:
        self.taken.append(piece)
        self.carried.append(carried)
        if piece.job_id == "bad":
            raise RuntimeError("a fault")
        assert self.gate.wait(60)


class Taking:
    def __init__(self, url: str, *queues: str) -> None:
        self.app = make_app(BrokerSettings(url=url))
        amqp: Any = self.app.amqp
        amqp.queues.select(queues or (INTERACTIVE, BULK))
        self.runs = Runs()
        self.lane = Lane(self.app, self.runs)
        self.dispatcher = CeleryDispatcher(self.app)


@pytest.fixture
def taking(valkey_url: str) -> Iterator[Taking]:
    taking = Taking(valkey_url)
    taking.lane.start()
    yield taking
    taking.runs.gate.set()
    taking.lane.close()
    taking.dispatcher.close()


def test_small_jobs_are_taken_and_large_ones_left_to_others(taking: Taking) -> None:
    taking.runs.gate.set()
    with trail.following({"request_id": "req_1"}):
        taking.dispatcher.dispatch([LARGE])
        taking.dispatcher.dispatch([SMALL])
    wait_for(lambda: taking.runs.taken == [SMALL], what="slices")
    assert taking.runs.carried == [{"request_id": "req_1"}]
    assert taking.dispatcher.waiting(Priority.BULK) == 1


def test_each_thread_takes_one_at_a_time_and_a_fault_ends_nothing(taking: Taking) -> None:
    bad = Slice(job_id="bad", first=0, last=0, priority=Priority.INTERACTIVE)
    taking.dispatcher.dispatch([bad] + [SMALL] * (lane.THREADS + 1))
    wait_for(lambda: len(taking.runs.taken) == lane.THREADS + 1, what="slices")
    assert taking.dispatcher.waiting(Priority.INTERACTIVE) == 1
    taking.runs.gate.set()
    wait_for(
        lambda: sorted(each.job_id for each in taking.runs.taken) == ["bad"] + ["job_1"] * (lane.THREADS + 1),
        what="slices",
    )


def test_a_lane_that_was_closed_takes_nothing(taking: Taking) -> None:
    taking.lane.close()
    taking.dispatcher.dispatch([SMALL])
    assert taking.dispatcher.waiting(Priority.INTERACTIVE) == 1
    assert taking.runs.taken == []


def test_a_worker_that_takes_no_small_jobs_has_no_lane(valkey_url: str) -> None:
    taking = Taking(valkey_url, BULK)
    taking.lane.start()
    taking.dispatcher.dispatch([SMALL])
    taking.lane.close()
    assert taking.dispatcher.waiting(Priority.INTERACTIVE) == 1
    taking.dispatcher.close()


def test_a_fault_that_nobody_foresaw_does_not_end_the_lane(taking: Taking, monkeypatch: pytest.MonkeyPatch) -> None:
    taking.lane.close()
    monkeypatch.setattr(lane, "PAUSE_S", 0.0)
    faults = [AttributeError("a fault of the library's"), None]
    consume = ConsumerMixin.consume

    def faulty(consumer: Any, *arguments: Any, **options: Any) -> Any:
        if fault := faults.pop(0):
            raise fault
        faults.append(None)
        return consume(consumer, *arguments, **options)

    monkeypatch.setattr(ConsumerMixin, "consume", faulty)
    taking.runs.gate.set()
    taking.lane.start()
    taking.dispatcher.dispatch([SMALL])
    wait_for(lambda: taking.runs.taken == [SMALL], what="slices")


def test_the_broker_keeps_nothing_of_what_the_lane_took(taking: Taking, valkey_url: str) -> None:
    taking.dispatcher.dispatch([SMALL])
    wait_for(lambda: taking.runs.taken == [SMALL], what="slices")
    with redis.Redis.from_url(valkey_url) as client:
        assert client.exists("unacked", "unacked_index") == 0
