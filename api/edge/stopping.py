"""Knowing that the process was asked to stop while connections are still open: what waits then answers at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], object]


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
