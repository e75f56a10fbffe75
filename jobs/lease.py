"""A worker's hold on the images of one slice: a heartbeat that renews it, and what the heartbeat learns."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from datetime import timedelta
from types import TracebackType
from typing import Protocol, Self

from jobs.errors import DatabaseUnavailable
from jobs.ports import Claim, Clock, OpenUnit

logger = logging.getLogger(__name__)


class LeaseRules(Protocol):
    """lease_s: how long the hold lasts without a heartbeat; heartbeat_s: the time between two, well below it."""

    @property
    def lease_s(self) -> float: ...
    @property
    def heartbeat_s(self) -> float: ...


class Lease:
    """Renews in a thread of its own while the block runs. A database that is away costs heartbeats, not the work."""

    def __init__(self, open_unit: OpenUnit, clock: Clock, rules: LeaseRules, claim: Claim) -> None:
        self._open_unit = open_unit
        self._clock = clock
        self._rules = rules
        self._job_id = claim.job.id
        self._attempts = {image.index: image.attempt for image in claim.images}
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease-{self._job_id}", daemon=True)
        self._until = min((image.lease_until for image in claim.images if image.lease_until), default=clock())
        self.canceled = claim.job.cancel_requested_at is not None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

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
        """One heartbeat. Raises DatabaseUnavailable."""
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

    def _beat(self) -> None:
        while not self._done.wait(self._rules.heartbeat_s):
            try:
                self.renew()
            except DatabaseUnavailable as error:
                logger.warning(
                    "lease not renewed", extra={"action": "heartbeat_missed", "job_id": self._job_id, "why": str(error)}
                )
