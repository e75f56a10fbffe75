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

from jobs.watching.hints import Hint

CHANNEL = "maskmill.changed-jobs"  # of the whole server: a channel knows no numbered databases
OWED = "maskmill.owed"  # the same, of hints alone that something is owed to a receiver
PAUSE_S = 1.0  # before a broker that did not answer is tried again

logger = logging.getLogger(__name__)

Tell = Callable[[Hint], None]

_ENDED = "ended:"
_OWES = "owes:"


class WakeUps:
    """Publishes hints. `publish` is what a database's `on_commit` takes.

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

    def publish(self, hint: Hint) -> None:
        """Returns at once, whatever the broker does."""
        words = _words(hint)
        with self._changed:
            if self._send(words) or self._closed:
                return
            self._waiting |= words
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

    def _send(self, words: Collection[str]) -> bool:
        """Under the lock. False when there is no connection, or no longer."""
        if self._connection is None:
            return False
        try:
            if not self._connection.can_read(0):  # it was asked to say nothing; what can be read is the end
                for channel in (CHANNEL, OWED) if _OWES in words else (CHANNEL,):
                    self._connection.send_command("PUBLISH", channel, " ".join(sorted(words)), check_health=False)
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


async def listen(url: str, tell: Tell, *, channel: str = CHANNEL, silence_s: float = 5.0) -> NoReturn:
    """Call `tell` with each hint, on the running loop, until cancelled. Connects again by itself.

    channel: OWED for who is to be woken by nothing else. silence_s: a connection that said nothing for so long is asked
    whether it lives, and given up after as long again.
    """
    while True:
        try:
            await _listen_once(url, tell, channel, silence_s)
        except (redis.RedisError, OSError) as error:
            logger.debug("nothing is heard", extra={"action": "wake_ups_away", "reason": str(error)})
        except Exception:  # without hints everybody would wait for the next poll, for good
            logger.exception("nothing is heard", extra={"action": "wake_ups_failed"})
        await asyncio.sleep(PAUSE_S)


async def _listen_once(url: str, tell: Tell, channel: str, silence_s: float) -> None:
    """On the connection itself: the client's layers above it cost more than all that is done with what is heard."""
    limits: dict[str, Any] = {"socket_timeout": silence_s, "socket_connect_timeout": silence_s, "protocol": 2}
    pool: Any = redis.asyncio.ConnectionPool.from_url(url, retry=AsyncRetry(NoBackoff(), 0), **limits)
    connection = pool.make_connection()
    try:
        await connection.connect()
        await connection.send_command("SUBSCRIBE", channel)
        asked = False
        while True:
            answer = await connection.read_response(timeout=silence_s)
            if answer is None and asked:
                return
            asked = answer is None
            if asked:
                await connection.send_command("PING", check_health=False)
            elif answer[0] == b"message":
                tell(_hint(answer[2].decode().split()))
    finally:
        await connection.disconnect(nowait=True)


def _words(hint: Hint) -> set[str]:
    """A version of before, which takes each word for the id of a job, finds those that it knows."""
    return {*hint.jobs, *(_ENDED + job_id for job_id in hint.ended), *([_OWES] if hint.owes else ())}


def _hint(words: Collection[str]) -> Hint:
    ended = frozenset(word.removeprefix(_ENDED) for word in words if word.startswith(_ENDED))
    return Hint(frozenset(word for word in words if ":" not in word) | ended, ended, _OWES in words)
