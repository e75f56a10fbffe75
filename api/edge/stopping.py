"""Knowing that the process was asked to stop while connections are still open: what waits then answers at once. What
the server has given up in the end has a moment left to say so."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], object]

LAST_S = 1.0  # for a request that the server has given up: to remove what it stored, and to answer


async def wait_for_given_up(requests: Collection[asyncio.Task[None]]) -> None:
    """As long as what they work with is still there."""
    given_up = [each for each in requests if each.cancelling()]
    if given_up:
        await asyncio.wait(given_up, timeout=2 * LAST_S)


@contextmanager
def noticed_stop() -> Iterator[threading.Event]:
    """Set by SIGTERM and SIGINT, which then go on to whoever handled them before.

    The server ends the application's lifespan only after its connections are closed: too late for them. Outside the
    main thread, and for signals that nobody handles, nothing is noticed.
    """
    asked = threading.Event()
    before = _handlers() if threading.current_thread() is threading.main_thread() else {}

    def note(number: int, frame: FrameType | None) -> None:
        asked.set()
        before[number](number, frame)

    for number in before:
        signal.signal(number, note)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _handlers() -> dict[int, Handler]:
    found = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    return {number: handler for number, handler in found.items() if callable(handler) and not isinstance(handler, int)}
