"""A lane beside Celery's threads, for small jobs alone: these wait for no slice of a large one.

All of a worker's Celery threads may be at work on slices that take seconds each. Whatever is urgent is taken by other
threads then, from the same queue, and sooner than Celery hands it to one of its own: the broker gives messages to those
who wait by turns, so most go here. The broker forgets a message that the lane has taken: were it lost with its
process before its images were claimed, upkeep would miss it sooner than the broker.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from celery import Celery
from kombu import Queue
from kombu.mixins import ConsumerMixin

from broker.app import INTERACTIVE
from broker.carrying import carried_by, slice_in
from jobs.job import Slice

logger = logging.getLogger(__name__)

THREADS = 4  # the broker serves who waits by turns: Celery, which takes a millisecond longer, gets one in five
PAUSE_S = 1.0  # after what nobody expected

RunSlice = Callable[[Slice, Mapping[str, str]], None]  # with what its message carries


class Lane:
    """Of one worker process. Takes nothing where its worker does not take small jobs either."""

    def __init__(self, app: Celery, run: RunSlice) -> None:
        self._app = app
        self._run = run
        self._consumers: list[_Consumer] = []
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        amqp: Any = self._app.amqp
        if INTERACTIVE not in amqp.queues.consume_from:
            return
        self._consumers = [_Consumer(self._app.connection_for_read(), self._run) for _ in range(THREADS)]
        self._threads = [
            threading.Thread(target=each.serve, name="interactive-lane", daemon=True) for each in self._consumers
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """No further slice is taken."""
        for each in self._consumers:
            each.should_stop = True

    def close(self, *, timeout: float = 5.0) -> None:
        """After `stop`. What still runs is waited for a while."""
        self.stop()
        for thread in self._threads:
            thread.join(timeout)


class _Consumer(ConsumerMixin):
    """Connects again by itself."""

    def __init__(self, connection: Any, run: RunSlice) -> None:
        self.connection = connection
        self._run = run

    def get_consumers(self, consumer: Any, channel: Any) -> list[Any]:
        return [consumer([Queue(INTERACTIVE)], callbacks=[self._take], accept=["json"], no_ack=True)]

    def serve(self) -> None:
        """Until `should_stop`."""
        while not self.should_stop:
            try:
                self.run()
            except Exception:  # kombu knows its own; after any other, small jobs would wait for large ones for good
                logger.exception("the lane begins anew", extra={"action": "lane_failed"})
                time.sleep(PAUSE_S)

    def _take(self, body: Any, message: Any) -> None:
        """body: of Celery's message protocol 2: arguments, named ones, and what is not ours."""
        try:
            self._run(slice_in(**body[1]), carried_by(message.headers))
        except Exception:  # as Celery does with a task: it is logged, and upkeep sends the images again
            logger.exception("a slice failed", extra={"action": "slice_failed"})
