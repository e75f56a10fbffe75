"""How many bodies are read at once, of all clients and of one: whoever sends slowly blocks nobody else."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import CapacityLimiter

from api.errors import UploadsBusy


class UploadPlaces:
    """On the event loop alone. wait_s: how long a body waits for its turn before the client is told to come again."""

    def __init__(self, places: int, *, per_caller: int, wait_s: float) -> None:
        self.threads = CapacityLimiter(places)  # a thread for each place
        self._places, self._per_caller, self._wait_s = places, per_caller, wait_s
        self._taken: Counter[str] = Counter()
        self._waiting: dict[asyncio.Future[None], None] = {}  # in the order in which they came

    @asynccontextmanager
    async def one(self, caller: str) -> AsyncIterator[None]:
        """A place of this caller's. Raises UploadsBusy when none becomes free in time."""
        try:
            async with asyncio.timeout(self._wait_s):
                await self._turn(caller)
        except TimeoutError:
            raise UploadsBusy("too many uploads are being read; send this one again later") from None
        self._taken[caller] += 1
        try:
            yield
        finally:
            self._taken[caller] -= 1
            if not self._taken[caller]:
                del self._taken[caller]
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_result(None)

    async def _turn(self, caller: str) -> None:
        while self._taken.total() >= self._places or self._taken[caller] >= self._per_caller:
            freed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting[freed] = None
            try:
                await freed
            finally:
                del self._waiting[freed]
