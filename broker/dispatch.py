"""Sending slices to workers by task name, and counting what waits. Never holds a caller for more than a few seconds."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from celery import Celery, uuid
from kombu import Connection, Queue
from kombu.connection import ConnectionPool
from kombu.exceptions import ChannelError, KombuError

from broker.app import BULK, DELIVER_WEBHOOKS, INTERACTIVE, MESSAGE_PRIORITY, SEGMENT_SLICE, WEBHOOKS
from jobs.errors import QueueUnavailable
from jobs.job import Priority, Slice
from telemetry.carrying import origin

logger = logging.getLogger(__name__)

QUEUE_OF = {Priority.INTERACTIVE: INTERACTIVE, Priority.BULK: BULK}

CONNECTIONS = 8
BATCH = 500  # messages per round trip
CALL_EXPIRES_S = 30


class CeleryDispatcher:
    """Implements `jobs.ports.Dispatcher`. Keeps a few connections of its own, with short time limits; thread-safe."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._pool: ConnectionPool | None = None

    def dispatch(self, pieces: Iterable[Slice]) -> None:
        """Raises QueueUnavailable; some may have been sent by then, which claiming makes harmless."""
        sending = list(pieces)
        with self._connection() as connection:
            producer: Any = self._app.amqp.Producer(connection)
            with producer, producer.batch(BATCH) if len(sending) > 1 else nullcontext():
                for piece in sending:
                    self._send(piece, producer)
        logger.debug("slices sent", extra={"action": "slices_sent", "slices": len(sending)})

    def waiting(self, priority: Priority) -> int:
        """Messages that no worker has fetched yet. Raises QueueUnavailable."""
        with self._connection() as connection:
            try:
                queue: Any = Queue(QUEUE_OF[priority])(connection.default_channel)
                return int(queue.queue_declare(passive=True).message_count)
            except ChannelError:
                return 0  # the server forgets a list when it becomes empty

    def call_webhooks(self) -> None:
        """Raises QueueUnavailable. A message that nobody fetches in time is of no use and goes."""
        with self._connection() as connection:
            self._app.send_task(
                DELIVER_WEBHOOKS,
                queue=WEBHOOKS,
                priority=MESSAGE_PRIORITY[WEBHOOKS],
                expires=CALL_EXPIRES_S,
                connection=connection,
                retry=False,
            )

    def close(self) -> None:
        with self._lock:
            if self._pool is not None:
                self._pool.force_close_all()
                self._pool = None

    def _send(self, piece: Slice, producer: Any) -> None:
        """What `Celery.send_task` does, without looking up for each message anew what is the same for all."""
        queue = QUEUE_OF[piece.priority]
        names = {"job_id": piece.job_id, "first": piece.first, "last": piece.last, "priority": piece.priority.value}
        task_id = uuid()
        amqp: Any = self._app.amqp
        message = amqp.create_task_message(
            task_id,
            SEGMENT_SLICE,
            kwargs=names,
            root_id=task_id,
            ignore_result=True,
            argsrepr=f"{piece.job_id} images {piece.first} to {piece.last}",
            kwargsrepr=repr(names),
        )
        amqp.send_task_message(
            producer,
            SEGMENT_SLICE,
            message,
            queue=queue,
            priority=MESSAGE_PRIORITY[queue],
            headers=dict(origin()),
            declare=[],  # Redis makes a list when it is first pushed to
            retry=False,
        )

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        failures = self._failures()
        try:
            with self._opened().acquire(block=True, timeout=self._timeout_s) as connection:
                yield connection
        except failures as error:
            raise QueueUnavailable("the broker does not answer; nothing is lost, the work is sent again") from error

    def _opened(self) -> ConnectionPool:
        with self._lock:
            if self._pool is None:
                limits = {"socket_timeout": self._timeout_s, "socket_connect_timeout": self._timeout_s}
                self._pool = self._app.connection_for_write(transport_options=limits).Pool(CONNECTIONS)
            return self._pool

    @property
    def _timeout_s(self) -> float:
        return float(self._app.conf.broker_connection_timeout)

    def _failures(self) -> tuple[type[BaseException], ...]:
        """What the transport raises, the driver's own errors included."""
        connection = self._opened().connection
        return (*connection.connection_errors, *connection.channel_errors, KombuError, OSError)
