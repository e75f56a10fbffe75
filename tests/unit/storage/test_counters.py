"""A job's counters and totals never drift from its images, whatever happens in whatever order."""

from __future__ import annotations

import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from functools import reduce
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.errors import NotAllowed
from jobs.job import Failure, ImageMetrics, ImageStatus, Job, JobTotals, Priority, Slice
from jobs.ports import Outcome
from storage.unit_of_work import Database
from tests.databases import opened, sqlite_settings
from tests.factories import make_images, make_job, make_result
from tests.job_steps import every_image

IMAGES = 6
Step = Callable[[Database], None]

indices = st.integers(0, IMAGES - 1)
attempts = st.integers(0, 3)
seconds = st.integers(-60, 60)


def _unit(database: Database, call: Callable[..., object]) -> None:
    with database.unit() as unit:
        call(unit)
        unit.commit()


def _claim(first: int, more: int, lease_s: int) -> Step:
    piece = Slice(job_id="job_1", first=first, last=first + more, priority=Priority.BULK)
    return lambda database: _unit(database, lambda unit: unit.images.claim(piece, worker="w", lease_s=lease_s))


def _claim_and_finish(first: int, more: int, kinds: list[str], meanwhile: Step | None) -> Step:
    """By the claim, whatever happened in between."""
    piece = Slice(job_id="job_1", first=first, last=first + more, priority=Priority.BULK)

    def step(database: Database) -> None:
        with database.unit() as unit:
            claim = unit.images.claim(piece, worker="w", lease_s=60)
            unit.commit()
        if claim is None:
            return
        if meanwhile is not None:
            meanwhile(database)
        ended = [_outcome(each.index, each.attempt, kind, 0) for each, kind in zip(claim.images, kinds, strict=False)]
        _unit(database, lambda unit: unit.images.finish("job_1", ended, claim=claim))

    return step


def _finish(outcomes: list[Outcome]) -> Step:
    return lambda database: _unit(database, lambda unit: unit.images.finish("job_1", outcomes))


def _upkeep(losses: int) -> Step:
    return lambda database: _unit(database, lambda unit: unit.images.free_expired(losses=losses, limit=IMAGES - 1))


def _cancel() -> Step:
    return lambda database: _unit(database, lambda unit: unit.jobs.request_cancel("job_1"))


def _retry() -> Step:
    def step(database: Database) -> None:
        try:
            _unit(database, lambda unit: unit.jobs.requeue_failed("job_1"))
        except NotAllowed:
            return

    return step


def _outcome(index: int, attempt: int, kind: str, later_s: int) -> Outcome:
    if kind == "succeeded":
        metrics = ImageMetrics(class_fractions={"sky": 0.5}, mean_confidence=0.25, confusion=((index, 1), (0, 2)))
        return Outcome(index=index, attempt=attempt, results=(make_result(metrics=metrics),))
    if kind == "canceled":
        return Outcome(index=index, attempt=attempt, canceled=True)
    retry_in_s = None if kind == "failed" else later_s
    waiting_for = "storage" if kind == "outage" else None
    failure = Failure("model_failed", "x")
    return Outcome(index=index, attempt=attempt, failure=failure, retry_in_s=retry_in_s, waiting_for=waiting_for)


kinds = st.sampled_from(["succeeded", "succeeded", "failed", "again", "outage", "canceled"])
outcomes = st.lists(
    st.builds(_outcome, indices, attempts, kinds, seconds), max_size=5, unique_by=lambda each: each.index
)
steps = st.one_of(
    st.builds(_claim, indices, st.integers(0, 3), seconds),
    st.builds(_claim, st.just(0), st.just(IMAGES), seconds),
    st.builds(_finish, outcomes),
    st.builds(_upkeep, st.integers(1, 3)),
    st.builds(_cancel),
    st.builds(_retry),
    st.builds(
        _claim_and_finish,
        indices,
        st.integers(0, IMAGES),
        st.lists(kinds, min_size=1, max_size=IMAGES),
        st.none() | st.builds(_cancel) | st.builds(_finish, outcomes),
    ),
)


def _check(database: Database, file: Path) -> Job:
    with sqlite3.connect(file) as raw:
        counted = Counter(dict(raw.execute("SELECT status, count(*) FROM job_images GROUP BY status").fetchall()))
        (status,) = raw.execute("SELECT status FROM jobs").fetchone()
    raw.close()
    with database.unit() as unit:
        job, images = unit.jobs.get("job_1"), every_image(unit, "job_1")
    assert asdict(job.counts) == {each.value: counted[each.value] for each in ImageStatus}
    results = [image.result for image in images if image.result is not None]
    assert job.totals == (reduce(JobTotals.plus, results, JobTotals()),)
    assert status == job.status
    assert job.is_finished == (job.finished_at is not None)
    assert all((image.status is ImageStatus.RUNNING) == (image.lease_until is not None) for image in images)
    return job


@settings(deadline=None, max_examples=30)
@given(history=st.lists(steps, min_size=5, max_size=25))
def test_counters_and_totals_agree_with_the_images_after_every_step(migrated_sqlite: Path, history: list[Step]):
    with tempfile.TemporaryDirectory() as folder:
        chosen = sqlite_settings(migrated_sqlite, Path(folder))
        with opened(chosen) as database:
            with database.unit() as unit:
                unit.jobs.add(make_job(IMAGES), make_images(IMAGES))
                unit.commit()
            version = 1
            for step in history:
                step(database)
                job = _check(database, chosen.home / "maskmill.db")
                assert job.version >= version
                version = job.version


@pytest.mark.parametrize("column", ["queued", "running", "succeeded", "failed", "canceled"])
def test_the_database_itself_refuses_a_negative_counter(database: Database, tmp_path: Path, column: str):
    with database.unit() as unit:
        unit.jobs.add(make_job(1), make_images(1))
        unit.commit()
    raw = sqlite3.connect(tmp_path / "maskmill.db")
    with pytest.raises(sqlite3.IntegrityError):
        raw.execute(f"UPDATE jobs SET {column} = -1")  # noqa: S608
    raw.close()
