"""Pictures that were read a moment ago, for clients that ask for one in ranges: to know that it is still the one that
was segmented, all of it has to be read, and once is enough."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from segmentation.picture_files.file_data import FileData

KEEP_S = 20.0  # since it was read
MOST = 8  # of large ones on disk


@dataclass(slots=True)
class _Place:
    until: float
    data: FileData | None = None
    reading: threading.Lock = field(default_factory=threading.Lock)


class RecentPictures:
    """Safe for many threads: who asks for what another one is reading waits for it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._places: dict[Hashable, _Place] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, read: Callable[[], FileData]) -> FileData:
        """key: of this very picture. Raises what `read` raises; then the next one reads."""
        with self._lock:
            now = self._clock()
            self._places = {each: place for each, place in self._places.items() if now < place.until}
            while len(self._places) >= MOST and key not in self._places:
                del self._places[next(iter(self._places))]
            place = self._places.setdefault(key, _Place(now + KEEP_S))
        with place.reading:
            if place.data is None:
                place.data = read()
            return place.data
