"""Writing what is owed to a receiver, in the transaction of the change that causes it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, exists, insert, literal, or_, select

from jobs.deliveries.delivery import Delivery, DeliveryStatus, Try
from jobs.deliveries.endpoint import PROGRESS, host_of
from storage.rows import storable
from storage.tables import DELIVERIES, DELIVERY
from storage.transaction import Transaction

_EARLIER = DELIVERIES.alias("earlier").c


def owe(transaction: Transaction, delivery: Delivery) -> bool:
    """Whether it was written: see `jobs.deliveries.ports.DeliveryRepository.add`."""
    if not transaction.owns(delivery.tenant):
        raise ValueError(f"delivery {delivery.id} is another tenant's")
    values = delivery_values(delivery)
    columns = [bindparam(f"to_{name}", value, type_=DELIVERY[name].type) for name, value in values.items()]
    new = select(*columns)
    if delivery.job_id is not None:  # nothing is in the way of a ping: others are of no job either, and of anybody
        new = new.where(~exists(select(literal(1)).where(_in_the_way(delivery))))
    added = insert(DELIVERIES).from_select(list(values), new).returning(DELIVERY.id)
    return transaction.write(added).first() is not None


def _in_the_way(delivery: Delivery) -> ColumnElement[bool]:
    """A receiver that wants nothing more; for a progress also an earlier one that still waits."""
    unwanted = _EARLIER.status == DeliveryStatus.GONE.value
    if delivery.event == PROGRESS:
        waits = and_(_EARLIER.event == PROGRESS, _EARLIER.status == DeliveryStatus.PENDING.value)
        unwanted = or_(unwanted, waits)
    return and_(_EARLIER.job_id == delivery.job_id, unwanted)


def delivery_values(delivery: Delivery) -> Mapping[str, Any]:
    """Every column."""
    return {
        "id": delivery.id,
        "tenant": delivery.tenant,
        "job_id": delivery.job_id,
        "version": delivery.version,
        "event": delivery.event,
        "url": delivery.url,
        "host": host_of(delivery.url),
        "body": delivery.body,
        "created_at": delivery.created_at,
        **try_values(delivery),
    }


def try_values(delivery: Delivery) -> Mapping[str, Any]:
    """The columns that change with each try."""
    return {
        "status": delivery.status.value,
        "tries": delivery.tries,
        "claims": delivery.claims,
        "due_at": delivery.due_at,
        "lease_until": delivery.lease_until,
        "ended_at": delivery.ended_at,
        "log": [_from_try(each) for each in delivery.log],
    }


def to_delivery(row: Any) -> Delivery:
    return Delivery(
        id=row.id,
        tenant=row.tenant,
        job_id=row.job_id,
        version=row.version,
        event=row.event,
        url=row.url,
        body=row.body,
        created_at=row.created_at,
        due_at=row.due_at,
        status=DeliveryStatus(row.status),
        tries=row.tries,
        claims=row.claims,
        lease_until=row.lease_until,
        ended_at=row.ended_at,
        log=tuple(map(_to_try, row.log)),
    )


def _from_try(done: Try) -> dict[str, Any]:
    return {
        "at": done.at.isoformat(),
        "status_code": done.status_code,
        "error": None if done.error is None else storable(done.error),
        "response": storable(done.response),
        "duration_ms": done.duration_ms,
    }


def _to_try(stored: Mapping[str, Any]) -> Try:
    return Try(**{**stored, "at": datetime.fromisoformat(stored["at"])})
