"""What keeps promises when parts die: resend what was lost, free expired leases, delete what expired.

Called by the schedule every few seconds; running twice at once, or not for an hour, does no harm.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from jobs.errors import JobNotFound, JobRunning, QueueUnavailable
from jobs.job import Job, Priority, Slice
from jobs.keys import job_prefix
from jobs.ports import Clock, Dispatcher, LostImages, ObjectStore, OpenUnit
from jobs.retry import RetryPolicy

logger = logging.getLogger(__name__)

_NEVER = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpkeepRules:
    """silence_s: how long a queued image may stay without a message in sight before it is sent again.

    draft_s must outlast the longest upload. batch: most images, or jobs, that one run touches.
    """

    silence_s: float = 15.0
    draft_s: float = 24 * 3600.0
    idempotency_s: float = 24 * 3600.0
    worker_s: float = 3600.0
    batch: int = 5000
    deletions: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class UpkeepReport:
    """How many images or jobs each step concerned."""

    freed: int
    resent: int
    deleted: int


@dataclass(frozen=True, slots=True)
class Upkeep:
    open_unit: OpenUnit
    objects: ObjectStore
    dispatcher: Dispatcher
    policy: RetryPolicy
    rules: UpkeepRules
    clock: Clock
    _deleting: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> UpkeepReport:
        """Raises StorageUnavailable, DatabaseUnavailable; the next run continues."""
        freed = self._free_expired()
        resent = self._resend()
        deleted = self._delete()
        self._forget()
        report = UpkeepReport(freed=freed, resent=resent, deleted=deleted)
        if freed or resent or deleted:
            logger.info("upkeep: %s", report, extra={"action": "upkeep"})
        return report

    def _free_expired(self) -> int:
        """Images of vanished workers go back to the queue and are sent at once, in smaller slices each time."""
        with self.open_unit() as unit:
            lost = unit.images.free_expired(now=self.clock(), losses=self.policy.losses, limit=self.rules.batch)
            unit.commit()
        self._send(lost)
        return sum(len(each.lost) for each in lost)

    def _resend(self) -> int:
        """The images table is the outbox: what was never sent goes out as soon as it is due, what was lost again."""
        resent = self._send_due(list(Priority), silent_since=_NEVER)
        for priority in Priority:
            lost_before = self._lost_before(priority)
            if lost_before is not None:
                resent += self._send_due([priority], silent_since=lost_before)
        return resent

    def _lost_before(self, priority: Priority) -> datetime | None:
        """Messages that were sent before this, of images that still wait, are lost: the broker has none left, or
        works on later ones, for queues keep their order. None while nobody can tell."""
        silence = timedelta(seconds=self.rules.silence_s)
        try:
            if not self.dispatcher.waiting(priority):
                return self.clock() - silence
        except QueueUnavailable:
            return None
        with self.open_unit() as unit:
            newest = unit.images.newest_running(priority)
        return None if newest is None else newest - silence

    def _send_due(self, priorities: Sequence[Priority], *, silent_since: datetime) -> int:
        with self.open_unit() as unit:
            due = unit.images.resend_due(
                now=self.clock(), silent_since=silent_since, priorities=priorities, limit=self.rules.batch
            )
            unit.commit()
        self._send(due)
        return sum(len(each.lost) for each in due)

    def _send(self, found: Sequence[LostImages]) -> None:
        pieces = [piece for each in found for piece in self._pieces(each)]
        if not pieces:
            return
        try:
            self.dispatcher.dispatch(pieces)
        except QueueUnavailable as error:
            logger.warning("resend postponed", extra={"action": "dispatch_postponed", "reason": str(error)})
            with self.open_unit() as unit:
                unit.images.unsend(pieces)
                unit.commit()

    def _pieces(self, found: LostImages) -> Iterator[Slice]:
        """Runs of neighbouring images, none longer than the most often lost of its images allows."""
        run: list[int] = []
        room = 0
        for index in sorted(found.lost):
            allowed = self.policy.slice_size_after(found.lost[index], largest=found.job.slice_size)
            if run and (index != run[-1] + 1 or len(run) >= min(room, allowed)):
                yield _piece(found.job, run[0], run[-1])
                run = []
            room = min(room, allowed) if run else allowed
            run.append(index)
        if run:
            yield _piece(found.job, run[0], run[-1])

    def _delete(self) -> int:
        """One run at a time: a long deletion must not take every thread of a worker."""
        if not self._deleting.acquire(blocking=False):
            return 0
        try:
            return self._delete_some()
        finally:
            self._deleting.release()

    def _delete_some(self) -> int:
        """Expired jobs, jobs whose deletion was interrupted, and uploads that never became a job."""
        now = self.clock()
        with self.open_unit() as unit:
            expired = unit.jobs.expired(now=now, limit=self.rules.deletions)
        for job_id in expired:
            self._hide(job_id)
        with self.open_unit() as unit:
            hidden = unit.jobs.deleted(limit=self.rules.deletions)
            stale_before = now - timedelta(seconds=self.rules.draft_s)
            drafts = unit.drafts.stale(before=stale_before, limit=self.rules.deletions)
        for job_id in [*hidden, *drafts]:
            self.objects.delete_prefix(job_prefix(job_id))
            with self.open_unit() as unit:
                unit.jobs.purge(job_id)
                unit.drafts.close(job_id)
                unit.commit()
        return len(hidden) + len(drafts)

    def _hide(self, job_id: str) -> None:
        """Unless a client was quicker: with a deletion, or with a retry that made the job run again."""
        with self.open_unit() as unit, suppress(JobNotFound, JobRunning):
            unit.jobs.mark_deleted(job_id)
            unit.commit()

    def _forget(self) -> None:
        now = self.clock()
        with self.open_unit() as unit:
            unit.idempotency.forget(before=now - timedelta(seconds=self.rules.idempotency_s))
            unit.workers.forget(before=now - timedelta(seconds=self.rules.worker_s))
            unit.commit()


def _piece(job: Job, first: int, last: int) -> Slice:
    return Slice(job_id=job.id, first=first, last=last, priority=job.priority)
