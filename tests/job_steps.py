"""Steps of tests that move a job along, each in a transaction of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any

from jobs.job import Failure, Job, JobImage, Priority, Slice
from jobs.ports import Claim, Finished, OpenUnit, Outcome, UnitOfWork, WaitingImages
from tests.factories import NOON, make_images, make_job, make_result
from tests.fakes import FakeClock

LEASE_S = 30.0
LEASE = NOON + timedelta(seconds=30)
FAILURE = Failure("model_failed", "the image could not be processed")


class Units:
    """An OpenUnit whose time a test sets."""

    def __init__(self, open_unit: OpenUnit, clock: FakeClock) -> None:
        self._open_unit = open_unit
        self.clock = clock
        self.clock.now = NOON

    def __call__(self, tenant: str | None = None) -> AbstractContextManager[UnitOfWork]:
        return self._open_unit(tenant)

    def at(self, now: datetime, *, tenant: str | None = None) -> AbstractContextManager[UnitOfWork]:
        self.clock.now = now
        return self._open_unit(tenant)


def add(open_unit: OpenUnit, images: int = 3, *, job_id: str = "job_1", **changes: Any) -> Job:
    job = make_job(images, job_id=job_id, **changes)
    with open_unit() as unit:
        unit.jobs.add(job, make_images(images, job_id=job_id))
        unit.commit()
    return job


def get(open_unit: OpenUnit, job_id: str = "job_1") -> Job:
    with open_unit() as unit:
        return unit.jobs.get(job_id)


def image(open_unit: OpenUnit, index: int = 0, job_id: str = "job_1") -> JobImage:
    with open_unit() as unit:
        return unit.images.get(job_id, index)


def every_image(unit: UnitOfWork, job_id: str = "job_1") -> list[JobImage]:
    """In input order. Raises JobNotFound."""
    found: list[JobImage] = []
    after = None
    while True:
        page, after = unit.images.page(job_id, sort="index", limit=1000, after=after)
        found += page
        if after is None:
            return found


def claim(
    open_unit: Units, first: int = 0, last: int = 99, *, job_id: str = "job_1", now: datetime = NOON
) -> Claim | None:
    piece = Slice(job_id=job_id, first=first, last=last, priority=Priority.INTERACTIVE)
    with open_unit.at(now) as unit:
        found = unit.images.claim(piece, worker="w1", lease_s=LEASE_S)
        unit.commit()
    return found


def claimed(open_unit: Units, first: int = 0, last: int = 99, **options: Any) -> Claim:
    found = claim(open_unit, first, last, **options)
    assert found is not None
    return found


def finish(
    open_unit: Units, *outcomes: Outcome, job_id: str = "job_1", now: datetime = NOON, by: Claim | None = None
) -> list[int]:
    return list(finished(open_unit, *outcomes, job_id=job_id, now=now, by=by).ended)


def finished(
    open_unit: Units, *outcomes: Outcome, job_id: str = "job_1", now: datetime = NOON, by: Claim | None = None
) -> Finished:
    with open_unit.at(now) as unit:
        answer = unit.images.finish(job_id, outcomes, claim=by)
        unit.commit()
    return answer


def succeeded(index: int, attempt: int = 1, **changes: Any) -> Outcome:
    return Outcome(index=index, attempt=attempt, results=(make_result(**changes),))


def failed(index: int, attempt: int = 1) -> Outcome:
    return Outcome(index=index, attempt=attempt, failure=FAILURE)


def canceled(index: int, attempt: int = 1) -> Outcome:
    return Outcome(index=index, attempt=attempt, canceled=True)


def again(index: int, attempt: int = 1, *, in_s: float = 0) -> Outcome:
    return Outcome(index=index, attempt=attempt, failure=FAILURE, retry_in_s=in_s)


def outage(index: int, attempt: int = 1, *, of: str = "storage", in_s: float = 0) -> Outcome:
    return Outcome(index=index, attempt=attempt, failure=FAILURE, retry_in_s=in_s, waiting_for=of)


def cancel(open_unit: Units, job_id: str = "job_1") -> Job:
    with open_unit.at(NOON) as unit:
        job = unit.jobs.request_cancel(job_id)
        unit.commit()
    return job


def hold_up(open_unit: Units, job_id: str = "job_1", *, part: str = "storage") -> None:
    with open_unit() as unit:
        unit.jobs.hold_up(job_id, part)
        unit.commit()


def requeue(open_unit: Units, job_id: str = "job_1", *, now: datetime = NOON) -> Job:
    with open_unit.at(now) as unit:
        job = unit.jobs.requeue_failed(job_id)
        unit.commit()
    return job


def ended_job(open_unit: Units, *outcomes: Outcome, **changes: Any) -> Job:
    """A job with one image for each outcome, all of them ended."""
    add(open_unit, len(outcomes), **changes)
    job_id = str(changes.get("job_id", "job_1"))
    claimed(open_unit, job_id=job_id)
    finish(open_unit, *outcomes, job_id=job_id)
    return get(open_unit, job_id)


def free_expired(open_unit: Units, *, now: datetime, losses: int = 5, limit: int = 100) -> Sequence[WaitingImages]:
    with open_unit.at(now) as unit:
        found = unit.images.free_expired(losses=losses, limit=limit)
        unit.commit()
    return [each.waiting for each in found if each.waiting.losses]


def resend_due(
    open_unit: Units, *, now: datetime, silence_s: float = 15, limit: int = 100, only: Priority | None = None
) -> dict[str, Mapping[int, int]]:
    priorities = [only] if only else list(Priority)
    with open_unit.at(now) as unit:
        found = unit.images.resend_due(silent_s=silence_s, priorities=priorities, limit=limit)
        unit.commit()
    return {each.job.id: each.losses for each in found}
