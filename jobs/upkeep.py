"""What keeps promises when parts die: resend what was lost, free expired leases, delete what expired.

Called by the schedule every few seconds; running twice at once, or not for an hour, does no harm.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from jobs.errors import DatabaseUnavailable, JobNotFound, JobRunning, QueueUnavailable, StorageUnavailable
from jobs.job import Priority, Slice
from jobs.keys import attempt_keys
from jobs.ports import Dispatcher, LostImages, ObjectStore, OpenUnit, Remains, WaitingImages
from jobs.processing.leftovers import Leftovers
from jobs.processing.retry import RetryPolicy
from jobs.reporting.keeping import keep_parts
from jobs.uploads.sweeping import sweep_uploads

STORE_IS_AWAY = 3  # prefixes that cannot be deleted in one round: the others will not be either

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpkeepRules:
    """silence_s: how long a queued image may stay without a message in sight before it is sent again; one of a small
    job, for which somebody may be waiting, no longer than urgent_silence_s.

    patience_s: after the database was away, or may have been, until leases that ran out meanwhile are freed: time for
    living workers to renew them. draft_s must outlast the longest upload. batch: most images, or jobs, that one run
    touches.
    """

    silence_s: float = 15.0
    urgent_silence_s: float = 5.0
    patience_s: float = 15.0
    draft_s: float = 24 * 3600.0
    idempotency_s: float = 24 * 3600.0
    worker_s: float = 3600.0
    ping_s: float = 3600.0
    batch: int = 5000
    deletions: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class UpkeepReport:
    """How many images or jobs each step concerned."""

    freed: int
    resent: int
    deleted: int


class Contact:
    """Since when this process has had the database without a break. Safe for many threads.

    gap_s: of what was not seen for so long nobody knows whether it was there. since: when the contact began, on the
    clock; a process that has just begun knows nothing of what was before.
    """

    def __init__(
        self, *, gap_s: float = math.inf, since: float = -math.inf, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._gap_s, self._clock = gap_s, clock
        self._since = self._seen = since

    def seen(self) -> None:
        """The database answered."""
        now = self._clock()
        if now - self._seen > self._gap_s:
            self._since = now
        self._seen = now

    def lost(self) -> None:
        """It did not."""
        self._since = self._seen = self._clock()

    @property
    def lasts_s(self) -> float:
        return self._clock() - self._since


@dataclass(frozen=True, slots=True)
class Upkeep:
    """to_come: of these jobs, those whose results are still to be put into a bucket. They expire after that."""

    open_unit: OpenUnit
    objects: ObjectStore
    leftovers: Leftovers
    dispatcher: Dispatcher
    policy: RetryPolicy
    rules: UpkeepRules
    contact: Contact = field(default_factory=Contact)
    to_come: Callable[[Sequence[str]], Collection[str]] = lambda job_ids: ()
    _awaited: set[str] = field(default_factory=set)  # expired jobs that were to come in the last round
    _watched: set[str] = field(default_factory=set)  # large jobs, parts of whose archives are kept
    _deleting: threading.Lock = field(default_factory=threading.Lock)
    _behind: dict[str, str] = field(  # the last ids that were tried
        default_factory=lambda: {"jobs": "", "drafts": "", "uploads": ""}
    )

    def run(self) -> UpkeepReport:
        """Raises DatabaseUnavailable; the next run continues."""
        try:
            return self._round()
        except DatabaseUnavailable:
            self.contact.lost()
            raise

    def _round(self) -> UpkeepReport:
        freed = 0 if self._is_just_back() else self._free_expired()
        resent = self._resend()
        deleted = self._delete()
        self._forget()
        keep_parts(self.open_unit, self._watched)
        report = UpkeepReport(freed=freed, resent=resent, deleted=deleted)
        if freed or resent or deleted:
            logger.info("upkeep: %s", report, extra={"action": "upkeep"})
        return report

    def _is_just_back(self) -> bool:
        return self.contact.lasts_s < self.rules.patience_s

    def _free_expired(self) -> int:
        """Images of vanished workers go back to the queue and are sent at once, in smaller slices each time."""
        with self.open_unit() as unit:
            freed = unit.images.free_expired(losses=self.policy.losses, limit=self.rules.batch)
            unit.commit()
        self._send([each.waiting for each in freed if each.waiting.losses])
        self.leftovers.remove(key for each in freed for key in _stored_by(each))
        return sum(len(each.waiting.losses) for each in freed)

    def _resend(self) -> int:
        """The images table is the outbox: what was never sent goes out as soon as it is due, what was lost again."""
        resent = self._send_due(list(Priority), silent_s=None)
        for priority in Priority:
            for tenant, silent_s in self._lost_after(priority):
                resent += self._send_due([priority], silent_s=silent_s, tenant=tenant)
        return resent

    def _silence_s(self, priority: Priority) -> float:
        longest_s = self.rules.silence_s
        return min(longest_s, self.rules.urgent_silence_s) if priority is Priority.INTERACTIVE else longest_s

    def _lost_after(self, priority: Priority) -> Iterator[tuple[str | None, float]]:
        """Messages that were sent longer ago, of images that still wait, are lost: the broker has none left, or later
        ones of the same tenant are worked on, whose images keep their order. Nothing while nobody can tell."""
        try:
            if not self.dispatcher.waiting(priority):
                yield None, self._silence_s(priority)
                return
        except QueueUnavailable:
            return
        with self.open_unit() as unit:
            tenants = [share.tenant for share in unit.turns.shares(priority)]
        for tenant in tenants:
            with self.open_unit(tenant) as unit:
                newest_s = unit.images.newest_running_s(priority)
            if newest_s is not None:
                yield tenant, newest_s + self._silence_s(priority)

    def _send_due(self, priorities: Sequence[Priority], *, silent_s: float | None, tenant: str | None = None) -> int:
        with self.open_unit(tenant) as unit:
            due = unit.images.resend_due(silent_s=silent_s, priorities=priorities, limit=self.rules.batch)
            unit.commit()
        self._send(due)
        return sum(len(each.losses) for each in due)

    def _send(self, found: Sequence[WaitingImages]) -> None:
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

    def _pieces(self, found: WaitingImages) -> Iterator[Slice]:
        for first, last in self.policy.runs(found.losses, largest=found.job.slice_size):
            yield Slice(job_id=found.job.id, first=first, last=last, priority=found.job.priority)

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
        for job_id in self._expired():
            self._hide(job_id)
        with self.open_unit() as unit:
            hidden = unit.jobs.deleted(limit=self.rules.deletions, after=self._behind["jobs"])
            drafts = unit.drafts.stale(
                older_than_s=self.rules.draft_s, limit=self.rules.deletions, after=self._behind["drafts"]
            )
        return self._remove_all("jobs", hidden) + self._remove_all("drafts", drafts) + self._sweep_uploads()

    def _expired(self) -> Sequence[str]:
        """Those that may go. The others stand in nobody's way."""
        with self.open_unit() as unit:
            expired = unit.jobs.expired(limit=self.rules.deletions + len(self._awaited))
        self._awaited.clear()
        self._awaited.update(self.to_come(expired))
        return [job_id for job_id in expired if job_id not in self._awaited]

    def _sweep_uploads(self) -> int:
        removed, self._behind["uploads"] = sweep_uploads(self.open_unit, self.objects, after=self._behind["uploads"])
        return removed

    def _remove_all(self, kind: str, found: Sequence[Remains]) -> int:
        """The next round goes on behind what was tried, so that what cannot be deleted stands in nobody's way."""
        removed = failed = 0
        self._behind[kind] = ""
        for each in found:
            done = self._remove(each)
            removed, failed = removed + done, failed + (not done)
            if failed == STORE_IS_AWAY or (each is found[-1] and len(found) == self.rules.deletions):
                self._behind[kind] = each.job_id
                break
        return removed

    def _remove(self, remains: Remains) -> bool:
        try:
            self.objects.delete_prefix(remains.prefix)
        except StorageUnavailable as error:
            extra = {"action": "deletion_postponed", "job_id": remains.job_id, "reason": str(error)}
            logger.warning("objects could not be deleted; they are tried again", extra=extra)
            return False
        with self.open_unit() as unit:
            unit.jobs.purge(remains.job_id)
            unit.drafts.close(remains.job_id)
            unit.commit()
        return True

    def _hide(self, job_id: str) -> None:
        """Unless a client was quicker: with a deletion, or with a retry that made the job run again."""
        with self.open_unit() as unit, suppress(JobNotFound, JobRunning):
            unit.jobs.mark_deleted(job_id)
            unit.commit()

    def _forget(self) -> None:
        with self.open_unit() as unit:
            unit.idempotency.forget(older_than_s=self.rules.idempotency_s)
            unit.workers.forget(older_than_s=self.rules.worker_s)
            unit.deliveries.forget_pings(older_than_s=self.rules.ping_s)
            unit.commit()


def _stored_by(lost: LostImages) -> Iterator[str]:
    """Keys that the attempts may have stored which came to nothing with their workers."""
    for index, attempt in lost.attempts.items():
        yield from attempt_keys(lost.waiting.job, index, attempt=attempt)
