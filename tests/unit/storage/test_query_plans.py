"""No statement that runs while a large job does may look at all of its rows, or at all jobs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from jobs.deliveries.delivery import Reply
from jobs.deliveries.endpoint import EVENTS, Endpoint
from jobs.deliveries.ports import AtOnce
from jobs.deliveries.schedule import after_try
from jobs.job import ImageStatus, Priority
from jobs.listing.filters import ImageFilter, JobFilter
from jobs.options import JobOptions
from storage.unit_of_work import Database, make_engine
from tests.databases import sqlite_settings
from tests.factories import NOON
from tests.fakes import FakeClock
from tests.job_steps import LEASE, Units, add, cancel, claimed, failed, finish, free_expired, resend_due, succeeded

PARTIAL = {ImageStatus.QUEUED: "ix_job_images_queued", ImageStatus.FAILED: "ix_job_images_failed"}


class Plans:
    """What SQLite means to do for each statement."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def note(self, connection: Any, _cursor: object, statement: str, parameters: Any, _context: object, many: bool):
        if statement.startswith(("SELECT", "UPDATE", "DELETE")) and not many:
            raw = connection.connection.driver_connection
            self.steps += [row[-1] for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]

    def forget(self) -> None:
        self.steps.clear()

    @property
    def scans(self) -> list[str]:
        return [step for step in self.steps if step.startswith("SCAN") and "ix_jobs_deleted" not in step]


@pytest.fixture
def plans() -> Plans:
    return Plans()


@pytest.fixture
def open_unit(migrated_sqlite: Path, tmp_path: Path, plans: Plans) -> Iterator[Units]:
    engine = make_engine(sqlite_settings(migrated_sqlite, tmp_path))
    event.listen(engine, "before_cursor_execute", plans.note)
    clock = FakeClock()
    database = Database(engine, clock=clock)
    units = Units(database.unit, clock)
    for number in range(3):
        add(units, 500, job_id=f"job_{number}")
    plans.forget()
    yield units
    database.close()


def test_working_on_a_job_scans_nothing(open_unit: Units, plans: Plans):
    claimed(open_unit, 0, 9)
    finish(open_unit, succeeded(0), failed(1))
    with open_unit() as unit:
        unit.images.renew("job_1", {2: 1, 3: 1}, lease_s=30)
        unit.jobs.ahead_of(["job_1", "job_2"])
        unit.jobs.versions(["job_1", "job_2"])
        unit.jobs.several(["job_1", "job_2"])
        unit.images.since("job_1", 1, limit=50)
        unit.turns.next_images("default", Priority.INTERACTIVE, limit=50)
        unit.commit()
    cancel(open_unit)
    assert plans.steps
    assert plans.scans == []


def test_upkeep_scans_nothing(open_unit: Units, plans: Plans):
    claimed(open_unit, 0, 9)
    free_expired(open_unit, now=LEASE + timedelta(seconds=1))
    resend_due(open_unit, now=NOON + timedelta(hours=1))
    with open_unit() as unit:
        unit.jobs.expired(limit=9)
        unit.jobs.deleted(limit=9)
        unit.jobs.purge("job_1")
        unit.commit()
    assert plans.scans == []
    assert any("ix_job_images_lease" in step for step in plans.steps)
    assert any("ix_jobs_expires_at" in step for step in plans.steps)


def test_what_is_due_is_found_without_a_look_at_what_was_delivered(open_unit: Units, plans: Plans):
    hook = Endpoint(url="https://example.org/", events=EVENTS)
    add(open_unit, 1, job_id="job_9", options=JobOptions(model="tiny", webhook=hook))
    claimed(open_unit, job_id="job_9")
    finish(open_unit, succeeded(0), job_id="job_9")
    plans.forget()
    with open_unit() as unit:
        (found,) = unit.deliveries.claim(limit=9, at_once=AtOnce(per_host=2), lease_s=30)
        unit.deliveries.end_try(after_try(found, Reply(status_code=410), now=NOON, chance=0))
        unit.deliveries.page("job_9", limit=9)
        unit.deliveries.forget_pings(older_than_s=60)
        unit.deliveries.backlog()
        unit.jobs.mark_deleted("job_9")
        unit.commit()
    of_tables = [
        step for step in plans.scans if not re.search(r"SCAN (waiting|of_host|fitting|of_tenant|\(subquery)", step)
    ]
    assert all("ix_deliveries_due" in step or "ix_deliveries_pending" in step for step in of_tables), of_tables


@pytest.mark.parametrize("status", ImageStatus)
def test_a_page_of_one_status_walks_along_an_index(open_unit: Units, plans: Plans, status: ImageStatus):
    with open_unit() as unit:
        unit.images.page("job_1", where=ImageFilter(status=status), sort="index", limit=50, after=None)
    assert plans.scans == []
    assert any(PARTIAL.get(status, "sqlite_autoindex_job_images") in step for step in plans.steps)
    assert not any("ORDER BY" in step for step in plans.steps)


def test_jobs_of_one_value_are_looked_for_a_page_at_a_time(open_unit: Units, plans: Plans):
    for number in range(50):
        add(open_unit, 1, job_id=f"job_m{number:02}", metadata={"run": 7 if number > 40 else 70})
    plans.forget()
    with open_unit() as unit:
        found = unit.jobs.page(JobFilter(metadata=(("run", "7"),)), limit=10, before=None)
    assert [job.id for job in found] == [f"job_m{number}" for number in range(49, 40, -1)]
    assert 0 < len(plans.steps) <= 10


@pytest.mark.parametrize("sort", ["confidence", "miou"])
def test_a_sorted_page_walks_along_an_index(open_unit: Units, plans: Plans, sort: str):
    with open_unit() as unit:
        unit.images.page("job_1", sort=sort, limit=50, after=None)
    assert plans.scans == []
    assert any(f"ix_job_images_{sort}" in step for step in plans.steps)
    assert not any("ORDER BY" in step for step in plans.steps)


@pytest.mark.parametrize(
    ("where", "index"),
    [
        (JobFilter(), "ix_jobs_tenant_id"),
        (JobFilter(status="running"), "ix_jobs_tenant_status_id"),
        (JobFilter(model="tiny"), "ix_jobs_tenant_id"),
    ],
)
def test_a_list_of_a_tenants_jobs_walks_along_an_index(open_unit: Units, plans: Plans, where: JobFilter, index: str):
    with open_unit("default") as unit:
        unit.jobs.page(where, limit=50, before="job_9")
    assert plans.scans == []
    assert any(index in step for step in plans.steps)
    assert not any("ORDER BY" in step for step in plans.steps)


def test_turns_walk_along_the_unfinished_jobs_alone(open_unit: Units, plans: Plans):
    with open_unit() as unit:
        unit.turns.shares(Priority.INTERACTIVE)
        unit.turns.next_images("default", Priority.INTERACTIVE, limit=50)
    assert all("ix_jobs_turns" in step for step in plans.scans)
    assert sum("ix_jobs_turns" in step for step in plans.steps) == 2
    assert any("ix_job_images_queued" in step for step in plans.steps)
    assert not any("ORDER BY" in step or "GROUP BY" in step for step in plans.steps), plans.steps


def test_what_a_claim_says_of_the_job_and_its_images_is_not_read_again(open_unit: Units, plans: Plans):
    add(open_unit, 1, job_id="job_alone")
    mine = claimed(open_unit, job_id="job_alone")
    plans.forget()
    finish(open_unit, succeeded(0), job_id="job_alone", by=mine)
    by_claim = len(plans.steps)
    add(open_unit, 1, job_id="job_other")
    claimed(open_unit, job_id="job_other")
    plans.forget()
    finish(open_unit, succeeded(0), job_id="job_other")
    assert by_claim == len(plans.steps) - 2
