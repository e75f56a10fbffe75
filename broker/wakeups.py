"""Telling other processes that a job changed, over a channel of the broker. A hint, never the truth: it may be lost.

Who publishes is never held up, and who listens looks at the database anyway, only less often.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Collection
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
    """Publishes the ids of changed jobs. `publish` is what a database's `on_commit` takes.

    Who publishes only hands a line to the kernel: the broker is asked to answer nothing, and a thread of our own
    connects to it. What changes meanwhile goes out together; what cannot be sent is dropped.
    """

    def __init__(self, url: str, *, timeout_s: float = 0.5) -> None:
        self._timeout_s = timeout_s
        limits: dict[str, Any] = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
        self._pool = redis.ConnectionPool.from_url(url, retry=Retry(NoBackoff(), 1), **limits)
        self._connection: Any = None  # which says nothing of its types
        self._changed = threading.Condition()
        self._waiting: set[str] = set()
        self._closed = False
        self._thread: threading.Thread | None = None

    def publish(self, job_ids: frozenset[str]) -> None:
        """Returns at once, whatever the broker does."""
        with self._changed:
            if self._send(job_ids) or self._closed:
                return
            self._waiting |= job_ids
            if self._thread is None:  # not before: a worker of the prefork pool forks first
                self._thread = threading.Thread(target=self._connect_again_and_again, name="wake-ups", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """What still waits is sent, if the broker answers."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(4 * self._timeout_s)
        with self._changed:
            self._disconnect()

    def _send(self, job_ids: Collection[str]) -> bool:
        """Under the lock. False when there is no connection, or no longer."""
        if self._connection is None:
            return False
        try:
            if not self._connection.can_read(0):  # it was asked to say nothing; what can be read is the end
                self._connection.send_command("PUBLISH", CHANNEL, " ".join(sorted(job_ids)), check_health=False)
                return True
        except (redis.RedisError, OSError) as error:
            _log_loss(error)
        self._disconnect()
        return False

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()

    def _connect_again_and_again(self) -> None:
        while self._is_wanted():
            try:
                connection: Any = self._pool.make_connection()
                connection.connect()
                connection.send_command("CLIENT", "REPLY", "OFF")
            except (redis.RedisError, OSError) as error:
                _log_loss(error)
                self._rest()
                continue
            with self._changed:
                self._connection = connection
                waiting, self._waiting = self._waiting, set()
                self._send(waiting)

    def _is_wanted(self) -> bool:
        """Waits until there is something to send and no connection. False when nothing is left and nothing comes."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            return bool(self._waiting)

    def _rest(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed, PAUSE_S)
            self._waiting.clear()


def _log_loss(error: Exception) -> None:
    logger.debug("nobody was woken", extra={"action": "wake_up_lost", "reason": str(error)})


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
