"""The bytes of a file: in memory, or of a large one on disk, in a file without a name, of which pieces are read.

Nothing is left of such a file when the process ends, however it ends.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

HELD_BYTES = 32 * 2**20  # of a file; of what is larger no more than a piece is in memory
_PIECE = 2**20


class FileBytes:
    """What is asked for of a file on disk as if it were bytes: its length, slices without a step."""

    def __init__(self, file: IO[bytes]) -> None:
        """file: may be closed afterwards."""
        self._descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._descriptor)
        self._size = os.fstat(self._descriptor).st_size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, place: slice) -> bytes:
        start, stop, step = place.indices(self._size)
        assert step == 1
        return b"".join(self.pieces(start, stop))

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        stop = self._size if stop is None else stop
        while start < stop and (piece := os.pread(self._descriptor, min(_PIECE, stop - start), start)):
            start += len(piece)
            yield piece

    def fileno(self) -> int:
        """Of the file, for as long as this object lives. Where it stands is nobody's business here."""
        return self._descriptor

    @property
    def path(self) -> str:
        """By which libraries open it for themselves, for as long as this object lives."""
        return f"/dev/fd/{self._descriptor}"


FileData = bytes | FileBytes


def opened(data: FileData) -> IO[bytes]:
    """As a file, from its beginning."""
    return io.BytesIO(data) if isinstance(data, bytes) else io.BufferedReader(_Reading(data))


def collected(pieces: Iterable[bytes], folder: Path | None, *, held: int = HELD_BYTES) -> FileData:
    """One piece after the other, of a file of whatever size. folder: of those on disk; None: the system's.

    held: bytes that are kept in memory. Raises OSError where the disk takes no more, and what the pieces raise.
    """
    kept: list[bytes] = []
    size, pieces = 0, iter(pieces)
    for piece in pieces:
        kept.append(piece)
        size += len(piece)
        if size > held:
            break
    else:
        return kept[0] if len(kept) == 1 else b"".join(kept)
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for piece in kept:
            _write(file, piece)
        kept.clear()
        for piece in pieces:
            _write(file, piece)
        return FileBytes(file)


def sha256_of(data: FileData) -> str:
    """Hexadecimal."""
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest()
    digest = hashlib.sha256()
    for piece in data.pieces():
        digest.update(piece)
    return digest.hexdigest()


def in_memory(data: FileData | None) -> int:
    """Bytes of memory that it takes."""
    return len(data) if isinstance(data, bytes) else 0


class _Reading(io.RawIOBase):
    """A file of its own place, over bytes that others read too."""

    def __init__(self, data: FileBytes) -> None:
        self._data = data
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._data.fileno()

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: len(self._data)}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, room: Any, /) -> int:
        view = memoryview(room).cast("B")
        piece = self._data[self._at : self._at + len(view)]
        view[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


def _write(file: IO[bytes], piece: bytes) -> None:
    """A disk that is nearly full takes a part and says so."""
    left = memoryview(piece)
    while left:
        left = left[file.write(left) :]
