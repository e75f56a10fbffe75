"""Objects of a directory that come piece by piece, over as many requests as it takes.

    <root>/partial/<digest of the key>   the bytes so far

Whoever appends holds the file's lock, so that two who send the same object never mix their bytes.
"""

from __future__ import annotations

import fcntl
import hashlib
import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from jobs.errors import StorageUnavailable, TooManyBytes, UploadConflict
from jobs.ports import Readable

PIECE = 256 * 1024
SPARE_BYTES = 256 * 2**20  # of the disk, that an upload leaves to everything else

ARRIVED = "this file has arrived already"

Publish = Callable[[Path, BinaryIO], None]


class Pieces:
    """Safe for many threads and processes at once, on one file system."""

    def __init__(self, folder: Path, has_all_of: Callable[[str], bool]) -> None:
        """has_all_of: whether the object with this key was published."""
        self._folder = folder
        self._has_all_of = has_all_of

    def received(self, key: str) -> int:
        try:
            return self._path(key).stat().st_size
        except FileNotFoundError:
            return 0

    def append(self, key: str, data: Readable, *, offset: int, size: int, publish: Publish) -> int:
        """publish: is given the file with all bytes in it, open and locked."""
        with self._locked(key) as (path, file):
            if self._has_all_of(key):  # since whoever sends looked; only the lock holds it so
                with writing():
                    path.unlink()
                raise UploadConflict(ARRIVED)
            there = file.seek(0, os.SEEK_END)
            if offset not in (0, there):
                raise UploadConflict(f"{there} bytes have arrived; the next ones begin there, not at {offset}")
            with writing():
                self._check_room(size - offset)
                file.seek(offset)
                file.truncate()
            try:
                there = offset + write_from(file, data, most=size - offset)
            finally:
                if offset or file.tell() < size:
                    with writing():
                        os.fsync(file.fileno())  # the next piece goes on where this one is told to have ended
            if there == size:
                with writing():
                    publish(path, file)
        return there

    def abandon(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / hashlib.sha256(key.encode()).hexdigest()

    @contextmanager
    def _locked(self, key: str) -> Iterator[tuple[Path, BinaryIO]]:
        path = self._path(key)
        with writing():
            self._folder.mkdir(parents=True, exist_ok=True)
            opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        with os.fdopen(opened, "r+b", buffering=0) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UploadConflict("another request is sending this file") from None
            except OSError as error:  # a shared folder whose file system knows no locks
                mend = "choose a folder on a local disk"
                raise StorageUnavailable(f"{self._folder} cannot be locked ({error.strerror}): {mend}") from None
            if not path.exists() or not os.path.samestat(path.stat(), os.fstat(file.fileno())):
                raise UploadConflict("another request has just sent this file")
            yield path, file

    def _check_room(self, size: int) -> None:
        if shutil.disk_usage(self._folder).free < size + SPARE_BYTES:
            raise StorageUnavailable("the object store has no room for a file of this size")


def write_from(file: BinaryIO, data: Readable, *, most: float = math.inf) -> int:
    """How many bytes there were. Raises TooManyBytes, StorageUnavailable, and what reading raises."""
    written = 0
    while piece := data.read(PIECE):
        written += len(piece)
        if written > most:
            raise TooManyBytes("more bytes came than were announced")
        with writing():
            write_all(file, piece)
    return written


def write_all(file: BinaryIO, piece: bytes) -> None:
    """A disk that is nearly full takes a part and says so."""
    left = memoryview(piece)
    while left:
        left = left[file.write(left) :]


@contextmanager
def writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageUnavailable(f"the object store cannot be written: {error.strerror}") from error
