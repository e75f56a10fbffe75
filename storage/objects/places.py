"""Where a bucket's objects lie: on a server, or in a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from jobs.ports import Readable


class Place(Protocol):
    """As `jobs.uploads.buckets.Buckets`, of one bucket and with keys."""

    def names(self, prefix: str, /) -> Iterator[str]: ...
    def stream(self, key: str, /, *, most: int) -> Iterator[bytes]: ...
    def put(self, key: str, data: Readable, media_type: str, /) -> None: ...


OpenPlace = Callable[[str], Place]
