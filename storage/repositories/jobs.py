"""Rows of jobs: `jobs.ports.JobRepository`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Text, and_, bindparam, cast, delete, func, insert, or_, select, update

from jobs import transitions
from jobs.errors import JobNotFound, JobRunning
from jobs.job import Job, NewImage
from jobs.listing.filters import JobFilter, written
from jobs.ports import Remains, Standing
from jobs.watching.waiting import Waiting
from storage.ledger import carry_out, lock_job
from storage.repositories.bulk import insert_images
from storage.repositories.reporting.known import forget_known
from storage.repositories.uploads import release_uploads
from storage.repositories.waiting import read_waiting
from storage.rows import job_values, to_job
from storage.scope import Prepared
from storage.tables import (
    CORRECTION,
    CORRECTIONS,
    DELIVERIES,
    DELIVERY,
    IMAGE,
    IMAGES,
    JOB,
    JOBS,
    PART,
    PARTS,
    IdempotencyRow,
)
from storage.transaction import Transaction
from telemetry.carrying import origin

_ADD = Prepared(insert(JOBS))
_THESE = and_(JOB.id.in_(bindparam("ids", expanding=True)), JOB.is_deleted.is_(False))
_SEVERAL = Prepared(select(JOBS).where(_THESE).order_by(JOB.id))
_VERSIONS = Prepared(select(JOB.id, JOB.version).where(_THESE))


class SqlJobs:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def add(self, job: Job, images: Iterable[NewImage]) -> None:
        if not self._transaction.owns(job.tenant):
            raise ValueError(f"job {job.id} is another tenant's")
        self._transaction.carry_out(_ADD, **job_values(job), origin=dict(origin()) or None)
        added = insert_images(self._transaction, job, images)
        if not added == job.counts.queued == job.counts.total:
            raise ValueError(f"job {job.id} was announced with {job.counts} and came with {added} images")
        self._transaction.note_change(job.id)

    def get(self, job_id: str) -> Job:
        row = self._transaction.look_up(_SEVERAL, ids=[job_id]).first()
        if row is None:
            raise _not_found(job_id)
        return to_job(row)

    def page(self, where: JobFilter, *, limit: int, before: str | None) -> Sequence[Job]:
        """Where metadata or a model is asked for, its text picks what is looked at more closely: JSON as a client sent
        it is more than some databases can look into."""
        found: list[Job] = []
        wanted = select(JOBS).where(*_conditions(where)).order_by(JOB.id.desc())
        while len(found) < limit:
            statement = wanted if before is None else wanted.where(JOB.id < before)
            jobs = [to_job(row) for row in self._transaction.read(statement.limit(limit))]
            found += [job for job in jobs if where.fits(job.metadata) and where.model in (None, *job.models)]
            if len(jobs) < limit:
                break
            before = jobs[-1].id
        return found[:limit]

    def several(self, job_ids: Collection[str]) -> Sequence[Job]:
        return [to_job(row) for row in self._transaction.look_up(_SEVERAL, ids=sorted(job_ids))]

    def versions(self, job_ids: Collection[str]) -> Mapping[str, int]:
        return {row.id: row.version for row in self._transaction.look_up(_VERSIONS, ids=sorted(job_ids))}

    def standing(self, *, since: datetime | None = None) -> Sequence[Standing]:
        """In three statements: with an `or` between them SQLite would look at all of a tenant's jobs."""
        wanted: list[ColumnElement[bool]] = [JOB.finished_at.is_(None)]
        if since is not None:
            corrected = JOB.id.in_(select(CORRECTION.job_id).where(CORRECTION.made_at >= since))
            wanted += [JOB.finished_at >= since, and_(corrected, JOB.finished_at < since)]
        found: list[Standing] = []
        for each in wanted:
            columns = (JOB.id, JOB.tenant, JOB.version, JOB.finished_at)
            statement = select(*columns).where(each, JOB.is_deleted.is_(False))
            found += [Standing(*row) for row in self._transaction.read(statement)]
        return sorted(found)

    def large(self, *, images: int) -> Sequence[str]:
        total = JOB.queued + JOB.running + JOB.succeeded + JOB.failed + JOB.canceled
        wanted = (JOB.finished_at.is_(None), JOB.is_deleted.is_(False), total >= images)
        return self._transaction.read(select(JOB.id).where(*wanted)).scalars().all()

    def waiting(self) -> Sequence[Waiting]:
        return read_waiting(self._transaction)

    def ahead_of(self, job_ids: Collection[str]) -> Mapping[str, int]:
        other = JOBS.alias().c
        ahead = (
            select(func.count(other.id))
            .where(other.tenant == JOB.tenant, other.priority == JOB.priority, other.id < JOB.id)
            .where(other.finished_at.is_(None), other.is_deleted.is_(False))
            .scalar_subquery()
        )
        statement = select(JOB.id, ahead.label("ahead")).where(
            JOB.id.in_(sorted(job_ids)), JOB.finished_at.is_(None), JOB.is_deleted.is_(False)
        )
        return {row.id: row.ahead for row in self._transaction.read(statement)}

    def request_cancel(self, job_id: str) -> Job:
        job = self._lock(job_id)
        step = transitions.cancel(job, now=self._transaction.now)
        return job if step is None else carry_out(self._transaction, job, step)

    def hold_up(self, job_id: str, part: str) -> None:
        job = lock_job(self._transaction, job_id)
        step = None if job is None else transitions.hold_up(job, part)
        if job is not None and step is not None:
            carry_out(self._transaction, job, step)

    def requeue_failed(self, job_id: str) -> Job:
        job = self._lock(job_id)
        return carry_out(self._transaction, job, transitions.requeue(job, now=self._transaction.now))

    def mark_deleted(self, job_id: str) -> None:
        job = self._lock(job_id)
        if not job.is_finished:
            raise JobRunning(f"job {job_id} is {job.status}; cancel it first")
        self._transaction.write(update(JOBS).where(JOB.id == job_id).values(is_deleted=True))
        self._transaction.write(
            delete(IdempotencyRow).where(IdempotencyRow.tenant == job.tenant, IdempotencyRow.job_id == job_id)
        )
        self._transaction.write(delete(DELIVERIES).where(DELIVERY.job_id == job_id))  # told to nobody
        self._transaction.note_change(job_id, ended=True)

    def expired(self, *, limit: int) -> Sequence[str]:
        statement = (
            select(JOB.id)
            .where(JOB.expires_at <= self._transaction.now)
            .where(JOB.finished_at.is_not(None), JOB.is_deleted.is_(False))
            .order_by(JOB.expires_at, JOB.id)
            .limit(limit)
        )
        return self._transaction.read(statement).scalars().all()

    def deleted(self, *, limit: int, after: str = "") -> Sequence[Remains]:
        statement = select(JOB.id, JOB.prefix).where(JOB.is_deleted, JOB.id > after)
        found = self._transaction.read(statement.order_by(JOB.id).limit(limit))
        return [Remains(job_id, prefix) for job_id, prefix in found]

    def purge(self, job_id: str) -> None:
        self._transaction.write(select(JOB.id).where(JOB.id == job_id).with_for_update())
        release_uploads(self._transaction, job_id)
        forget_known(self._transaction, job_id)
        self._transaction.write(delete(PARTS).where(PART.job_id == job_id))
        self._transaction.write(delete(CORRECTIONS).where(CORRECTION.job_id == job_id))
        self._transaction.write(delete(IMAGES).where(IMAGE.job_id == job_id))
        self._transaction.write(delete(JOBS).where(JOB.id == job_id))

    def _lock(self, job_id: str) -> Job:
        job = lock_job(self._transaction, job_id)
        if job is None:
            raise _not_found(job_id)
        return job


def _not_found(job_id: str) -> JobNotFound:
    return JobNotFound(f"there is no job {job_id!r}")


def _conditions(where: JobFilter) -> Iterator[ColumnElement[bool]]:
    yield JOB.is_deleted.is_(False)
    if where.status is not None:
        yield JOB.status == where.status
    if where.model is not None:
        yield cast(JOB.models, Text).contains(written(where.model), autoescape=True)
    if where.created_after is not None:
        yield JOB.created_at >= where.created_after
    if where.created_before is not None:
        yield JOB.created_at < where.created_before
    for texts in where.written_metadata():
        yield or_(*(cast(JOB.details, Text).contains(text, autoescape=True) for text in texts))
