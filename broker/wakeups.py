"""Telling other processes that a job changed, over a channel of the broker. A hint, never the truth: it may be lost.

Who publishes is never held up, and who listens looks at the database anyway, only less often.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any, NoReturn

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

CHANNEL = "maskmill.changed-jobs"  # of the whole server: a channel knows no numbered databases
PAUSE_S = 1.0  # before a broker that did not answer is tried again

logger = logging.getLogger(__name__)

Tell = Callable[[frozenset[str]], None]


class WakeUps:
    """Publishes the ids of changed jobs from a thread of its own. `publish` is what a database's `on_commit` takes.

    What changes while a message is on its way goes out together with the next; what cannot be sent is dropped.
    """

    def __init__(self, url: str, *, timeout_s: float = 0.5) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._changed = threading.Condition()
        self._waiting: set[str] = set()
        self._closed = False
        self._thread: threading.Thread | None = None

    def publish(self, job_ids: frozenset[str]) -> None:
        """Returns at once, whatever the broker does."""
        with self._changed:
            self._waiting |= job_ids
            if self._thread is None and not self._closed:  # not before: a worker of the prefork pool forks first
                self._thread = threading.Thread(target=self._send_all, name="wake-ups", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """What still waits is sent, if the broker answers."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(4 * self._timeout_s)

    def _send_all(self) -> None:
        limits: dict[str, Any] = {"socket_timeout": self._timeout_s, "socket_connect_timeout": self._timeout_s}
        with redis.Redis.from_url(self._url, retry=Retry(NoBackoff(), 1), **limits) as client:
            while (job_ids := self._take()) is not None:
                try:
                    client.publish(CHANNEL, " ".join(sorted(job_ids)))
                except (redis.RedisError, OSError) as error:
                    logger.debug("nobody was woken", extra={"action": "wake_up_lost", "reason": str(error)})
                    self._rest()

    def _take(self) -> set[str] | None:
        """None when there is nothing left and nothing will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            taken, self._waiting = self._waiting, set()
        return taken or None

    def _rest(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed, PAUSE_S)
            self._waiting.clear()


async def listen(url: str, tell: Tell, *, silence_s: float = 5.0) -> NoReturn:
    """Call `tell` with the ids of each message, on the running loop, until cancelled. Connects again by itself.

    silence_s: a connection that said nothing for so long is asked whether it lives, and given up after as long again.
    """
    while True:
        try:
            await _listen_once(url, tell, silence_s)
        except (redis.RedisError, OSError) as error:
            logger.debug("nothing is heard", extra={"action": "wake_ups_away", "reason": str(error)})
        except Exception:  # without hints everybody would wait for the next poll, for good
            logger.exception("nothing is heard", extra={"action": "wake_ups_failed"})
        await asyncio.sleep(PAUSE_S)


async def _listen_once(url: str, tell: Tell, silence_s: float) -> None:
    limits: dict[str, Any] = {"socket_timeout": silence_s, "socket_connect_timeout": silence_s}
    client = redis.asyncio.Redis.from_url(url, retry=AsyncRetry(NoBackoff(), 0), **limits)
    async with client, client.pubsub() as channel:
        await channel.subscribe(CHANNEL)
        asked = False
        while True:
            message = await channel.get_message(timeout=silence_s)
            if message is None and asked:
                return
            asked = message is None
            if message is None:
                await channel.ping()
            elif message["type"] == "message":
                tell(frozenset(message["data"].decode().split()))
