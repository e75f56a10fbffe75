"""Listens to the broker from outside: a job whose images are sent to workers has to be in the database by then."""

from __future__ import annotations

import re
import threading
import time
from types import TracebackType
from typing import Self

import redis

from jobs.errors import DatabaseUnavailable, JobNotFound
from storage.unit_of_work import open_database
from tests.faults.target import Target

_SENT = re.compile(rb"(job_[0-9A-Za-z_-]+) images \d+ to \d+")
LOOK_S = 0.5


class DispatchWatch:
    """violations: as sentences."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._known: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="dispatch-watch")
        self.violations: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        """The broker may die at any time; then it is listened to anew."""
        self._database = open_database(self._target.storage)
        try:
            while not self._over.is_set():
                try:
                    self._listen()
                except (redis.RedisError, OSError):
                    time.sleep(LOOK_S)
        finally:
            self._database.close()

    def _listen(self) -> None:
        with redis.Redis.from_url(self._target.broker_url, socket_timeout=LOOK_S) as client:
            connection = client.connection_pool.get_connection()
            connection.send_command("MONITOR")
            while not self._over.is_set():
                if not connection.can_read(timeout=LOOK_S):
                    continue
                line = connection.read_response(disable_decoding=True)
                if b'"LPUSH"' in line:
                    self._look(line)
            connection.disconnect()

    def _look(self, line: bytes) -> None:
        for found in _SENT.finditer(line):
            job_id = found[1].decode()
            if job_id in self._known:
                continue
            try:
                with self._database.unit() as unit:
                    unit.jobs.get(job_id)
            except JobNotFound:
                self.violations.append(f"workers hear of {job_id} before the database knows it")
            except DatabaseUnavailable:
                continue
            self._known.add(job_id)
