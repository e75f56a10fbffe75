"""Bytes from the event loop to one thread, with a bound on what is held in between."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from anyio import to_thread
from starlette.requests import ClientDisconnect, Request

from api.edge.places import Places, whose
from api.edge.stopping import LAST_S
from api.errors import BadRequest, RequestTimeout, Stopping
from jobs.errors import TooManyBytes

ROOM = 1 << 20
LONGEST_NUMBER = 19  # digits; Python would refuse to read thousands

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyRules:
    """limit: bytes of a body. idle_s: how long a client may send nothing; longest_s: how long all of it may take.

    least_rate: bytes per second, of the time that the body was waited for, which begins to count after `idle_s`.
    places: how many bodies are read at once.
    """

    limit: int
    idle_s: float
    longest_s: float
    least_rate: float
    places: Places

    def at_most(self, limit: int) -> BodyRules:
        return replace(self, limit=min(self.limit, limit))


class BodyPipe:
    """One writer on the event loop, one reader in a thread. Holds at most about `room` bytes on either side."""

    def __init__(self, *, room: int = ROOM) -> None:
        self._room = room
        self._loop = asyncio.get_running_loop()
        self._changed = threading.Condition()
        self._pieces: list[bytes] = []
        self._held = 0
        self._closed = False
        self._error: Exception | None = None
        self._emptied = asyncio.Event()

    async def put(self, piece: bytes) -> None:
        """Returns once there is room for more."""
        with self._changed:
            self._pieces.append(piece)
            self._held += len(piece)
            full = self._held >= self._room
            if full:
                self._emptied.clear()
            self._changed.notify()
        if full:
            await self._emptied.wait()

    def close(self, error: Exception | None = None) -> None:
        """No more comes. With an error, the reader raises it at once; what it has not read yet is dropped."""
        with self._changed:
            self._closed, self._error = True, error
            self._changed.notify()

    def __iter__(self) -> Iterator[bytes]:
        while pieces := self._take():
            yield from pieces

    def _take(self) -> list[bytes]:
        with self._changed:
            while not self._pieces and not self._closed:
                self._changed.wait()
            if self._error is not None:
                raise self._error
            pieces, self._pieces = self._pieces, []
            was_full, self._held = self._held >= self._room, 0
        if was_full:  # else nobody waits for room, and to wake the loop takes longer than to read a small body
            self._loop.call_soon_threadsafe(self._emptied.set)
        return pieces


async def read_in_thread(
    request: Request, work: Callable[[Iterator[bytes]], T], rules: BodyRules, *, held: int = 0
) -> T:
    """Run `work` in a thread over the pieces of the request's body, as they come.

    held: a body that is said to have no more bytes is received first, and no thread waits for it; `work` and the event
    loop, which would take turns, then do not get into one another's way.

    A `Content-Length` beyond the limit is refused before a byte is read. TooManyBytes, RequestTimeout and
    ClientDisconnect `work` sees as errors of its iterator, when it has begun. Raises these, UploadsBusy and Stopping.
    """
    declared = refuse_declared_length(request, rules.limit)
    async with rules.places.one(whose(request)):
        if declared is not None and declared <= held:
            try:
                pieces = [piece async for piece in _pieces(request, rules)]
            except asyncio.CancelledError:
                raise _stopping() from None
            return await to_thread.run_sync(work, iter(pieces), limiter=rules.places.threads)
        return await _read_while_it_comes(request, work, rules)


async def _read_while_it_comes(request: Request, work: Callable[[Iterator[bytes]], T], rules: BodyRules) -> T:
    pipe = BodyPipe()
    pump = asyncio.create_task(_pump(request, pipe, rules))
    working = asyncio.create_task(to_thread.run_sync(work, iter(pipe), limiter=rules.places.threads))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        if pump.done():
            raise  # all of it is there, and nobody knows what comes of it
        pump.cancel()
        await asyncio.wait([working], timeout=LAST_S)  # it removes what came
        raise _stopping() from None
    finally:
        working.add_done_callback(_have_seen)
        pump.cancel()
        await asyncio.wait([pump])


def _stopping() -> Stopping:
    """What a server gives up at its end, of which nothing comes yet."""
    return Stopping("the service was stopped while it read this request; send it again")


def _have_seen(work: asyncio.Task[T]) -> None:
    """Or its error would be logged as one that nobody asked for."""
    if not work.cancelled():
        work.exception()


def refuse_declared_length(request: Request, limit: int) -> int | None:
    """Returns it otherwise."""
    declared = request.headers.get("content-length")
    if declared is None:
        return None
    if not declared.isdecimal() or len(declared) > LONGEST_NUMBER:
        raise BadRequest("Content-Length is not a number that a body could have")
    if int(declared) > limit:
        raise _too_large(limit)
    return int(declared)


async def _pump(request: Request, pipe: BodyPipe, rules: BodyRules) -> None:
    error: Exception | None = ClientDisconnect()
    try:
        async for piece in _pieces(request, rules):
            await pipe.put(piece)
        error = None
    except (ClientDisconnect, TooManyBytes, RequestTimeout) as stopped:
        error = stopped
    finally:
        pipe.close(error)


async def _pieces(request: Request, rules: BodyRules) -> AsyncIterator[bytes]:
    stream = aiter(request.stream())
    clock = asyncio.get_running_loop().time
    began, received, waited_s = clock(), 0, 0.0
    while True:
        asked = clock()
        try:
            async with asyncio.timeout(min(rules.idle_s, max(0.0, began + rules.longest_s - asked))):
                piece = await anext(stream, b"")
        except TimeoutError:
            raise RequestTimeout(f"the body stopped coming, or took longer than {rules.longest_s:g} s") from None
        if not piece:  # Starlette ends a body with an empty piece
            return
        waited_s += clock() - asked
        received += len(piece)
        if received > rules.limit:
            raise _too_large(rules.limit)
        if received < rules.least_rate * (waited_s - rules.idle_s):
            raise RequestTimeout(f"the body comes more slowly than {rules.least_rate:g} bytes per second")
        yield piece


def _too_large(limit: int) -> TooManyBytes:
    return TooManyBytes(f"a request may hold at most {limit} bytes")
