"""Keys as this process knows them: read from the database when they are shown, and kept for a moment.

So a key that is revoked, or limited anew, is known as such in every process after `keep_s`.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping

from anyio import CapacityLimiter, to_thread

from jobs.tenants.credentials import Credential
from jobs.tenants.ports import OpenCredentials

KEPT = 1000  # answers of each kind: whoever shows invented keys must neither fill the memory nor push good ones out
READERS = 4  # threads beside those of the requests, which may all be taken
LOOK_EVERY_S = 0.05  # what is asked for in between is read together: invented keys are no way to a read each

Clock = Callable[[], float]
Found = Mapping[str, Credential]


class KnownKeys:
    """Lives on the event loop. Who asks for what is being read already waits for that."""

    def __init__(self, open_unit: OpenCredentials, *, keep_s: float, clock: Clock = time.monotonic) -> None:
        self._open_unit = open_unit
        self._keep_s = keep_s
        self._clock = clock
        self._good: OrderedDict[str, tuple[float, Credential]] = OrderedDict()
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._asked: set[str] = set()
        self._look: asyncio.Task[Found] | None = None  # that has not begun to read
        self._looks_at = float("-inf")
        self._any: tuple[float, asyncio.Task[bool]] | None = None
        self.threads = CapacityLimiter(READERS)

    async def find(self, credential_id: str) -> Credential | None:
        """Raises DatabaseUnavailable."""
        now = self._clock()
        good = self._good.get(credential_id)
        if good is not None and now < good[0]:
            return good[1]
        if now < self._unknown.get(credential_id, now):
            return None
        self._asked.add(credential_id)
        if self._look is None:
            self._look = asyncio.ensure_future(self._read_asked())
        return (await asyncio.shield(self._look)).get(credential_id)

    async def are_there(self) -> bool:
        """Whether any key was ever made. Raises DatabaseUnavailable."""
        if self._any is None or self._any[0] <= self._clock():
            reading = asyncio.ensure_future(to_thread.run_sync(self._are_there, limiter=self.threads))
            self._any = (self._clock() + self._keep_s, reading)
        mine = self._any
        try:
            return await asyncio.shield(mine[1])
        except Exception:
            if self._any is mine:  # what failed is asked again by the next
                self._any = None
            raise

    async def _read_asked(self) -> Found:
        """All that was asked for until it begins to read."""
        wait_s = self._looks_at + LOOK_EVERY_S - time.monotonic()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        self._looks_at = time.monotonic()
        asked, self._asked, self._look = self._asked, set(), None
        found = await to_thread.run_sync(self._several, asked, limiter=self.threads)
        self._keep(asked, found)
        return found

    def _keep(self, asked: Collection[str], found: Found) -> None:
        until = self._clock() + self._keep_s
        for each in asked:
            self._good.pop(each, None)
            self._unknown.pop(each, None)
            if each in found:
                self._good[each] = until, found[each]
            else:
                self._unknown[each] = until
        for kept in (self._good, self._unknown):
            while len(kept) > KEPT:
                kept.popitem(last=False)

    def _several(self, credential_ids: Collection[str]) -> Found:
        with self._open_unit() as unit:
            return unit.credentials.several(credential_ids)

    def _are_there(self) -> bool:
        with self._open_unit() as unit:
            return unit.credentials.exist()
