"""What the process that sends webhooks does: take what is due, send it, write down what came of it.

A process that vanishes in between leaves a lease that runs out: then it is sent once more.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from jobs.deliveries.delivery import Delivery, DeliveryStatus, Reply
from jobs.deliveries.ports import AtOnce, Sender
from jobs.deliveries.schedule import PAUSES_S, after_try
from jobs.deliveries.signing import signed_headers
from jobs.errors import DatabaseUnavailable
from jobs.ports import OpenUnit, UnitOfWork

logger = logging.getLogger(__name__)

Observe = Callable[[Delivery, Reply], None]
Around = Callable[[Delivery], AbstractContextManager[Mapping[str, str]]]


def _nobody(_delivery: Delivery, _reply: Reply) -> None: ...


def _nothing(_delivery: Delivery) -> AbstractContextManager[Mapping[str, str]]:
    return nullcontext({})


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRules:
    """lease_s must outlast a try and the writing down."""

    lease_s: float = 45.0
    at_once: AtOnce = AtOnce()  # noqa: RUF009 - frozen
    pauses_s: tuple[float, ...] = PAUSES_S
    write_again_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Claimed:
    """headers: its signature, as of the time when it was taken."""

    delivery: Delivery
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Delivering:
    """observe: told of each try, by the thread that made it. around: each try; gives further headers."""

    open_unit: OpenUnit
    sender: Sender
    rules: DeliveryRules
    chance: Callable[[], float] = random.random
    observe: Observe = _nobody
    around: Around = _nothing

    def claim(self, room: int) -> Sequence[Claimed]:
        """At most `room` of what is due. Raises DatabaseUnavailable."""
        with self.open_unit() as unit:
            found = unit.deliveries.claim(limit=room, at_once=self.rules.at_once, lease_s=self.rules.lease_s)
            if not found:
                return ()
            signing = {tenant: self._signing(unit, tenant) for tenant in sorted({each.tenant for each in found})}
            now = unit.now
            unit.commit()
        return [Claimed(each, signed_headers(each.id, each.body, signing[each.tenant], now=now)) for each in found]

    def deliver(self, claimed: Claimed) -> None:
        """One try, written down. A database that is away is asked again until the lease has run out."""
        with self.around(claimed.delivery) as more:
            self._try(claimed, more)

    def _try(self, claimed: Claimed, more: Mapping[str, str]) -> None:
        delivery = claimed.delivery
        reply = self.sender.send(delivery.url, {**claimed.headers, **more}, delivery.body.encode())
        give_up = time.monotonic() + self.rules.lease_s
        while not self._write(delivery, reply):
            if time.monotonic() >= give_up:
                logger.warning("a delivery could not be written down; it is sent again", extra=_extra(delivery, reply))
                return
            time.sleep(self.rules.write_again_s)
        _log(delivery, reply)
        self.observe(delivery, reply)

    def _write(self, delivery: Delivery, reply: Reply) -> bool:
        """False while the database is away."""
        try:
            with self.open_unit() as unit:
                after = after_try(delivery, reply, now=unit.now, chance=self.chance(), pauses_s=self.rules.pauses_s)
                if unit.deliveries.end_try(after) and after.status is DeliveryStatus.GONE:
                    _retire_default(unit, after)
                unit.commit()
        except DatabaseUnavailable:
            return False
        return True

    def _signing(self, unit: UnitOfWork, tenant: str) -> tuple[str, ...]:
        found = unit.webhooks.find(tenant) or unit.webhooks.lock(tenant)
        return found.secrets.valid(unit.now)


def _retire_default(unit: UnitOfWork, delivery: Delivery) -> None:
    """A tenant's default receiver that wants nothing more gets nothing of later jobs either."""
    webhooks = unit.webhooks.lock(delivery.tenant)
    if webhooks.endpoint is not None and webhooks.endpoint.url == delivery.url:
        unit.webhooks.put(delivery.tenant, replace(webhooks, gone_at=unit.now))


def _log(delivery: Delivery, reply: Reply) -> None:
    came = reply.error or f"{reply.status_code} after {reply.duration_ms:.0f} ms"
    of_what = delivery.id if delivery.job_id is None else f"{delivery.id} of {delivery.job_id}"
    logger.info("%s %s: %s", delivery.event, of_what, came, extra=_extra(delivery, reply))


def _extra(delivery: Delivery, reply: Reply) -> dict[str, object]:
    return {
        "action": "webhook_tried",
        "delivery": delivery.id,
        "job_id": delivery.job_id,
        "event": delivery.event,
        "status_code": reply.status_code,
        "reason": reply.error,
    }
