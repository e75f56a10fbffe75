"""A job's row while its images change: locked first, then written once, so that its counters never drift.

Lock order: whoever changes images of a job holds the job's row before the images' rows. Two jobs are only locked
together by upkeep, in the order of their ids.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from sqlalchemy import select, update

from jobs.job import Counts, ImageStatus, Job
from storage.rows import Values, progress_values, to_job, totals_values
from storage.tables import JobRow
from storage.transaction import Transaction


def lock_jobs(transaction: Transaction, job_ids: Iterable[str]) -> list[Job]:
    """The visible ones of these jobs, in the order of their ids, with nobody else changing them until the end."""
    statement = (
        select(JobRow)
        .where(JobRow.id.in_(sorted(set(job_ids))), JobRow.is_deleted.is_(False))
        .order_by(JobRow.id)
        .with_for_update()  # SQLite has no row locks and needs none: its writers come one at a time
    )
    return [to_job(row) for row in transaction.writing.execute(statement)]


def lock_job(transaction: Transaction, job_id: str) -> Job | None:
    found = lock_jobs(transaction, [job_id])
    return found[0] if found else None


def write_job(transaction: Transaction, before: Job, after: Job) -> None:
    """Write what may change of a locked job; the totals, which are long, only when they did."""
    values: Values = progress_values(after)
    if after.totals is not before.totals:
        values.update(totals_values(after.totals))
    transaction.writing.execute(update(JobRow).where(JobRow.id == after.id).values(**values))
    transaction.note_change(after.id)


def move(counts: Counts, source: ImageStatus, target: ImageStatus, images: int) -> Counts:
    """`images` images went from `source` to `target`."""
    changes = {source.value: getattr(counts, source.value) - images}
    changes[target.value] = getattr(counts, target.value) + images
    return replace(counts, **changes)


def settle(job: Job, counts: Counts, *, now: datetime) -> Job:
    """The job with these counters: one version further, finished when no image waits or runs."""
    done = not (counts.queued or counts.running)
    return replace(job, counts=counts, version=job.version + 1, finished_at=now if done else None)
