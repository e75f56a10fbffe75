"""How much waits in the queues, in two statements over the unfinished jobs: `jobs.ports.JobRepository.waiting`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import and_, case, func, select

from jobs.job import Priority
from jobs.watching.waiting import Waiting
from storage.tables import JOB
from storage.transaction import Transaction

_UNFINISHED = and_(JOB.finished_at.is_(None), JOB.is_deleted.is_(False))
_BEFORE = func.coalesce(JOB.finished_before, 0)
_SINCE = case((and_(JOB.queued > 0, _BEFORE == 0), JOB.created_at))  # none of jobs that were tried again
_SUMS = (
    select(JOB.priority, JOB.tenant, func.sum(JOB.queued), func.sum(JOB.running), func.min(_SINCE))
    .where(_UNFINISHED)
    .group_by(JOB.priority, JOB.tenant)
    .order_by(JOB.priority, JOB.tenant)
)
_ENDED = (JOB.succeeded + JOB.failed - _BEFORE).label("ended")  # a canceled image took nobody's time
_RATES = select(JOB.priority, JOB.tenant, JOB.started_at, _ENDED).where(
    _UNFINISHED, JOB.started_at.is_not(None), _ENDED > 0
)


def read_waiting(transaction: Transaction) -> Sequence[Waiting]:
    rates: dict[tuple[str, str], float] = defaultdict(float)
    for priority, tenant, started_at, ended in transaction.read(_RATES):
        seconds = (transaction.now - started_at).total_seconds()
        rates[priority, tenant] += ended / seconds if seconds > 0 else 0.0
    return [
        Waiting(Priority(priority), tenant, int(queued), int(running), oldest_at, rates[priority, tenant])
        for priority, tenant, queued, running, oldest_at in transaction.read(_SUMS)
    ]
