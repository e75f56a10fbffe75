"""Pictures that were read a moment ago, for clients that ask for one in ranges: to know that it is still the one that
was segmented, all of it has to be read, and once is enough."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from threading import Lock, Timer

from segmentation.picture_files.file_data import FileData

KEEP_S = 20.0  # since it was read, however long that took
MOST = 8  # of large ones on disk


@dataclass(slots=True)
class _Place:
    data: FileData | None = None
    reading: Lock = field(default_factory=Lock)


class RecentPictures:
    """Safe for many threads: who asks for what another one is reading waits for it. Each goes by itself when its time
    is over."""

    def __init__(self) -> None:
        self._places: dict[Hashable, _Place] = {}
        self._lock = Lock()

    def get(self, key: Hashable, read: Callable[[], FileData]) -> FileData:
        """key: of this very picture. Raises what `read` raises; then the next one reads."""
        with self._lock:
            while len(self._places) >= MOST and key not in self._places:
                del self._places[next(iter(self._places))]
            place = self._places.setdefault(key, _Place())
        with place.reading:
            if place.data is None:
                place.data = read()
                end = Timer(KEEP_S, self._forget, (key, place))
                end.daemon = True
                end.start()
            return place.data

    def _forget(self, key: Hashable, place: _Place) -> None:
        with self._lock:
            if self._places.get(key) is place:
                del self._places[key]
