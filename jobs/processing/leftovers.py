"""Objects that no row names: what an attempt stored that came to nothing. Removed now, or as soon as the store can."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence

from jobs.errors import StorageUnavailable
from jobs.ports import ObjectStore

logger = logging.getLogger(__name__)

MOST = 100_000  # keys that are remembered; what is beyond goes with its job


class Leftovers:
    """Of one process. Safe for many threads."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._keys: list[str] = []
        self._lock = threading.Lock()

    def remove(self, keys: Iterable[str]) -> None:
        """Also what could not be removed before. Raises nothing: a store that is away is asked again another time."""
        with self._lock:
            waiting, self._keys = [*self._keys, *keys], []
        for at, key in enumerate(waiting):
            try:
                self._objects.delete(key)
            except StorageUnavailable as error:
                self._keep(waiting[at:], str(error))
                return

    def _keep(self, keys: Sequence[str], why: str) -> None:
        with self._lock:
            self._keys = [*self._keys, *keys][:MOST]
        logger.warning(
            "%d objects are left: %s", len(keys), why, extra={"action": "objects_left", "objects": len(keys)}
        )
