"""An object of the store as a file that can be read from anywhere in it, a piece at a time."""

from __future__ import annotations

import io
from typing import BinaryIO, cast

from jobs.ports import ObjectStore

PIECE = 2**20


def open_stored(objects: ObjectStore, key: str) -> BinaryIO:
    """Holds one piece. Raises ObjectNotFound at once; StorageUnavailable also while it is read."""
    raw = _Stored(objects, key, objects.info(key).size)
    return cast(BinaryIO, io.BufferedReader(raw, PIECE))


class _Stored(io.RawIOBase):
    def __init__(self, objects: ObjectStore, key: str, size: int) -> None:
        super().__init__()
        self._objects, self._key, self._size = objects, key, size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError("a place before the beginning")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        length = min(len(buffer), max(0, self._size - self._at))
        filled = 0
        if length:
            for piece in self._objects.stream(self._key, start=self._at, length=length):
                buffer[filled : filled + len(piece)] = piece
                filled += len(piece)
        self._at += filled
        return filled
