"""A request's hold on its idempotency key while it is read: a heartbeat, so that a dead request is soon noticed."""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from typing import Self

from jobs.errors import DatabaseUnavailable
from jobs.ports import Clock, OpenUnit

logger = logging.getLogger(__name__)


class KeyWatch:
    """Renews in a thread of its own while the block runs. A database that is away costs heartbeats, not the request."""

    def __init__(self, open_unit: OpenUnit, clock: Clock, key: str, *, every_s: float) -> None:
        self._open_unit = open_unit
        self._clock = clock
        self._key = key
        self._every_s = every_s
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="idempotency-key", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._done.wait(self._every_s):
            try:
                with self._open_unit() as unit:
                    unit.idempotency.renew(self._key, now=self._clock())
                    unit.commit()
            except DatabaseUnavailable as error:
                logger.warning("idempotency key not renewed", extra={"action": "heartbeat_missed", "why": str(error)})
