"""Pieces that come one by one, as a file object."""

from __future__ import annotations

from collections.abc import Iterable


class PieceReader:
    """Implements `jobs.ports.Readable`."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, of one piece: as many as are there. Empty at the end alone."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = memoryview(piece)
        taken = self._rest if size < 0 else self._rest[:size]
        self._rest = self._rest[len(taken) :]
        return bytes(taken)
