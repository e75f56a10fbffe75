"""When a delivery is tried again, and when it is given up. Nothing here reads or writes.

It is sent at once; then it is tried again after each of PAUSES_S, which takes about three days, and then it is
`exhausted`. A receiver that answers 410 is told nothing more of that job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from jobs.deliveries.delivery import Delivery, DeliveryStatus, Reply, Try

PAUSES_S = (5.0, 30.0, 120.0, 600.0, 3600.0, 3 * 3600.0, 6 * 3600.0, 12 * 3600.0, 24 * 3600.0, 24 * 3600.0)
JITTER = 0.2  # a pause is longer or shorter by up to this share: receivers that were down are not run over
LONGEST_PAUSE_S = 24 * 3600.0 * (1 + JITTER)  # however long a receiver asks for
GONE = 410
KEPT_TRIES = 20


def after_try(
    delivery: Delivery, reply: Reply, *, now: datetime, chance: float, pauses_s: Sequence[float] = PAUSES_S
) -> Delivery:
    """The delivery as it is after a try that has just ended. chance: in [0, 1), for the jitter."""
    done = Try(
        at=now,
        status_code=reply.status_code,
        error=reply.error,
        response=reply.response,
        duration_ms=reply.duration_ms,
    )
    tried = replace(
        delivery, tries=delivery.tries + 1, log=(*delivery.log, done)[-KEPT_TRIES:], lease_until=None, due_at=None
    )
    if reply.is_accepted:
        return replace(tried, status=DeliveryStatus.DELIVERED, ended_at=now)
    if reply.status_code == GONE:
        return replace(tried, status=DeliveryStatus.GONE, ended_at=now)
    if delivery.job_id is None or tried.tries > len(pauses_s):
        return replace(tried, status=DeliveryStatus.EXHAUSTED, ended_at=now)
    pause_s = pause_after(pauses_s[tried.tries - 1], reply.retry_after_s, chance=chance)
    return replace(tried, due_at=now + timedelta(seconds=pause_s))


def pause_after(planned_s: float, retry_after_s: float | None, *, chance: float) -> float:
    """Seconds: as planned, give or take, but not before the receiver wants to be asked again."""
    jittered_s = planned_s * (1 + JITTER * (2 * chance - 1))
    return min(LONGEST_PAUSE_S, max(jittered_s, retry_after_s or 0.0))


def again(delivery: Delivery, *, now: datetime) -> Delivery:
    """Asked for once more: at once, and with every pause before it. One that is being sent just now is left alone."""
    if delivery.status is DeliveryStatus.PENDING:
        is_held = delivery.lease_until is not None and delivery.lease_until > now
        return delivery if is_held else replace(delivery, due_at=now)
    return replace(delivery, status=DeliveryStatus.PENDING, tries=0, due_at=now, lease_until=None, ended_at=None)
