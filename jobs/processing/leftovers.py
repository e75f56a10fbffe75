"""Objects that no row names: what an attempt stored that came to nothing. Removed now, or as soon as the store can."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence

from jobs.errors import StorageUnavailable
from jobs.ports import ObjectStore

logger = logging.getLogger(__name__)

MOST = 100_000  # keys that are remembered; what is beyond goes with its job
LATE_S = 15.0  # within which a store that did not answer has written what it was sent


class Leftovers:
    """Of one process. Safe for many threads."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._keys: list[str] = []
        self._late: list[tuple[float, str]] = []  # when each is looked for again
        self._lock = threading.Lock()

    def remove(self, keys: Iterable[str]) -> None:
        """Also what could not be removed before. Raises nothing: a store that is away is asked again another time."""
        now = time.monotonic()
        with self._lock:
            due = [key for at, key in self._late if at <= now]
            self._late = [(at, key) for at, key in self._late if at > now]
            waiting, self._keys = [*self._keys, *due, *keys], []
        for at, key in enumerate(waiting):
            try:
                self._objects.delete(key)
            except StorageUnavailable as error:
                self._keep(waiting[at:], str(error))
                return

    def remove_late(self, keys: Iterable[str]) -> None:
        """Of a store that did not answer: what it was sent may be written yet, so it is removed now and once more."""
        again = [(time.monotonic() + LATE_S, key) for key in keys]
        self.remove(key for _, key in again)
        with self._lock:
            self._late = [*self._late, *again][:MOST]

    def _keep(self, keys: Sequence[str], why: str) -> None:
        with self._lock:
            self._keys = [*self._keys, *keys][:MOST]
        logger.warning(
            "%d objects are left: %s", len(keys), why, extra={"action": "objects_left", "objects": len(keys)}
        )
