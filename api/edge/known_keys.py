"""Keys as this process knows them: read from the database when they are shown, and kept for a moment.

So a key that is revoked, or limited anew, is known as such in every process after `keep_s`.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread

from jobs.tenants.credentials import Credential
from jobs.tenants.ports import OpenCredentials

KEPT = 1000  # answers; whoever shows invented keys must not fill the memory
READERS = 4  # threads beside those of the requests, which may all be taken

T = TypeVar("T")
Clock = Callable[[], float]


class KnownKeys:
    """Lives on the event loop. Who asks for what is being read already waits for that."""

    def __init__(self, open_unit: OpenCredentials, *, keep_s: float, clock: Clock = time.monotonic) -> None:
        self._open_unit = open_unit
        self._keep_s = keep_s
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, asyncio.Task[Any]]] = OrderedDict()
        self.threads = CapacityLimiter(READERS)

    async def find(self, credential_id: str) -> Credential | None:
        """Raises DatabaseUnavailable."""
        return await self._recent(credential_id, lambda: self._find(credential_id))

    async def are_there(self) -> bool:
        """Whether any key was ever made. Raises DatabaseUnavailable."""
        return await self._recent("", self._are_there)

    async def _recent(self, name: str, read: Callable[[], T]) -> T:
        now = self._clock()
        kept = self._kept.get(name)
        if kept is None or kept[0] <= now:
            kept = (now + self._keep_s, asyncio.ensure_future(to_thread.run_sync(read, limiter=self.threads)))
            self._kept[name] = kept
            self._kept.move_to_end(name)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        task: asyncio.Task[T] = kept[1]
        try:
            return await asyncio.shield(task)
        except Exception:
            if self._kept.get(name) is kept:  # what failed is asked again by the next
                del self._kept[name]
            raise

    def _find(self, credential_id: str) -> Credential | None:
        with self._open_unit() as unit:
            return unit.credentials.find(credential_id)

    def _are_there(self) -> bool:
        with self._open_unit() as unit:
            return unit.credentials.exist()
