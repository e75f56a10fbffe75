"""A worker's hold on the images of one slice: a heartbeat that renews it, and what the heartbeat learns."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Protocol

from jobs.ports import Claim, OpenUnit
from jobs.processing.heartbeat import Heartbeat


class LeaseRules(Protocol):
    """lease_s: how long the hold lasts without a heartbeat; heartbeat_s: the time between two, well below it."""

    @property
    def lease_s(self) -> float: ...
    @property
    def heartbeat_s(self) -> float: ...


class Lease(Heartbeat):
    """What is held is held until the database says otherwise: whoever slept, or could not ask it for an hour, may go
    on, since an attempt that no longer counts can neither end its image nor overwrite an object."""

    def __init__(self, open_unit: OpenUnit, rules: LeaseRules, claim: Claim) -> None:
        super().__init__(f"lease-{claim.job.id}", every_s=rules.heartbeat_s)
        self._open_unit = open_unit
        self._lease_s = rules.lease_s
        self._job_id = claim.job.id
        self._attempts = {image.index: image.attempt for image in claim.images}
        self._lock = threading.Lock()
        self.canceled = claim.job.cancel_requested_at is not None

    def holds(self, index: int) -> bool:
        """False once it is known that another worker may have the image."""
        return index in self._attempts  # without the lock: one look, a dozen times for each picture

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
        with self._open_unit() as unit:
            held, canceled = unit.images.renew(self._job_id, attempts, lease_s=self._lease_s)
            unit.commit()
        self.canceled = self.canceled or canceled
        self.release(attempts.keys() - held)
