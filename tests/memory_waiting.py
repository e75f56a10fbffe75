"""What waits, of the database in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby

from jobs.job import Job
from jobs.watching.waiting import Waiting


def waiting_of(jobs: Iterable[Job], *, now: datetime) -> Sequence[Waiting]:
    unfinished = sorted((job for job in jobs if not job.is_finished), key=_place)
    return [_sums(list(group), now) for _, group in groupby(unfinished, key=_place)]


def _place(job: Job) -> tuple[str, str]:
    return job.priority.value, job.tenant


def _sums(jobs: Sequence[Job], now: datetime) -> Waiting:
    fresh = [job.created_at for job in jobs if job.counts.queued and not job.finished_before]
    return Waiting(
        jobs[0].priority,
        jobs[0].tenant,
        sum(job.counts.queued for job in jobs),
        sum(job.counts.running for job in jobs),
        min(fresh, default=None),
        sum(_rate(job, now) for job in jobs),
    )


def _rate(job: Job, now: datetime) -> float:
    ended = job.counts.succeeded + job.counts.failed - job.finished_before
    seconds = 0.0 if job.started_at is None else (now - job.started_at).total_seconds()
    return ended / seconds if seconds > 0 else 0.0
