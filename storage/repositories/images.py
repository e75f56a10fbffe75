"""Rows of images: `jobs.ports.ImageRepository`. The job's row is locked first, then images change, then the job."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, bindparam, func, or_, select, tuple_, update

from jobs import transitions
from jobs.errors import ImageNotFound, JobNotFound
from jobs.job import ImageResult, ImageStatus, Job, JobImage, Priority, Slice
from jobs.listing.filters import EVERY_IMAGE, ImageFilter
from jobs.ports import Claim, Finished, LostImages, Outcome, WaitingImages
from jobs.transitions import Held, Transition
from segmentation.measures.agreement import Agreement
from storage.ledger import carry_out, carry_out_unchanged, is_due, is_in, lock_job, lock_jobs, move_due, write_job
from storage.repositories import paging
from storage.repositories.reporting.known import remember
from storage.rows import comparison_values, results_values, to_image
from storage.scope import Prepared
from storage.tables import IMAGE, IMAGES, JOB, JOBS
from storage.transaction import Transaction

FETCH = 1_000
SET_BACK = timedelta(minutes=1)  # what was sent so far in the future, a clock says that was set back since


class SqlImages:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def get(self, job_id: str, index: int) -> JobImage:
        row = self._transaction.look_up(_ONE, job=job_id, at=index).first()
        if row is None:
            self._require_job(job_id)
            raise ImageNotFound(f"job {job_id} has no image {index}")
        return to_image(row)

    def page(
        self, job_id: str, *, where: ImageFilter = EVERY_IMAGE, sort: str, limit: int, after: str | None
    ) -> tuple[Sequence[JobImage], str | None]:
        order = paging.ORDERS[sort]
        place = order.start if after is None else order.decode(after)
        self._require_job(job_id)
        wanted = [IMAGE.job_id == job_id, *paging.conditions(where)]
        found: list[Row[Any]] = []
        for statement in order.statements(place):
            missing = limit + 1 - len(found)  # one more tells whether there is another page
            if missing:
                found += self._transaction.read(statement.where(*wanted).limit(missing))
        page = found[:limit]
        return [to_image(row) for row in page], order.encode(page[-1]) if len(found) > limit else None

    def class_shares(self, job_id: str, *, where: ImageFilter) -> Iterable[tuple[int, Mapping[str, float] | None]]:
        self._require_job(job_id)
        shares = IMAGE.results[(0, "metrics", "class_fractions")].as_json().label("shares")
        wanted = [IMAGE.job_id == job_id, *paging.conditions(where)]
        rows = self._transaction.read(select(IMAGE["index"], shares).where(*wanted))
        return [(index, shares) for index, shares in rows]

    def chosen(self, job_id: str, indices: Sequence[int]) -> Sequence[JobImage]:
        self._require_job(job_id)
        wanted = select(IMAGES).where(IMAGE.job_id == job_id, IMAGE["index"].in_(indices))
        found = {image.index: image for image in map(to_image, self._transaction.read(wanted))}
        return [found[index] for index in indices if index in found]

    def run(self, job_id: str, *, first: int, last: int) -> Sequence[JobImage]:
        self._require_job(job_id)
        return [to_image(row) for row in self._transaction.look_up(_RUN, job=job_id, first=first, last=last)]

    def since(self, job_id: str, version: int, *, limit: int, after: int | None = None) -> Sequence[JobImage]:
        self._require_job(job_id)
        place = (version, paging.LARGEST_INDEX if after is None else after)
        statement = (
            select(IMAGES)
            .where(IMAGE.job_id == job_id, tuple_(IMAGE.version, IMAGE["index"]) > place)
            .order_by(IMAGE.version, IMAGE["index"])
            .limit(limit)
        )
        return [to_image(row) for row in self._transaction.read(statement)]

    def claim(self, piece: Slice, *, worker: str, lease_s: float) -> Claim | None:
        job = lock_job(self._transaction, piece.job_id)
        if job is None or not job.counts.queued:
            return None
        now = self._transaction.now
        move = transitions.taking(worker=worker, now=now, lease_s=lease_s)
        images = [to_image(row) for row in move_due(self._transaction, piece, move, now=now)]
        step = transitions.claim(job, [image.index for image in images], move, now=now)
        if step is None:
            return None
        write_job(self._transaction, job, step)
        return Claim(job=step.job, images=tuple(sorted(images, key=lambda image: image.index)))

    def renew(self, job_id: str, attempts: Mapping[int, int], *, lease_s: float) -> tuple[frozenset[int], bool]:
        job = lock_job(self._transaction, job_id)
        if job is None:
            return frozenset(), True
        at = self._held(job_id, attempts)
        held = [index for index, each in at.items() if each[:2] == (ImageStatus.RUNNING, attempts[index])]
        if held:
            until = self._transaction.now + timedelta(seconds=lease_s)
            mine = update(IMAGES).where(IMAGE.job_id == job_id, IMAGE["index"].in_(sorted(held)))
            self._transaction.write(mine.values(lease_until=until))
        return frozenset(held), job.cancel_requested_at is not None

    def finish(self, job_id: str, outcomes: Sequence[Outcome], *, claim: Claim | None = None) -> Finished:
        if claim is not None and claim.is_of_all_at_work and (answer := self._finish_all_claimed(claim, outcomes)):
            return answer
        job = lock_job(self._transaction, job_id)
        if job is None:
            return Finished((), frozenset(each.index for each in outcomes))
        images = self._held(job_id, [each.index for each in outcomes])
        step, answer = transitions.finish(job, images, outcomes, now=self._transaction.now)
        if step is not None:
            carry_out(self._transaction, job, step)
            self._remember(job, outcomes, answer)
        return answer

    def _finish_all_claimed(self, claim: Claim, outcomes: Sequence[Outcome]) -> Finished | None:
        """None, and nothing is done, when the job has changed since."""
        images = {each.index: Held(each.status, each.attempt, each.input_sha256) for each in claim.images}
        step, answer = transitions.finish(claim.job, images, outcomes, now=self._transaction.now)
        if step is None or not carry_out_unchanged(self._transaction, claim.job, step):
            return None
        self._remember(claim.job, outcomes, answer)
        return answer

    def _remember(self, job: Job, outcomes: Sequence[Outcome], answer: Finished) -> None:
        ended = set(answer.ended)
        remember(self._transaction, job, [each for each in outcomes if each.index in ended and each.results])

    def rescore(
        self, job_id: str, index: int, scores: Sequence[Mapping[str, Any]] | None, agreement: Agreement | None = None
    ) -> ImageResult:
        before = lock_job(self._transaction, job_id)
        if before is None:
            raise JobNotFound(f"there is no job {job_id!r}")
        job, image = transitions.rescore(before, self.get(job_id, index), scores, agreement)
        here = (IMAGE.job_id == job_id, IMAGE["index"] == index)
        values = results_values(image.results) | comparison_values(image.comparison)
        self._transaction.write(update(IMAGES).where(*here).values(values))
        write_job(self._transaction, before, Transition(job, ()))
        return image.results[0]

    def free_expired(self, *, losses: int, limit: int) -> Sequence[LostImages]:
        expired = and_(is_in(ImageStatus.RUNNING), IMAGE.lease_until <= self._transaction.now)
        candidates = self._grouped(select(IMAGE.job_id, IMAGE["index"]).where(expired).limit(limit))
        freed = []
        for job in lock_jobs(self._transaction, candidates):
            now = self._transaction.now
            statement = select(IMAGE["index"].label("at"), IMAGE.lost, IMAGE.attempt).where(
                IMAGE.job_id == job.id, IMAGE["index"].in_(candidates[job.id]), expired
            )
            rows = self._transaction.write(statement).all()
            lost = {row.at: row.lost for row in rows}
            step = transitions.lose(job, lost, losses=losses, now=now)
            if step is None:
                continue
            after = carry_out(self._transaction, job, step)
            waiting = {
                index: lost[index] + 1
                for move, indices in step.moves
                if move.target is ImageStatus.QUEUED
                for index in sorted(indices or ())
            }
            freed.append(LostImages(WaitingImages(job=after, losses=waiting), {row.at: row.attempt for row in rows}))
        return freed

    def resend_due(
        self, *, silent_s: float | None, priorities: Sequence[Priority], limit: int
    ) -> Sequence[WaitingImages]:
        now = self._transaction.now
        silent: list[ColumnElement[bool]] = [IMAGE.sent_at.is_(None)]
        if silent_s is not None:
            silent += [IMAGE.sent_at < now - timedelta(seconds=silent_s), IMAGE.sent_at > now + SET_BACK]
        waiting = and_(is_in(ImageStatus.QUEUED), is_due(now), or_(*silent))
        candidates = self._grouped(
            select(IMAGE.job_id, IMAGE["index"])
            .join(JOBS, JOB.id == IMAGE.job_id)
            .where(waiting, JOB.priority.in_([each.value for each in priorities]), JOB.finished_at.is_(None))
            .order_by(IMAGE.job_id, IMAGE["index"])
            .limit(limit)
        )
        resent = []
        for job in lock_jobs(self._transaction, candidates):
            statement = (
                update(IMAGES)
                .where(IMAGE.job_id == job.id, IMAGE["index"].in_(candidates[job.id]), waiting)
                .values(sent_at=now)
                .returning(IMAGE["index"].label("at"), IMAGE.lost)
            )
            losses = {row.at: row.lost for row in self._transaction.write(statement)}
            if losses:
                resent.append(WaitingImages(job=job, losses=dict(sorted(losses.items()))))
        return resent

    def unsend(self, pieces: Iterable[Slice]) -> None:
        found = list(pieces)
        known = {job.id for job in lock_jobs(self._transaction, (piece.job_id for piece in found))}
        keys = [{"key_job": each.job_id, "first": each.first, "last": each.last} for each in found]
        statement = (
            update(IMAGES)
            .where(IMAGE.job_id == bindparam("key_job"), IMAGE.status == ImageStatus.QUEUED.value)
            .where(IMAGE["index"].between(bindparam("first"), bindparam("last")))
            .values(sent_at=None)
        )
        if known:
            self._transaction.write(statement, [each for each in keys if each["key_job"] in known])

    def waiting(self, job_id: str) -> Sequence[int]:
        statement = select(IMAGE["index"]).where(IMAGE.job_id == job_id, is_in(ImageStatus.QUEUED))
        return self._transaction.read(statement.order_by(IMAGE["index"])).scalars().all()

    def newest_running_s(self, priority: Priority) -> float | None:
        statement = (
            select(func.max(IMAGE.sent_at))
            .join(JOBS, JOB.id == IMAGE.job_id)
            .where(is_in(ImageStatus.RUNNING), JOB.priority == priority.value)
        )
        newest: datetime | None = self._transaction.read(statement).scalar_one()
        return None if newest is None else (self._transaction.now - newest).total_seconds()

    def _held(self, job_id: str, indices: Iterable[int]) -> dict[int, Held]:
        """Those of a locked job's images that exist, as they are."""
        found = self._transaction.carry_out(_HELD, job=job_id, indices=sorted(indices))
        return {index: Held(ImageStatus(status), attempt, sha256) for index, status, attempt, sha256 in found}

    def _grouped(self, statement: Any) -> dict[str, list[int]]:
        groups: dict[str, list[int]] = defaultdict(list)
        for job_id, index in self._transaction.read(statement):
            groups[job_id].append(index)
        return groups

    def _require_job(self, job_id: str) -> None:
        if self._transaction.look_up(_THERE, job=job_id).first() is None:
            raise JobNotFound(f"there is no job {job_id!r}")


_OF_JOB = IMAGE.job_id == bindparam("job")
_ONE = Prepared(
    select(IMAGES)
    .join(JOBS, and_(JOB.id == IMAGE.job_id, JOB.is_deleted.is_(False)))
    .where(_OF_JOB, IMAGE["index"] == bindparam("at"))
)
_RUN = Prepared(
    select(IMAGES)
    .where(_OF_JOB, IMAGE["index"].between(bindparam("first"), bindparam("last")))
    .order_by(IMAGE["index"])
)
_THERE = Prepared(select(JOB.id).where(JOB.id == bindparam("job"), JOB.is_deleted.is_(False)))
_HELD = Prepared(
    select(IMAGE["index"], IMAGE.status, IMAGE.attempt, IMAGE.input_sha256).where(
        _OF_JOB, IMAGE["index"].in_(bindparam("indices", expanding=True))
    )
)
