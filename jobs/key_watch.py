"""A request's hold on its idempotency key while it is read: a heartbeat, so that a dead request is soon noticed."""

from __future__ import annotations

from jobs.heartbeat import Heartbeat
from jobs.ports import Clock, OpenUnit


class KeyWatch(Heartbeat):
    def __init__(self, open_unit: OpenUnit, clock: Clock, key: str, *, every_s: float) -> None:
        super().__init__("idempotency-key", every_s=every_s)
        self._open_unit = open_unit
        self._clock = clock
        self._key = key

    def renew(self) -> None:
        with self._open_unit() as unit:
            unit.idempotency.renew(self._key, now=self._clock())
            unit.commit()
