"""A worker's hold on the images of one slice: a heartbeat that renews it, and what the heartbeat learns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Protocol

from jobs.heartbeat import Heartbeat
from jobs.ports import Claim, OpenUnit


class LeaseRules(Protocol):
    """lease_s: how long the hold lasts without a heartbeat; heartbeat_s: the time between two, well below it."""

    @property
    def lease_s(self) -> float: ...
    @property
    def heartbeat_s(self) -> float: ...


class Lease(Heartbeat):
    """Counted on this process's own clock, from before the database was asked: it ends here no later than there."""

    def __init__(
        self, open_unit: OpenUnit, monotonic: Callable[[], float], rules: LeaseRules, claim: Claim, *, asked_at: float
    ) -> None:
        """asked_at: on `monotonic`, in seconds, before the claim."""
        super().__init__(f"lease-{claim.job.id}", every_s=rules.heartbeat_s)
        self._open_unit = open_unit
        self._monotonic = monotonic
        self._rules = rules
        self._job_id = claim.job.id
        self._attempts = {image.index: image.attempt for image in claim.images}
        self._lock = threading.Lock()
        self._until = asked_at + rules.lease_s
        self.canceled = claim.job.cancel_requested_at is not None

    def holds(self, index: int) -> bool:
        """False once another worker may have the image, also when this process slept through its heartbeats."""
        with self._lock:
            return index in self._attempts and self._monotonic() < self._until

    def release(self, indices: Iterable[int]) -> None:
        """These images have ended; they are renewed no more."""
        with self._lock:
            for index in indices:
                self._attempts.pop(index, None)

    def renew(self) -> None:
        with self._lock:
            attempts = dict(self._attempts)
        if not attempts:
            return
        asked_at = self._monotonic()
        with self._open_unit() as unit:
            held, canceled = unit.images.renew(self._job_id, attempts, lease_s=self._rules.lease_s)
            unit.commit()
        with self._lock:
            self._until = asked_at + self._rules.lease_s
        self.canceled = self.canceled or canceled
        self.release(attempts.keys() - held)
