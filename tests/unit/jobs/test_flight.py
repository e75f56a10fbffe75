"""Waiting for attempts that other threads make."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future

from jobs.ports import Outcome
from jobs.processing.attempt import Attempt
from jobs.processing.processing import Flight
from tests.factories import make_image, make_job

Pending = Future[Outcome | None]


class _Held:
    canceled = False

    def holds(self, index: int) -> bool:
        return True


def flight(count: int, *, fetching: bool = False) -> tuple[Flight, list[Pending]]:
    job, running, futures = make_job(), Flight(fetching=fetching), [Pending() for _ in range(count)]
    for index, future in enumerate(futures):
        running.add(future, Attempt(job, make_image(index), _Held(), limit_s=1))
    return running, futures


def end(*futures: Pending) -> None:
    for future in futures:
        future.set_result(None)


def test_each_that_ended_is_given_once() -> None:
    running, futures = flight(3)
    end(*futures[:2])
    assert [future for future, _ in running.ended(2, timeout=0)] == futures[:2]
    assert running.ended(1, timeout=0) == []
    assert [future for future, _ in running.all()] == futures[2:]


def test_who_waits_for_many_is_not_woken_by_the_first() -> None:
    running, futures = flight(4)
    timer = threading.Timer(0.02, end, futures[:3])
    end(futures[3])
    timer.start()
    assert len(running.ended(4, timeout=60)) == 4
    timer.join()


def test_nobody_waits_for_more_than_there_are() -> None:
    running, futures = flight(2)
    end(*futures)
    assert len(running.ended(16, timeout=60)) == 2
    assert len(running) == 0


def test_those_that_ended_in_time_are_given_when_the_others_take_long() -> None:
    running, futures = flight(3)
    end(futures[1])
    assert [future for future, _ in running.ended(3, timeout=0.01)] == [futures[1]]


def test_one_that_is_waited_for_no_more_is_never_given() -> None:
    running, futures = flight(2)
    running.leave(futures[0])
    end(*futures)
    assert [future for future, _ in running.ended(2, timeout=60)] == [futures[1]]


def test_pictures_that_were_read_are_given_one_by_one() -> None:
    running, futures = flight(3, fetching=True)
    end(futures[0])
    began = time.monotonic()
    assert [future for future, _ in running.ended(3, timeout=30)] == [futures[0]]
    assert time.monotonic() - began < 30
