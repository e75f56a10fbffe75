"""How much waits, for how long already and for how much longer: by queue and tenant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.deliveries.delivery import Backlog as Owed
from jobs.job import Priority
from jobs.ports import OpenUnit
from jobs.watching.waiting import Waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """oldest_s: since the oldest job came that has images queued; 0 when none has. Jobs that were tried again are left
    out: when they were, nobody wrote down. backlog_s: how long the queued images of this tenant would take at the rate
    at which all jobs of the queue end theirs now; None while none of them has ended one.
    """

    priority: Priority
    tenant: str
    queued: int
    running: int
    oldest_s: float
    backlog_s: float | None


def read_backlog(open_unit: OpenUnit) -> Sequence[Backlog]:
    """Of every queue and tenant with unfinished jobs. Raises DatabaseUnavailable."""
    with open_unit() as unit:
        now, found = unit.now, unit.jobs.waiting()
    rates: dict[Priority, float] = defaultdict(float)
    for each in found:
        rates[each.priority] += each.images_per_second

    def backlog(each: Waiting) -> Backlog:
        rate = rates[each.priority]
        ahead = each.queued / rate if rate else None
        return Backlog(
            priority=each.priority,
            tenant=each.tenant,
            queued=each.queued,
            running=each.running,
            oldest_s=0.0 if each.oldest_at is None else max(0.0, (now - each.oldest_at).total_seconds()),
            backlog_s=ahead if each.queued else 0.0,
        )

    return [backlog(each) for each in found]


def read_owed(open_unit: OpenUnit) -> Owed:
    """Of webhooks, over all tenants. Raises DatabaseUnavailable."""
    with open_unit() as unit:
        return unit.deliveries.backlog()
