"""Rows of images: `jobs.ports.ImageRepository`. The job's row is locked first, then images change, then the job."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import reduce
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, func, literal, or_, select, update

from jobs.errors import ImageNotFound, JobNotFound
from jobs.job import Counts, ImageStatus, Job, JobImage, JobTotals, Priority, Slice
from jobs.ports import Claim, LostImages, Outcome
from jobs.retry import WORKER_LOST
from storage.ledger import lock_job, lock_jobs, move, settle, write_job
from storage.repositories import paging
from storage.rows import Values, failure_values, result_values, to_image
from storage.tables import JobImageRow, JobRow
from storage.transaction import Transaction

FETCH = 1_000


class SqlImages:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def get(self, job_id: str, index: int) -> JobImage:
        self._require_job(job_id)
        statement = select(JobImageRow).where(JobImageRow.job_id == job_id, JobImageRow.index == index)
        row = self._transaction.reading.execute(statement).first()
        if row is None:
            raise ImageNotFound(f"job {job_id} has no image {index}")
        return to_image(row)

    def page(
        self, job_id: str, *, status: ImageStatus | None, sort: str, limit: int, after: str | None
    ) -> tuple[Sequence[JobImage], str | None]:
        order = paging.ORDERS[sort]
        place = order.start if after is None else order.decode(after)
        self._require_job(job_id)
        wanted = [JobImageRow.job_id == job_id] + ([] if status is None else [_is(status)])
        found: list[JobImage] = []
        for statement in order.statements(place):
            missing = limit + 1 - len(found)  # one more tells whether there is another page
            if missing:
                rows = self._transaction.reading.execute(statement.where(*wanted).limit(missing))
                found += [to_image(row) for row in rows]
        page = found[:limit]
        return page, order.encode(page[-1]) if len(found) > limit else None

    def all(self, job_id: str) -> Iterator[JobImage]:
        self._require_job(job_id)
        return self._all(job_id)

    def _all(self, job_id: str) -> Iterator[JobImage]:
        last = -1
        while True:
            statement = select(JobImageRow).where(JobImageRow.job_id == job_id, JobImageRow.index > last)
            rows = self._transaction.reading.execute(statement.order_by(JobImageRow.index).limit(FETCH)).all()
            yield from map(to_image, rows)
            if len(rows) < FETCH:
                return
            last = to_image(rows[-1]).index

    def claim(self, piece: Slice, *, worker: str, now: datetime, lease_until: datetime) -> Claim | None:
        job = lock_job(self._transaction, piece.job_id)
        if job is None or not job.counts.queued:
            return None
        statement = (
            update(JobImageRow)
            .where(JobImageRow.job_id == job.id, JobImageRow.index.between(piece.first, piece.last))
            .where(_is(ImageStatus.QUEUED), _due(now))
            .values(status=ImageStatus.RUNNING.value, attempt=JobImageRow.attempt + 1, worker=worker)
            .values(lease_until=lease_until, retry_at=None, **failure_values(None))
            .returning(*JobImageRow.__table__.columns)
        )
        images = [to_image(row) for row in self._transaction.writing.execute(statement)]
        if not images:
            return None
        counts = move(job.counts, ImageStatus.QUEUED, ImageStatus.RUNNING, len(images))
        after = settle(replace(job, started_at=job.started_at or now), counts, now=now)
        write_job(self._transaction, job, after)
        return Claim(job=after, images=tuple(sorted(images, key=lambda image: image.index)))

    def renew(
        self, job_id: str, attempts: Mapping[int, int], *, now: datetime, lease_until: datetime
    ) -> tuple[frozenset[int], bool]:
        job = lock_job(self._transaction, job_id)
        if job is None:
            return frozenset(), True
        held = self._held(job_id, attempts)
        self._change(job_id, held, lease_until=lease_until)
        return held, job.cancel_requested_at is not None

    def finish(self, job_id: str, outcomes: Sequence[Outcome], *, now: datetime) -> Sequence[int]:
        job = lock_job(self._transaction, job_id)
        if job is None:
            return []
        held = self._held(job_id, {each.index: each.attempt for each in outcomes})
        ended = {each.index: each for each in outcomes if each.index in held}
        if not ended:
            return []
        rows = {index: _ended_values(outcome, job, now=now) for index, outcome in ended.items()}
        keys = {"key_job": job_id}
        statement = update(JobImageRow).where(
            JobImageRow.job_id == bindparam("key_job"), JobImageRow.index == bindparam("key_index")
        )
        self._transaction.writing.execute(
            statement, [{**keys, "key_index": index, **values} for index, values in sorted(rows.items())]
        )
        counts = _moved(job.counts, (ImageStatus(values["status"]) for values in rows.values()))
        results = [each.result for each in ended.values() if each.result is not None]
        totals = reduce(JobTotals.plus, results, job.totals)
        write_job(self._transaction, job, settle(replace(job, totals=totals), counts, now=now))
        return sorted(ended)

    def free_expired(self, *, now: datetime, losses: int, limit: int) -> Sequence[LostImages]:
        expired = and_(_is(ImageStatus.RUNNING), JobImageRow.lease_until <= now)
        candidates = self._grouped(select(JobImageRow.job_id, JobImageRow.index).where(expired).limit(limit))
        freed = []
        for job in lock_jobs(self._transaction, candidates):
            statement = select(JobImageRow.index, JobImageRow.lost).where(
                JobImageRow.job_id == job.id, JobImageRow.index.in_(candidates[job.id]), expired
            )
            lost = {index: before + 1 for index, before in self._transaction.writing.execute(statement)}
            freed += self._give_back(job, lost, losses=losses, now=now)
        return freed

    def resend_due(
        self, *, now: datetime, silent_since: datetime, priorities: Sequence[Priority], limit: int
    ) -> Sequence[LostImages]:
        silent = or_(JobImageRow.sent_at.is_(None), JobImageRow.sent_at < silent_since)
        waiting = and_(_is(ImageStatus.QUEUED), _due(now), silent)
        candidates = self._grouped(
            select(JobImageRow.job_id, JobImageRow.index)
            .join(JobRow, JobRow.id == JobImageRow.job_id)
            .where(waiting, JobRow.priority.in_([each.value for each in priorities]), JobRow.finished_at.is_(None))
            .order_by(JobImageRow.job_id, JobImageRow.index)
            .limit(limit)
        )
        resent = []
        for job in lock_jobs(self._transaction, candidates):
            statement = (
                update(JobImageRow)
                .where(JobImageRow.job_id == job.id, JobImageRow.index.in_(candidates[job.id]), waiting)
                .values(sent_at=now)
                .returning(JobImageRow.index.label("at"), JobImageRow.lost)
            )
            lost = {row.at: row.lost for row in self._transaction.writing.execute(statement)}
            if lost:
                resent.append(LostImages(job=job, lost=dict(sorted(lost.items()))))
        return resent

    def unsend(self, pieces: Iterable[Slice]) -> None:
        found = list(pieces)
        known = {job.id for job in lock_jobs(self._transaction, (piece.job_id for piece in found))}
        keys = [{"key_job": each.job_id, "first": each.first, "last": each.last} for each in found]
        statement = (
            update(JobImageRow)
            .where(JobImageRow.job_id == bindparam("key_job"), JobImageRow.status == ImageStatus.QUEUED.value)
            .where(JobImageRow.index.between(bindparam("first"), bindparam("last")))
            .values(sent_at=None)
        )
        if known:
            self._transaction.writing.execute(statement, [each for each in keys if each["key_job"] in known])

    def newest_running(self, priority: Priority) -> datetime | None:
        statement = (
            select(func.max(JobImageRow.sent_at))
            .join(JobRow, JobRow.id == JobImageRow.job_id)
            .where(_is(ImageStatus.RUNNING), JobRow.priority == priority.value)
        )
        return self._transaction.reading.execute(statement).scalar_one()

    def _give_back(self, job: Job, lost: Mapping[int, int], *, losses: int, now: datetime) -> list[LostImages]:
        """Decide about images of a locked job whose leases ran out. Returns those that wait again."""
        canceled = set(lost) if job.cancel_requested_at is not None else set()
        failed = {index for index, times in lost.items() if times >= losses} - canceled
        queued = set(lost) - canceled - failed
        ended = {"lease_until": None, "finished_at": now, "lost": JobImageRow.lost + 1}
        self._change(job.id, canceled, status=ImageStatus.CANCELED.value, **ended)
        self._change(job.id, failed, status=ImageStatus.FAILED.value, **ended, **failure_values(WORKER_LOST))
        self._change(
            job.id, queued, status=ImageStatus.QUEUED.value, **_WAITING, sent_at=now, lost=JobImageRow.lost + 1
        )
        counts = move(job.counts, ImageStatus.RUNNING, ImageStatus.CANCELED, len(canceled))
        counts = move(counts, ImageStatus.RUNNING, ImageStatus.FAILED, len(failed))
        counts = move(counts, ImageStatus.RUNNING, ImageStatus.QUEUED, len(queued))
        after = settle(job, counts, now=now)
        if lost:
            write_job(self._transaction, job, after)
        return [LostImages(job=after, lost={index: lost[index] for index in sorted(queued)})] if queued else []

    def _held(self, job_id: str, attempts: Mapping[int, int]) -> frozenset[int]:
        """Which of these images of a locked job still run under that attempt."""
        if not attempts:
            return frozenset()
        statement = select(JobImageRow.index, JobImageRow.attempt).where(
            JobImageRow.job_id == job_id, JobImageRow.index.in_(attempts), _is(ImageStatus.RUNNING)
        )
        found = self._transaction.writing.execute(statement)
        return frozenset(index for index, attempt in found if attempts[index] == attempt)

    def _change(self, job_id: str, indices: Iterable[int], **values: Any) -> None:
        """Images of a locked job."""
        chosen = sorted(indices)
        if chosen:
            statement = update(JobImageRow).where(JobImageRow.job_id == job_id, JobImageRow.index.in_(chosen))
            self._transaction.writing.execute(statement.values(**values))

    def _grouped(self, statement: Any) -> dict[str, list[int]]:
        groups: dict[str, list[int]] = defaultdict(list)
        for job_id, index in self._transaction.reading.execute(statement):
            groups[job_id].append(index)
        return groups

    def _require_job(self, job_id: str) -> None:
        statement = select(JobRow.id).where(JobRow.id == job_id, JobRow.is_deleted.is_(False))
        if self._transaction.reading.execute(statement).first() is None:
            raise JobNotFound(f"there is no job {job_id!r}")


_WAITING: Values = {"worker": None, "lease_until": None, "finished_at": None}


def _is(status: ImageStatus) -> ColumnElement[bool]:
    """Written out instead of bound: with a parameter no partial index would be found to fit."""
    return JobImageRow.status == literal(status.value, literal_execute=True)


def _due(now: datetime) -> ColumnElement[bool]:
    return or_(JobImageRow.retry_at.is_(None), JobImageRow.retry_at <= now)


def _ended_values(outcome: Outcome, job: Job, *, now: datetime) -> Values:
    """The columns of an image after an attempt; the same names for every outcome."""
    status = _status_after(outcome, job)
    waits = status is ImageStatus.QUEUED
    return {
        "status": status.value,
        "lease_until": None,
        "retry_at": outcome.retry_at if waits else None,
        "sent_at": None,  # an image that waits again has to be sent again when it is due
        "finished_at": None if waits else now,
        **failure_values(None if status is ImageStatus.CANCELED else outcome.failure),
        **result_values(outcome.result),
    }


def _status_after(outcome: Outcome, job: Job) -> ImageStatus:
    if outcome.result is not None:
        return ImageStatus.SUCCEEDED
    if outcome.canceled or (outcome.retry_at is not None and job.cancel_requested_at is not None):
        return ImageStatus.CANCELED
    return ImageStatus.FAILED if outcome.retry_at is None else ImageStatus.QUEUED


def _moved(counts: Counts, statuses: Iterable[ImageStatus]) -> Counts:
    for status in statuses:
        counts = move(counts, ImageStatus.RUNNING, status, 1)
    return counts
