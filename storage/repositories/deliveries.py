"""Rows of deliveries: `jobs.deliveries.ports.DeliveryRepository`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, delete, exists, func, literal, or_, select, update

from jobs.deliveries import schedule
from jobs.deliveries.delivery import Backlog, Delivery, DeliveryStatus
from jobs.deliveries.ports import AtOnce
from jobs.errors import DeliveryNotFound, JobNotFound
from storage.outbox import owe, to_delivery, try_values
from storage.tables import DELIVERIES, DELIVERY, JOB
from storage.transaction import Transaction

_EARLIER = DELIVERIES.alias("earlier").c
_BUSY = DELIVERIES.alias("busy").c


class SqlDeliveries:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def add(self, delivery: Delivery) -> bool:
        return owe(self._transaction, delivery)

    def get(self, delivery_id: str) -> Delivery:
        row = self._transaction.read(select(DELIVERIES).where(DELIVERY.id == delivery_id)).first()
        if row is None:
            raise DeliveryNotFound(f"there is no delivery {delivery_id!r}")
        return to_delivery(row)

    def page(self, job_id: str, *, limit: int, after: int = 0) -> Sequence[Delivery]:
        job = select(JOB.id).where(JOB.id == job_id, JOB.is_deleted.is_(False))
        if self._transaction.read(job).first() is None:
            raise JobNotFound(f"there is no job {job_id!r}")
        of_job = select(DELIVERIES).where(DELIVERY.job_id == job_id, DELIVERY.version > after)
        return [to_delivery(row) for row in self._transaction.read(of_job.order_by(DELIVERY.version).limit(limit))]

    def claim(self, *, limit: int, at_once: AtOnce, lease_s: float) -> Sequence[Delivery]:
        now = self._transaction.now
        candidates = self._transaction.read(_next(now, at_once).limit(limit)).scalars().all()
        if not candidates:
            return ()
        free = select(DELIVERY.id).where(DELIVERY.id.in_(candidates), _is_due(now)).order_by(DELIVERY.id)
        mine = self._transaction.write(free.with_for_update(skip_locked=True)).scalars().all()
        taken = (
            update(DELIVERIES)
            .where(DELIVERY.id.in_(mine))
            .values(claims=DELIVERY.claims + 1, lease_until=now + timedelta(seconds=lease_s))
            .returning(*DELIVERY)
        )
        found = self._with_origins([to_delivery(row) for row in self._transaction.write(taken)])
        return sorted(found, key=lambda each: candidates.index(each.id))

    def end_try(self, delivery: Delivery) -> bool:
        is_this, is_gone = DELIVERY.id == delivery.id, delivery.status is DeliveryStatus.GONE
        if is_gone:
            self._lock(or_(is_this, and_(*_owed_as(delivery))))
        mine = update(DELIVERIES).where(
            is_this, DELIVERY.claims == delivery.claims, _IS_PENDING, DELIVERY.lease_until.is_not(None)
        )
        if not self._transaction.write(mine.values(try_values(delivery))).rowcount:
            return False
        if is_gone:
            self._give_up(delivery)
        return True

    def redeliver(self, delivery_id: str) -> Delivery:
        is_this, now, found = DELIVERY.id == delivery_id, self._transaction.now, self.get(delivery_id)
        before = (DELIVERY.job_id == found.job_id, DELIVERY.version < found.version)
        waits = and_(*before, _IS_PENDING, DELIVERY.due_at > now, _is_free(now))
        self._lock(or_(is_this, waits))
        after = schedule.again(self.get(delivery_id), now=now)
        self._transaction.write(update(DELIVERIES).where(is_this).values(try_values(after)))
        self._transaction.write(update(DELIVERIES).where(waits).values(due_at=now))
        return after

    def remove(self, delivery_id: str) -> None:
        self._transaction.write(delete(DELIVERIES).where(DELIVERY.id == delivery_id))

    def forget_pings(self, *, older_than_s: float) -> None:
        before = self._transaction.now - timedelta(seconds=older_than_s)
        self._transaction.write(delete(DELIVERIES).where(DELIVERY.job_id.is_(None), DELIVERY.created_at < before))

    def backlog(self) -> Backlog:
        statement = select(func.count(DELIVERY.id), func.min(DELIVERY.created_at)).where(_IS_PENDING)
        pending, oldest = self._transaction.read(statement).one()
        age_s = 0.0 if oldest is None else (self._transaction.now - oldest).total_seconds()
        return Backlog(pending=pending, oldest_s=max(0.0, age_s))

    def _with_origins(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        job_ids = sorted({each.job_id for each in deliveries if each.job_id is not None})
        rows = self._transaction.read(select(JOB.id, JOB.origin).where(JOB.id.in_(job_ids), JOB.origin.is_not(None)))
        origins = {row.id: row.origin for row in rows}
        return [replace(each, origin=origins.get(each.job_id, {})) for each in deliveries]

    def _lock(self, where: ColumnElement[bool]) -> None:
        """Rows that this transaction is going to change, all of them before the first, in the order of their ids:
        with one order no two wait for each other. `claim` waits for nobody."""
        self._transaction.write(select(DELIVERY.id).where(where).order_by(DELIVERY.id).with_for_update()).all()

    def _give_up(self, gone: Delivery) -> None:
        others = update(DELIVERIES).where(*_owed_as(gone))
        self._transaction.write(
            others.values(status=DeliveryStatus.GONE.value, due_at=None, lease_until=None, ended_at=gone.ended_at)
        )


def _owed_as(gone: Delivery) -> Sequence[ColumnElement[bool]]:
    """What else is owed to the same address, beside pings."""
    return (_IS_PENDING, DELIVERY.tenant == gone.tenant, DELIVERY.url == gone.url, DELIVERY.job_id.is_not(None))


def _pending(columns: Any) -> ColumnElement[bool]:
    """Written out instead of bound: with a parameter no partial index would be found to fit."""
    found: ColumnElement[bool] = columns.status == literal(DeliveryStatus.PENDING.value, literal_execute=True)
    return found


_IS_PENDING = _pending(DELIVERY)


def _is_due(now: datetime) -> ColumnElement[bool]:
    return and_(_IS_PENDING, DELIVERY.due_at <= now, _is_free(now))


def _is_free(now: datetime) -> ColumnElement[bool]:
    return or_(DELIVERY.lease_until.is_(None), DELIVERY.lease_until <= now)


def _next(now: datetime, at_once: AtOnce) -> Select[Any]:
    """Ids of what may be sent now: of a tenant to one host, and of a tenant at all, so many that together with those
    being sent there are not too many; to a host one, where what is owed was tried in vain. Somebody waits for what
    comes of a ping: it goes before what is owed, and whatever is being sent to its host."""
    before = exists().where(_EARLIER.job_id == DELIVERY.job_id, _EARLIER.version < DELIVERY.version, _pending(_EARLIER))
    host = (DELIVERY.tenant, DELIVERY.host)
    columns = (DELIVERY.id, DELIVERY.job_id, *host, DELIVERY.due_at)
    due = select(*columns, _place(*host).label("place")).where(_is_due(now), ~before)
    waiting = due.subquery("waiting").c
    of_host = _being_sent(now, at_once, _BUSY.tenant, _BUSY.host).subquery("of_host").c
    fitting = (
        select(waiting.id, waiting.tenant, waiting.due_at, _place(waiting.tenant, of=waiting).label("place"))
        .join(of_host.host.table, and_(of_host.tenant == waiting.tenant, of_host.host == waiting.host))
        .where(or_(waiting.job_id.is_(None), waiting.place + of_host.sent <= of_host.most))
    )
    fits = fitting.subquery("fitting").c
    of_tenant = _being_sent(now, at_once, _BUSY.tenant).subquery("of_tenant").c
    return (
        select(fits.id)
        .join(of_tenant.tenant.table, of_tenant.tenant == fits.tenant)
        .where(fits.place + of_tenant.sent <= at_once.per_tenant)
        .order_by(fits.due_at, fits.id)
    )


def _place(*among: ColumnElement[Any], of: Any = DELIVERY) -> ColumnElement[int]:
    """From 1, pings first, then the longest due."""
    return func.row_number().over(partition_by=among, order_by=(of.job_id.is_not(None), of.due_at, of.id))


def _being_sent(now: datetime, at_once: AtOnce, *whose: ColumnElement[Any]) -> Select[Any]:
    """Of each who is owed something: how much of it is being sent, and how much may be to one host."""
    sent = func.sum(case((_BUSY.lease_until > now, 1), else_=0)).label("sent")
    most = case((func.max(_BUSY.tries) > 0, 1), else_=at_once.per_host).label("most")
    return select(*whose, sent, most).where(_pending(_BUSY)).group_by(*whose)
