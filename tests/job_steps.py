"""Steps of tests that move a job along, each in a transaction of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from jobs.job import Failure, Job, JobImage, Priority, Slice
from jobs.ports import Claim, LostImages, OpenUnit, Outcome
from tests.factories import NOON, make_images, make_job, make_result

LEASE = NOON + timedelta(seconds=30)
FAILURE = Failure("model_failed", "the image could not be processed")


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


def claim(
    open_unit: OpenUnit, first: int = 0, last: int = 99, *, job_id: str = "job_1", now: datetime = NOON
) -> Claim | None:
    piece = Slice(job_id=job_id, first=first, last=last, priority=Priority.INTERACTIVE)
    with open_unit() as unit:
        found = unit.images.claim(piece, worker="w1", now=now, lease_until=now + timedelta(seconds=30))
        unit.commit()
    return found


def claimed(open_unit: OpenUnit, first: int = 0, last: int = 99, **options: Any) -> Claim:
    found = claim(open_unit, first, last, **options)
    assert found is not None
    return found


def finish(open_unit: OpenUnit, *outcomes: Outcome, job_id: str = "job_1", now: datetime = NOON) -> list[int]:
    with open_unit() as unit:
        ended = unit.images.finish(job_id, outcomes, now=now)
        unit.commit()
    return list(ended)


def succeeded(index: int, attempt: int = 1, **changes: Any) -> Outcome:
    return Outcome(index=index, attempt=attempt, result=make_result(**changes))


def failed(index: int, attempt: int = 1) -> Outcome:
    return Outcome(index=index, attempt=attempt, failure=FAILURE)


def canceled(index: int, attempt: int = 1) -> Outcome:
    return Outcome(index=index, attempt=attempt, canceled=True)


def again(index: int, attempt: int = 1, *, at: datetime) -> Outcome:
    return Outcome(index=index, attempt=attempt, failure=FAILURE, retry_at=at)


def cancel(open_unit: OpenUnit, job_id: str = "job_1") -> Job:
    with open_unit() as unit:
        job = unit.jobs.request_cancel(job_id, now=NOON)
        unit.commit()
    return job


def ended_job(open_unit: OpenUnit, *outcomes: Outcome, **changes: Any) -> Job:
    """A job with one image for each outcome, all of them ended."""
    add(open_unit, len(outcomes), **changes)
    job_id = str(changes.get("job_id", "job_1"))
    claimed(open_unit, job_id=job_id)
    finish(open_unit, *outcomes, job_id=job_id)
    return get(open_unit, job_id)


def free_expired(open_unit: OpenUnit, *, now: datetime, losses: int = 5, limit: int = 100) -> Sequence[LostImages]:
    with open_unit() as unit:
        found = unit.images.free_expired(now=now, losses=losses, limit=limit)
        unit.commit()
    return [each for each in found if each.lost]


def resend_due(
    open_unit: OpenUnit, *, now: datetime, silence_s: float = 15, limit: int = 100, only: Priority | None = None
) -> dict[str, Mapping[int, int]]:
    since, priorities = now - timedelta(seconds=silence_s), [only] if only else list(Priority)
    with open_unit() as unit:
        found = unit.images.resend_due(now=now, silent_since=since, priorities=priorities, limit=limit)
        unit.commit()
    return {each.job.id: each.lost for each in found}
