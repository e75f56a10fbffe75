"""Where a bucket's objects lie: on a server, or in a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from jobs.errors import TooManyBytes
from jobs.ports import Readable


class Place(Protocol):
    """As `jobs.uploads.buckets.Buckets`, of one bucket and with keys."""

    def names(self, prefix: str, /) -> Iterator[str]: ...
    def stream(self, key: str, /, *, most: int) -> Iterator[bytes]: ...
    def put(self, key: str, data: Readable, media_type: str, /) -> None: ...


OpenPlace = Callable[[str], Place]


def bounded(pieces: Iterable[bytes], most: int) -> Iterator[bytes]:
    """Raises TooManyBytes before the piece that is too much."""
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > most:
            raise TooManyBytes(f"the object is larger than {most} bytes")
        yield piece
