"""A worker's hold on the images of one slice: a heartbeat that renews it, and what the heartbeat learns."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import timedelta
from typing import Protocol

from jobs.heartbeat import Heartbeat
from jobs.ports import Claim, Clock, OpenUnit


class LeaseRules(Protocol):
    """lease_s: how long the hold lasts without a heartbeat; heartbeat_s: the time between two, well below it."""

    @property
    def lease_s(self) -> float: ...
    @property
    def heartbeat_s(self) -> float: ...


class Lease(Heartbeat):
    def __init__(self, open_unit: OpenUnit, clock: Clock, rules: LeaseRules, claim: Claim) -> None:
        super().__init__(f"lease-{claim.job.id}", every_s=rules.heartbeat_s)
        self._open_unit = open_unit
        self._clock = clock
        self._rules = rules
        self._job_id = claim.job.id
        self._attempts = {image.index: image.attempt for image in claim.images}
        self._lock = threading.Lock()
        self._until = min((image.lease_until for image in claim.images if image.lease_until), default=clock())
        self.canceled = claim.job.cancel_requested_at is not None

    def holds(self, index: int) -> bool:
        """False once another worker may have the image, also when this process slept through its heartbeats."""
        with self._lock:
            return index in self._attempts and self._clock() < self._until

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
        now = self._clock()
        lease_until = now + timedelta(seconds=self._rules.lease_s)
        with self._open_unit() as unit:
            held, canceled = unit.images.renew(self._job_id, attempts, now=now, lease_until=lease_until)
            unit.commit()
        with self._lock:
            self._until = lease_until
        self.canceled = self.canceled or canceled
        self.release(attempts.keys() - held)
