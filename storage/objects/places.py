"""Where a bucket's objects lie: on a server, or in a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from jobs.errors import TooManyBytes
from jobs.ports import Readable


class Place(Protocol):
    """As `jobs.uploads.buckets.Buckets`, of one bucket and with keys."""

    def names(self, prefix: str, /) -> Iterator[str]: ...
    def read(self, key: str, /, *, most: int) -> bytes: ...
    def put(self, key: str, data: Readable, media_type: str, /) -> None: ...


OpenPlace = Callable[[str], Place]


def bounded(data: bytes, most: int) -> bytes:
    """Raises TooManyBytes."""
    if len(data) > most:
        raise TooManyBytes(f"the object is larger than {most} bytes")
    return data
