"""Sends what is due, several at a time, in a process of its own: who does not answer holds up no image."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

from broker.wakeups import Tell
from jobs.deliveries.delivering import Claimed, Delivering
from jobs.errors import DatabaseUnavailable
from jobs.watching.hints import Hint

logger = logging.getLogger(__name__)

Listen = Callable[[Tell], Coroutine[Any, Any, NoReturn]]

GATHER_S = 0.1  # hints and ends of tries that come so close together are answered by one look
REST = 4  # times as long as a look took: what waits for a receiver that is away may be much to look through
REST_AT_MOST_S = 2.0  # a longer look waited for somebody who held the database, while more became due
SIGN_EVERY_S = 5.0


def rest_s(look_s: float) -> float:
    """How long nobody looks again after a look that took so long."""
    return min(max(GATHER_S, REST * look_s), REST_AT_MOST_S)


class Courier:
    """Looks into the database when it is woken, and every `poll_s` in any case: a hint that is lost costs a second.

    sign: a file whose age tells that it still turns.
    """

    def __init__(self, delivering: Delivering, sign: Path, *, threads: int, poll_s: float = 1.0) -> None:
        self._delivering = delivering
        self._sign = sign
        self._places = threads
        self._poll_s = poll_s
        self._called = threading.Event()
        self._stopping = threading.Event()
        self._under_way: set[Future[None]] = set()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="webhook")
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
        self._signed_at = 0.0

    def start(self) -> None:
        self._sign.parent.mkdir(parents=True, exist_ok=True)
        self._thread.start()

    def wake(self) -> None:
        self._called.set()

    def close(self) -> None:
        """What is being sent is sent to its end, and written down."""
        self._stopping.set()
        self.wake()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown()
        self._sign.unlink(missing_ok=True)

    def _run(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._give_a_sign()
                self._send_due()
            except DatabaseUnavailable as error:
                logger.warning("webhooks wait for the database: %s", error, extra={"action": "webhooks_wait"})
            except Exception:  # the next look may fare better, and nobody else looks
                logger.exception("webhooks could not be sent", extra={"action": "webhooks_failed"})
            spent_s = time.monotonic() - began
            self._called.wait(self._poll_s)
            self._stopping.wait(rest_s(spent_s))
            self._called.clear()

    def _send_due(self) -> None:
        while not self._stopping.is_set() and (room := self._places - len(self._under_way)) > 0:
            claimed = self._delivering.claim(room)
            if not claimed:
                return
            self._send(claimed)

    def _send(self, claimed: Sequence[Claimed]) -> None:
        for each in claimed:
            sending = self._pool.submit(self._delivering.deliver, each)
            self._under_way.add(sending)
            sending.add_done_callback(self._done)

    def _done(self, sending: Future[None]) -> None:
        self._under_way.discard(sending)
        error = sending.exception()
        if error is not None:
            logger.error("a webhook is sent again", exc_info=error, extra={"action": "webhook_failed"})
        self.wake()

    def _give_a_sign(self) -> None:
        if time.monotonic() - self._signed_at >= SIGN_EVERY_S:
            self._signed_at = time.monotonic()
            with contextlib.suppress(OSError):
                self._sign.touch()


class Hearing:
    """Calls somebody, by a thread of its own, whenever the broker tells that something is owed to a receiver."""

    def __init__(self, listen: Listen, call: Callable[[], None]) -> None:
        self._listen = listen
        self._call = call
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[NoReturn] | None = None
        self._thread = threading.Thread(target=self._run, name="hearing", daemon=True)

    def start(self) -> None:
        self._task = self._loop.create_task(self._listen(self._heard))
        self._thread.start()

    def close(self) -> None:
        if self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)
            self._thread.join()
        self._loop.close()

    def _heard(self, hint: Hint) -> None:
        if hint.owes:
            self._call()

    def _run(self) -> None:
        assert self._task is not None
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._task)
