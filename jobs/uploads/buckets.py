"""Places outside the store that the operator lets clients name: inputs are read there, and results put there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from jobs.errors import TooManyBytes
from jobs.ports import Readable


class Buckets(Protocol):
    """Every call but `allows` may raise StorageUnavailable. A location is `bucket/key`."""

    def allows(self, bucket: str, tenant: str, *, output: bool = False) -> bool:
        """Whether the tenant may take inputs from there; with `output`, have results put there."""

    def names(self, bucket: str, prefix: str) -> Iterator[str]:
        """Keys of the objects whose keys begin so, in order. Raises ObjectNotFound when there is no such bucket."""

    def stream(self, location: str, *, most: int) -> Iterator[bytes]:
        """In pieces. Raises ObjectNotFound, also for a bucket that is allowed no more, and TooManyBytes; some of it
        with a later piece."""

    def put(self, location: str, data: bytes | Readable, *, media_type: str) -> None:
        """Raises ObjectNotFound when there is no such bucket."""


def bounded(pieces: Iterable[bytes], most: int) -> Iterator[bytes]:
    """Raises TooManyBytes before the piece that is too much."""
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > most:
            raise TooManyBytes(f"the object is larger than {most} bytes")
        yield piece
