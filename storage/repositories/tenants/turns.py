"""Whose images wait: `jobs.tenants.ports.TurnRepository`."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, bindparam, case, exists, func, or_, select

from jobs.job import ImageStatus, Priority
from jobs.tenants.ports import NextImages, Share
from storage.ledger import is_in
from storage.scope import Prepared
from storage.tables import IMAGE, JOB
from storage.transaction import Transaction

_WAITING = func.sum(case((JOB.priority == bindparam("priority"), JOB.queued), else_=0))
_SHARES = Prepared(
    select(JOB.tenant, func.sum(JOB.running).label("running"))
    .where(JOB.finished_at.is_(None), JOB.is_deleted.is_(False))
    .group_by(JOB.tenant)
    .having(_WAITING > 0)
    .order_by(JOB.tenant)
)


def _next(tried: ColumnElement[bool]) -> tuple[Prepared, Prepared]:
    """The oldest job that has such images, and then these: sorted together, all images of that job would be."""
    now = bindparam("now", type_=IMAGE.retry_at.type)
    due = and_(is_in(ImageStatus.QUEUED), or_(IMAGE.retry_at.is_(None), IMAGE.retry_at <= now), tried)
    job = (
        select(JOB.id, JOB.slice_size)
        .where(JOB.tenant == bindparam("whose"), JOB.priority == bindparam("priority"), JOB.finished_at.is_(None))
        .where(JOB.is_deleted.is_(False), JOB.queued > 0)
        .where(exists(select(IMAGE.job_id).where(IMAGE.job_id == JOB.id, due)))
        .order_by(JOB.id)
        .limit(1)
    )
    images = select(IMAGE["index"].label("at"), IMAGE.lost).where(IMAGE.job_id == bindparam("job"), due)
    return Prepared(job), Prepared(images.order_by(IMAGE["index"]).limit(bindparam("most")))


_FRESH, _TRIED = _next(IMAGE.attempt == 0), _next(IMAGE.attempt > 0)


class SqlTurns:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def shares(self, priority: Priority) -> Sequence[Share]:
        found = self._transaction.look_up(_SHARES, priority=priority.value)
        return [Share(row.tenant, int(row.running)) for row in found]

    def next_images(
        self, tenant: str, priority: Priority, *, limit: int, tried_first: bool = False
    ) -> NextImages | None:
        read, now = self._transaction.look_up, self._transaction.now
        for oldest_job, first_images in (_TRIED, _FRESH) if tried_first else (_FRESH, _TRIED):
            while (job := read(oldest_job, whose=tenant, priority=priority.value, now=now).first()) is not None:
                losses = {row.at: row.lost for row in read(first_images, job=job.id, now=now, most=limit)}
                if losses:
                    return NextImages(job.id, job.slice_size, losses)
                # Others have taken them in between, so the next look finds another job.
        return None
