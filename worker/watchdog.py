"""Ends the process when a call to the device hangs. Celery's time limits do not reach threads.

The leases of what it held run out, the supervisor starts the process again, and no image is lost.
"""

from __future__ import annotations

import faulthandler
import itertools
import logging
import os
import sys
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

EXIT_CODE = 70  # EX_SOFTWARE in sysexits.h


def end_process(what: str, limit_s: float) -> None:
    logger.critical(
        "the device did not answer within %g s (%s); ending this process",
        limit_s,
        what,
        extra={"action": "device_hung"},
    )
    try:
        faulthandler.dump_traceback(file=sys.__stderr__ or 2)
        for handler in logging.getLogger().handlers:
            handler.flush()
    finally:
        os._exit(EXIT_CODE)  # nothing else ends a process whose thread is stuck in a driver


class _Call:
    """A class of its own: there is one for each picture, and a generator takes three times as long."""

    __slots__ = ("_calls", "_limit_s", "_number", "_what")

    def __init__(self, calls: dict[int, tuple[float, float, str]], number: int, limit_s: float, what: str) -> None:
        self._calls = calls
        self._number = number
        self._limit_s = limit_s
        self._what = what

    def __enter__(self) -> None:
        self._calls[self._number] = (time.monotonic(), self._limit_s, self._what)

    def __exit__(self, *_: object) -> None:
        del self._calls[self._number]


class Watchdog:
    """Watches the calls that are entered through `call`. limit_s 0 watches nothing."""

    def __init__(self, limit_s: float, *, hung: Callable[[str, float], None] = end_process) -> None:
        self._limit_s = limit_s
        self._hung = hung
        self._calls: dict[int, tuple[float, float, str]] = {}  # when it began, its limit, what it is
        self._ids = itertools.count()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        if limit_s:
            self._thread.start()

    def call(self, what: str, *, limits: float = 1) -> _Call:
        """For `with`. what: for the log, should it be the last call of this process. It may last `limits` times the
        limit."""
        return _Call(self._calls, next(self._ids), limits * self._limit_s, what)

    def close(self) -> None:
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(min(1.0, self._limit_s / 4)):
            try:
                self._look()
            except Exception:  # nobody watches the watchdog
                logger.exception("a hung call could not be ended", extra={"action": "watchdog_failed"})

    def _look(self) -> None:
        now = time.monotonic()
        for began, limit_s, what in list(self._calls.values()):
            if now - began > limit_s:
                self._hung(what, limit_s)
