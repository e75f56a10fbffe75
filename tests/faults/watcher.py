"""Two who look from outside all the while a job is worked: one listens to the broker, one reads the database."""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self

import psycopg
import redis

from jobs.errors import DatabaseUnavailable, JobNotFound
from storage.settings import StorageSettings
from storage.unit_of_work import open_database
from tests.faults.target import Target

_SENT = re.compile(rb"(job_[0-9A-Za-z_-]+) images \d+ to \d+")
LOOK_S = 0.5
LOOK_AT_ROWS_S = 0.2
COMES_S = 3.0
MOST_SAID = 5
STATES = ("queued", "running", "succeeded", "failed", "canceled")
ENDED = frozenset(STATES[2:])
_ROWS = (
    f"SELECT jobs.id, {', '.join(f'jobs.{state}' for state in STATES)}, "  # noqa: S608
    'job_images."index", job_images.status, job_images.attempt '
    "FROM jobs JOIN job_images ON job_images.job_id = jobs.id WHERE NOT jobs.is_deleted"
)
Row = Sequence[Any]


class _Watch:
    """A thread of its own while the block runs. violations: as sentences."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=type(self).__name__)
        self.violations: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        raise NotImplementedError


class DispatchWatch(_Watch):
    """A job whose images are sent to workers has to be in the database by then."""

    def __init__(self, target: Target) -> None:
        super().__init__()
        self._target = target
        self._known: set[str] = set()

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
                is_early = not self._is_stored(job_id) and self._comes(job_id)
            except DatabaseUnavailable:
                continue
            if is_early:
                self.violations.append(f"workers hear of {job_id} before the database knows it")
            self._known.add(job_id)

    def _comes(self, job_id: str) -> bool:
        """A job that was deleted, of which some message is still under way, does not."""
        deadline = time.monotonic() + COMES_S
        while time.monotonic() < deadline:
            if self._is_stored(job_id):
                return True
            time.sleep(LOOK_AT_ROWS_S)
        return False

    def _is_stored(self, job_id: str) -> bool:
        try:
            with self._database.unit() as unit:
                unit.jobs.get(job_id)
        except JobNotFound:
            return False
        return True


class RowsWatch(_Watch):
    """At every moment a job counts what its images are, and what has ended has ended: no row runs again, none has fewer
    attempts than before."""

    def __init__(self, storage: StorageSettings) -> None:
        super().__init__()
        self._url = storage.resolved_database_url
        self._before: dict[tuple[str, int], tuple[str, int]] = {}

    def _watch(self) -> None:
        while not self._over.wait(LOOK_AT_ROWS_S) and len(self.violations) < MOST_SAID:
            try:
                self.look(rows_of(self._url, _ROWS))
            except (sqlite3.Error, psycopg.Error):  # locked, frozen, away
                continue

    def look(self, rows: Iterable[Row]) -> None:
        """rows: of one moment; of a job with its counters, and of one of its images."""
        counted: dict[str, Row] = {}
        seen: dict[str, Counter[str]] = defaultdict(Counter)
        for job_id, *rest in rows:
            counted[job_id], (index, status, attempt) = rest[: len(STATES)], rest[len(STATES) :]
            seen[job_id][status] += 1
            self._follow(job_id, index, status, attempt)
        for job_id, counts in counted.items():
            are = [seen[job_id][state] for state in STATES]
            if list(counts) != are:
                self.violations.append(f"while it is worked, {job_id} counts {counts} of {STATES}, the rows are {are}")

    def _follow(self, job_id: str, index: int, status: str, attempt: int) -> None:
        was, tried = self._before.get((job_id, index), (status, attempt))
        if was in ENDED and (status, attempt) != (was, tried):
            self.violations.append(f"image {index} of {job_id} had {was} in try {tried} and is {status} in {attempt}")
        elif attempt < tried:
            self.violations.append(f"image {index} of {job_id} is in try {attempt} after {tried}")
        self._before[job_id, index] = status, attempt


def rows_of(url: str, statement: str) -> list[Row]:
    """All rows of one statement, which see one moment. Raises the driver's errors; waits for nobody long."""
    connect: Callable[[], Any]
    if url.startswith("sqlite"):
        path = url.partition(":///")[2]
        connect = lambda: sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1.0)  # noqa: E731
    else:
        dsn = url.replace("+psycopg", "")
        connect = lambda: psycopg.connect(dsn, connect_timeout=2, options="-c statement_timeout=2000")  # noqa: E731
    connection = connect()
    try:
        return list(connection.execute(statement).fetchall())
    finally:
        connection.close()
