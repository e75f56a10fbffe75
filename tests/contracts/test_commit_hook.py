"""Whoever opens a database is told which jobs a commit changed, on every database."""

from __future__ import annotations

import pytest

from jobs.deliveries.endpoint import Endpoint
from jobs.options import JobOptions
from jobs.watching.hints import Hint
from tests.factories import make_images, make_job
from tests.job_steps import LEASE, Units, add, cancel, claimed, ended_job, finish, free_expired, succeeded

Told = list[Hint]


def test_each_change_of_a_job_is_told_once_it_is_committed(open_unit: Units, told: Told):
    add(open_unit, 3)
    claimed(open_unit, 0, 1)
    finish(open_unit, succeeded(0))
    free_expired(open_unit, now=LEASE)
    cancel(open_unit)
    assert [hint.jobs for hint in told] == [{"job_1"}] * 5
    assert [sorted(hint.ended) for hint in told] == [[], [], [], [], ["job_1"]]


def test_a_deletion_is_told_and_what_is_hidden_already_is_not(open_unit: Units, told: Told):
    ended_job(open_unit, succeeded(0))
    told.clear()
    for change in ("mark_deleted", "purge"):
        with open_unit() as unit:
            getattr(unit.jobs, change)("job_1")
            unit.commit()
    assert told == [Hint(frozenset({"job_1"}), ended=frozenset({"job_1"}))]


def test_what_is_not_committed_is_not_told(open_unit: Units, told: Told):
    with open_unit() as unit:
        unit.jobs.add(make_job(), make_images(3))
    with pytest.raises(ZeroDivisionError), open_unit() as unit:
        unit.jobs.add(make_job(), make_images(3))
        raise ZeroDivisionError
    assert told == []


def test_a_commit_that_changes_no_job_tells_nothing(open_unit: Units, told: Told):
    with open_unit() as unit:
        unit.drafts.open("job_1", prefix="x/")
        unit.commit()
    assert told == []


def test_jobs_that_change_together_are_told_together(open_unit: Units, told: Told):
    for job_id in ("job_1", "job_2"):
        add(open_unit, 1, job_id=job_id)
        claimed(open_unit, job_id=job_id)
    told.clear()
    free_expired(open_unit, now=LEASE)
    assert told == [Hint(frozenset({"job_1", "job_2"}))]


def test_who_sends_webhooks_hears_of_what_is_owed_alone(open_unit: Units, told: Told):
    hook = Endpoint(url="https://example.org/", events=("job.completed",))
    add(open_unit, 1, options=JobOptions(model="tiny", label_space="camvid-11", webhook=hook))
    claimed(open_unit)
    finish(open_unit, succeeded(0))
    assert [hint.owes for hint in told] == [False, False, True]
