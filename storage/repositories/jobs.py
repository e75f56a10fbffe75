"""Rows of jobs: `jobs.ports.JobRepository`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import CursorResult, delete, func, insert, literal, select, update
from sqlalchemy.orm import aliased

from jobs.errors import JobNotFinished, JobNotFound, JobRunning, NotAllowed
from jobs.job import ImageStatus, Job, JobStatus, NewImage
from jobs.ports import JobFilter
from storage.ledger import lock_job, move, settle, write_job
from storage.repositories.bulk import insert_images
from storage.rows import job_values, to_job
from storage.tables import JobImageRow, JobRow
from storage.transaction import Transaction


class SqlJobs:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def add(self, job: Job, images: Iterable[NewImage]) -> None:
        self._transaction.writing.execute(insert(JobRow).values(**job_values(job)))
        added = insert_images(self._transaction, job, images)
        if not added == job.counts.queued == job.counts.total:
            raise ValueError(f"job {job.id} was announced with {job.counts} and came with {added} images")
        self._transaction.note_change(job.id)

    def get(self, job_id: str) -> Job:
        statement = select(JobRow).where(JobRow.id == job_id, JobRow.is_deleted.is_(False))
        row = self._transaction.reading.execute(statement).first()
        if row is None:
            raise _not_found(job_id)
        return to_job(row)

    def several(self, job_ids: Collection[str]) -> Sequence[Job]:
        statement = select(JobRow).where(JobRow.id.in_(sorted(job_ids)), JobRow.is_deleted.is_(False))
        return [to_job(row) for row in self._transaction.reading.execute(statement.order_by(JobRow.id))]

    def versions(self, job_ids: Collection[str]) -> Mapping[str, int]:
        statement = select(JobRow.id, JobRow.version).where(
            JobRow.id.in_(sorted(job_ids)), JobRow.is_deleted.is_(False)
        )
        return {row.id: row.version for row in self._transaction.reading.execute(statement)}

    def page(self, where: JobFilter, *, limit: int, before: str | None) -> Sequence[Job]:
        statement = select(JobRow).where(JobRow.is_deleted.is_(False)).order_by(JobRow.id.desc()).limit(limit)
        if where.status is not None:
            statement = statement.where(JobRow.status == where.status)
        if where.model is not None:
            statement = statement.where(JobRow.model == where.model)
        if before is not None:
            statement = statement.where(JobRow.id < before)
        return [to_job(row) for row in self._transaction.reading.execute(statement)]

    def ahead_of(self, job_ids: Collection[str]) -> Mapping[str, int]:
        other = aliased(JobRow)
        older = (
            select(func.count())
            .where(other.priority == JobRow.priority, other.id < JobRow.id)
            .where(other.finished_at.is_(None), other.is_deleted.is_(False))
            .scalar_subquery()
        )
        statement = select(JobRow.id, older.label("ahead")).where(
            JobRow.id.in_(sorted(job_ids)), JobRow.finished_at.is_(None), JobRow.is_deleted.is_(False)
        )
        return {row.id: row.ahead for row in self._transaction.reading.execute(statement)}

    def request_cancel(self, job_id: str, *, now: datetime) -> Job:
        job = self._lock(job_id)
        if job.is_finished or job.cancel_requested_at is not None:
            return job
        canceled = self._change_images(
            job_id, ImageStatus.QUEUED, status=ImageStatus.CANCELED.value, finished_at=now, retry_at=None, **_NO_FAILURE
        )
        counts = move(job.counts, ImageStatus.QUEUED, ImageStatus.CANCELED, canceled)
        after = settle(replace(job, cancel_requested_at=now), counts, now=now)
        write_job(self._transaction, job, after)
        return after

    def requeue_failed(self, job_id: str, *, now: datetime) -> Job:
        job = self._lock(job_id)
        if not job.is_finished:
            raise JobNotFinished(f"job {job_id} is {job.status}; it can be tried again when it has ended")
        if job.status not in (JobStatus.PARTIAL, JobStatus.FAILED):
            raise NotAllowed(f"only a partial or failed job can be tried again; this one is {job.status}")
        queued = self._change_images(
            job_id, ImageStatus.FAILED, status=ImageStatus.QUEUED.value, sent_at=now, **_UNTRIED, **_NO_FAILURE
        )
        counts = move(job.counts, ImageStatus.FAILED, ImageStatus.QUEUED, queued)
        again = replace(job, started_at=None, cancel_requested_at=None, finished_before=counts.finished)
        after = settle(again, counts, now=now)
        write_job(self._transaction, job, after)
        return after

    def mark_deleted(self, job_id: str) -> None:
        job = self._lock(job_id)
        if not job.is_finished:
            raise JobRunning(f"job {job_id} is {job.status}; cancel it first")
        self._transaction.writing.execute(update(JobRow).where(JobRow.id == job_id).values(is_deleted=True))
        self._transaction.note_change(job_id)

    def expired(self, *, now: datetime, limit: int) -> Sequence[str]:
        statement = (
            select(JobRow.id)
            .where(JobRow.expires_at <= now, JobRow.finished_at.is_not(None), JobRow.is_deleted.is_(False))
            .order_by(JobRow.expires_at, JobRow.id)
            .limit(limit)
        )
        return self._transaction.reading.execute(statement).scalars().all()

    def deleted(self, *, limit: int) -> Sequence[str]:
        statement = select(JobRow.id).where(JobRow.is_deleted).order_by(JobRow.id).limit(limit)
        return self._transaction.reading.execute(statement).scalars().all()

    def purge(self, job_id: str) -> None:
        connection = self._transaction.writing
        connection.execute(select(JobRow.id).where(JobRow.id == job_id).with_for_update())
        connection.execute(delete(JobImageRow).where(JobImageRow.job_id == job_id))
        connection.execute(delete(JobRow).where(JobRow.id == job_id))

    def _lock(self, job_id: str) -> Job:
        job = lock_job(self._transaction, job_id)
        if job is None:
            raise _not_found(job_id)
        return job

    def _change_images(self, job_id: str, those: ImageStatus, **values: Any) -> int:
        """All images of the locked job that are `those`. Returns how many."""
        here = JobImageRow.status == literal(those.value, literal_execute=True)  # else no partial index fits
        statement = update(JobImageRow).where(JobImageRow.job_id == job_id, here).values(**values)
        result: CursorResult[Any] = self._transaction.writing.execute(statement)
        return result.rowcount


_NO_FAILURE = {"failure_code": None, "failure_message": None}
_UNTRIED = {"attempt": 0, "lost": 0, "worker": None, "lease_until": None, "retry_at": None, "finished_at": None}


def _not_found(job_id: str) -> JobNotFound:
    return JobNotFound(f"there is no job {job_id!r}")
