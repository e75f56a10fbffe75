"""How many may do something at once, of all clients and of one: whoever sends or takes slowly blocks nobody else."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from anyio import CapacityLimiter
from starlette.requests import Request

from api.errors import ApiError
from jobs.callers import Caller


class Places:
    """On the event loop alone.

    wait_s: how long a client waits for its turn before it is told to come again. busy: the error that tells it.
    threads: those that work for all who have a place.
    """

    def __init__(
        self, places: int, *, per_caller: int, wait_s: float, busy: Callable[[], ApiError], threads: int
    ) -> None:
        self.threads = CapacityLimiter(threads)
        self._places, self._per_caller, self._wait_s, self._busy = places, per_caller, wait_s, busy
        self._taken: Counter[str] = Counter()
        self._waiting: dict[asyncio.Future[None], str] = {}  # whose turn it is, in the order in which they came

    @asynccontextmanager
    async def one(self, caller: str) -> AsyncIterator[None]:
        """A place of this caller's. Raises the error of `busy` when none becomes free in time."""
        try:
            async with asyncio.timeout(self._wait_s):
                await self._turn(caller)
        except TimeoutError:
            raise self._busy() from None
        try:
            yield
        finally:
            self._leave(caller)

    async def _turn(self, caller: str) -> None:
        """Returns with a place taken."""
        if self._is_room(caller):
            self._taken[caller] += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[turn] = caller
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was this one's turn just now
                self._leave(caller)
            raise
        finally:
            self._waiting.pop(turn, None)

    def _is_room(self, caller: str) -> bool:
        return self._taken.total() < self._places and self._taken[caller] < self._per_caller

    def _leave(self, caller: str) -> None:
        """The place goes to who has waited longest of those who may have it."""
        self._taken[caller] -= 1
        if not self._taken[caller]:
            del self._taken[caller]
        for turn, caller in self._waiting.items():
            if not turn.done() and self._is_room(caller):
                self._taken[caller] += 1
                turn.set_result(None)
                return


def whose(request: Request) -> str:
    """The key that was shown, else the address that it came from: behind a proxy all have one address."""
    caller: Caller | None = getattr(request.state, "caller", None)
    shown = None if caller is None else caller.credential
    return shown or (request.client.host if request.client else "")
