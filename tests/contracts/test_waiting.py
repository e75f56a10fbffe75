"""What waits, by queue and tenant, as every database tells it."""

from __future__ import annotations

from datetime import timedelta

from jobs.job import Priority
from jobs.watching.backlog import Backlog, read_backlog
from tests.factories import NOON
from tests.job_steps import Units, add, cancel, claimed, ended_job, failed, finish, requeue, succeeded

MINUTE = timedelta(seconds=60)


def read(open_unit: Units, *, seconds: float = 0) -> list[Backlog]:
    open_unit.clock.now = NOON + timedelta(seconds=seconds)
    return list(read_backlog(open_unit))


def test_an_empty_service_has_no_backlog(open_unit: Units) -> None:
    ended_job(open_unit, succeeded(0))
    assert read(open_unit) == []


def test_images_are_counted_by_queue_and_tenant(open_unit: Units) -> None:
    add(open_unit, 2, job_id="job_1", tenant="a", created_at=NOON - MINUTE)
    add(open_unit, 3, job_id="job_2", tenant="a", created_at=NOON)
    add(open_unit, 4, job_id="job_3", tenant="b", priority=Priority.BULK, created_at=NOON)
    claimed(open_unit, 0, 0, job_id="job_1")
    bulk, interactive = read(open_unit, seconds=30)
    assert (bulk.priority, bulk.tenant, bulk.queued, bulk.running, bulk.oldest_s) == (Priority.BULK, "b", 4, 0, 30)
    assert (interactive.tenant, interactive.queued, interactive.running, interactive.oldest_s) == ("a", 4, 1, 90)
    assert (bulk.backlog_s, interactive.backlog_s) == (None, None)


def test_how_long_it_takes_is_told_from_the_queues_own_rate(open_unit: Units) -> None:
    add(open_unit, 12, job_id="job_1", tenant="a")
    add(open_unit, 30, job_id="job_2", tenant="b")
    claimed(open_unit, 0, 1, job_id="job_1")
    finish(open_unit, succeeded(0), succeeded(1), job_id="job_1")
    one, other = read(open_unit, seconds=4)  # two images in four seconds
    assert (one.backlog_s, other.backlog_s) == (20, 60)


def test_a_job_that_was_tried_again_has_no_age(open_unit: Units) -> None:
    add(open_unit, 2, created_at=NOON - 1000 * MINUTE)
    claimed(open_unit)
    finish(open_unit, succeeded(0), failed(1))
    requeue(open_unit)
    (again,) = read(open_unit)
    assert (again.queued, again.oldest_s, again.backlog_s) == (1, 0, None)


def test_a_job_whose_images_all_run_has_nothing_that_waits(open_unit: Units) -> None:
    add(open_unit, 2)
    claimed(open_unit)
    (running,) = read(open_unit, seconds=10)
    assert (running.queued, running.running, running.oldest_s, running.backlog_s) == (0, 2, 0, 0)
    cancel(open_unit)


def test_canceled_images_say_nothing_of_the_rate(open_unit: Units) -> None:
    add(open_unit, 12, job_id="job_1", tenant="a")
    add(open_unit, 30, job_id="job_2", tenant="b")
    claimed(open_unit, 0, 2, job_id="job_1")
    finish(open_unit, succeeded(0), succeeded(1), job_id="job_1")
    cancel(open_unit, job_id="job_1")  # one of its images still runs
    assert [each.backlog_s for each in read(open_unit, seconds=4)] == [0, 60]
