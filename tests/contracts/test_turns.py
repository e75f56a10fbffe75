"""Whose images wait, on every database."""

from __future__ import annotations

from datetime import timedelta

from jobs.job import Priority
from jobs.tenants.ports import NextImages, Share
from tests.factories import NOON
from tests.job_steps import LEASE_S, Units, add, again, cancel, claimed, finish, free_expired, succeeded

SMALL, BULK = Priority.INTERACTIVE, Priority.BULK


def shares(open_unit: Units, priority: Priority = SMALL) -> list[Share]:
    with open_unit() as unit:
        return list(unit.turns.shares(priority))


def following(open_unit: Units, tenant: str = "acme", priority: Priority = SMALL, limit: int = 9) -> NextImages | None:
    with open_unit() as unit:
        return unit.turns.next_images(tenant, priority, limit=limit)


def test_those_who_wait_are_told_with_what_they_have_running(open_unit: Units) -> None:
    for job_id, tenant, priority in (("job_1", "acme", SMALL), ("job_2", "acme", BULK), ("job_3", "zeta", SMALL)):
        add(open_unit, 3, job_id=job_id, tenant=tenant, priority=priority)
    assert shares(open_unit) == [Share("acme", 0), Share("zeta", 0)]
    claimed(open_unit, 0, 1, job_id="job_2")
    claimed(open_unit, 0, 0, job_id="job_1")
    assert shares(open_unit) == [Share("acme", 3), Share("zeta", 0)]
    assert shares(open_unit, BULK) == [Share("acme", 3)]


def test_who_has_nothing_waiting_is_not_told_of(open_unit: Units) -> None:
    add(open_unit, 2, tenant="acme")
    add(open_unit, 2, tenant="zeta", job_id="job_2")
    claimed(open_unit)
    cancel(open_unit, job_id="job_2")
    assert shares(open_unit) == []
    assert following(open_unit) is None
    assert following(open_unit, "zeta") is None


def test_the_first_images_of_the_oldest_job_come_next(open_unit: Units) -> None:
    add(open_unit, 3, job_id="job_2", tenant="acme", slice_size=7)
    add(open_unit, 5, job_id="job_1", tenant="acme")
    add(open_unit, 5, job_id="job_0", tenant="zeta")
    assert following(open_unit, limit=3) == NextImages("job_1", 1, {0: 0, 1: 0, 2: 0})
    claimed(open_unit, job_id="job_1")
    assert following(open_unit) == NextImages("job_2", 7, {0: 0, 1: 0, 2: 0})
    assert following(open_unit, priority=BULK) is None


def test_what_was_tried_comes_after_what_was_not_and_not_before_it_is_due(open_unit: Units) -> None:
    add(open_unit, 2, job_id="job_1", tenant="acme")
    add(open_unit, 1, job_id="job_2", tenant="acme")
    claimed(open_unit, 0, 0)
    finish(open_unit, again(0, in_s=60))
    assert following(open_unit) == NextImages("job_1", 1, {1: 0})
    claimed(open_unit, 1, 1)
    finish(open_unit, succeeded(1))
    assert following(open_unit) == NextImages("job_2", 1, {0: 0})
    claimed(open_unit, job_id="job_2")
    assert following(open_unit) is None
    open_unit.clock.now = NOON + timedelta(seconds=60)
    assert following(open_unit) == NextImages("job_1", 1, {0: 0})


def test_what_was_tried_comes_first_when_that_is_asked_for(open_unit: Units) -> None:
    add(open_unit, 1, job_id="job_1", tenant="acme")
    add(open_unit, 2, job_id="job_2", tenant="acme")
    claimed(open_unit, job_id="job_2")
    finish(open_unit, again(1, in_s=0), job_id="job_2")
    with open_unit() as unit:
        assert unit.turns.next_images("acme", SMALL, limit=9, tried_first=True) == NextImages("job_2", 1, {1: 0})


def test_losses_are_told(open_unit: Units) -> None:
    add(open_unit, 2, tenant="acme")
    claimed(open_unit)
    free_expired(open_unit, now=NOON + timedelta(seconds=LEASE_S + 1))
    assert following(open_unit) == NextImages("job_1", 1, {0: 1, 1: 1})
