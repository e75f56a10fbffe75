"""A request's hold on its idempotency key while it is read: a heartbeat, so that a dead request is soon noticed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from jobs.ports import UnitOfWork
from jobs.processing.heartbeat import Heartbeat


class KeyWatch(Heartbeat):
    def __init__(
        self,
        open_unit: Callable[[], AbstractContextManager[UnitOfWork]],
        idempotency_key: str,
        holder: str,
        *,
        every_s: float,
    ) -> None:
        """open_unit: of the caller's tenant."""
        super().__init__("idempotency-key", every_s=every_s)
        self._open_unit = open_unit
        self._idempotency_key = idempotency_key
        self._holder = holder

    def renew(self) -> None:
        with self._open_unit() as unit:
            unit.idempotency.renew(self._idempotency_key, holder=self._holder)
            unit.commit()
