"""An object store in a directory. One file is one object: its bytes, then a trailer with its media type.

    <root>/files/<key>        the objects
    <root>/incoming/<random>  what is being written or deleted; nobody reads it
    <root>/partial/…          what comes piece by piece (`pieces.py`)

The trailer keeps bytes and media type in one file, so that one rename publishes both.
"""

from __future__ import annotations

import math
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO

from jobs.errors import ObjectNotFound, StorageUnavailable
from jobs.ports import ObjectInfo, Readable
from jobs.uploads.ports import SignedPut
from storage.objects.ahead import Ahead
from storage.objects.keys import checked_key, checked_prefix
from storage.objects.pieces import PIECE, Pieces, write_all, write_from, writing

MAGIC = b"\x00maskmill\x01"
LONGEST_MEDIA_TYPE = 255
ABANDONED_S = 24 * 3600
EMPTY_S = 3600.0  # after which nobody writes into a file any more that is empty still, or does without it
TIDY_EVERY_S = 3600.0
UNKNOWN = "application/octet-stream"
_LONGEST_TRAILER = LONGEST_MEDIA_TYPE + 1 + len(MAGIC)


class LocalObjects:
    """Safe for many threads and processes at once, on one file system."""

    def __init__(self, root: Path) -> None:
        self._files = root / "files"
        self._incoming = root / "incoming"
        self._pieces_of = Pieces(root / "partial", lambda key: self._path(key).exists())
        self._ahead = Ahead(self._incoming)
        self._tidied_at = -math.inf
        self._own, self._numbers = secrets.token_hex(16), count()  # asking the system for each name takes longer

    def put(self, key: str, data: bytes | Readable, *, media_type: str) -> int:
        trailer, path = _trailer(media_type), f"{self._files}/{checked_key(key)}"
        if isinstance(data, bytes):
            return self._put_at_once(path, data, trailer)
        first, more = data.read(PIECE), data.read(PIECE)
        if not more:
            return self._put_at_once(path, first, trailer)
        with self._new_file() as (temporary, file):
            with writing():
                write_all(file, first + more)
            size = len(first + more) + write_from(file, data)
            with writing():
                write_all(file, trailer)
                file.close()
                self._publish(temporary, path)  # a reader sees the old object or the new one, never half
        return size

    def _put_at_once(self, path: str, content: bytes, trailer: bytes) -> int:
        """As `put`, with no more calls of the system than it takes: so it is for every artifact, and a small input."""
        temporary = f"{self._incoming}/{self._own}-{os.getpid()}-{next(self._numbers)}"
        with writing():
            file = self._ahead.take_file(temporary)
            if file is None:
                file = self._opened(temporary)
            try:
                try:
                    _write_parts(file, (content, trailer))
                finally:
                    os.close(file)
                self._publish(temporary, path)
            except BaseException:
                with suppress(OSError):  # a store that takes nothing cannot forget either
                    os.unlink(temporary)  # noqa: PTH108
                raise
        return len(content)

    def _opened(self, path: Path | str) -> int:
        """A new file. What does not fit is told by the write, not by a close."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            return os.open(path, flags, 0o666)
        except FileNotFoundError:
            self._incoming.mkdir(parents=True, exist_ok=True)
            return os.open(path, flags, 0o666)

    def expect(self, keys: Iterable[str]) -> None:
        """A disk may take longer to make a file, or a folder, than to write a small one."""
        with suppress(OSError):
            for folder in dict.fromkeys(self._path(key).parent for key in keys):
                folder.mkdir(parents=True, exist_ok=True)
            self._incoming.mkdir(parents=True, exist_ok=True)
            self._ahead.fill_up()

    def copy(self, key: str, target: str, *, size: int | None = None) -> None:
        """A second name of the same file: nothing is ever written into a file that has a name."""
        source, path, link = self._path(key), self._path(target), self._incoming / secrets.token_hex(16)
        try:
            with _reading(key):
                self._incoming.mkdir(parents=True, exist_ok=True)
                _link(source, link)
                if size is not None and _size_of(link) != size:  # cut by a disk, or with the power
                    raise ObjectNotFound(f"the object {key} is not what was stored")
            with writing():
                self._publish(link, path)
        finally:
            with suppress(OSError):  # two names of one file: a rename of one to the other leaves it
                link.unlink(missing_ok=True)

    def get(self, key: str) -> bytes:
        with _reading(key), self._path(key).open("rb", buffering=0) as file:
            whole = file.readall()
        return whole[: _object_size(len(whole), whole[-_LONGEST_TRAILER:])[0]]

    def stream(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        if not start and length is None and (whole := self._small(key)) is not None:
            return iter([whole] if whole else [])
        pieces = self._pieces(key, start, length)
        next(pieces)  # opens the file: a missing object is an error here, and a dropped iterator closes it
        return pieces

    def info(self, key: str) -> ObjectInfo:
        with _reading(key), self._path(key).open("rb") as file:
            size, media_type = _read_trailer(file)
        return ObjectInfo(key=key, size=size, media_type=media_type)

    def delete(self, key: str) -> None:
        path = self._path(key)
        with writing(), suppress(FileNotFoundError, IsADirectoryError, NotADirectoryError):
            path.unlink()
            self._remove_empty(path.parent)

    def delete_prefix(self, prefix: str) -> int:
        """Also what was never deleted to its end, now and then: processes may live for months."""
        if time.monotonic() - self._tidied_at >= TIDY_EVERY_S:
            self._tidied_at = time.monotonic()
            self.remove_abandoned()
        folder = self._path(checked_prefix(prefix)[:-1])
        gone = self._incoming / secrets.token_hex(16)
        with writing():
            self._incoming.mkdir(parents=True, exist_ok=True)
            if not folder.is_dir():
                return 0
            try:
                folder.rename(gone)  # at once for every reader; what is put from here on is another folder
            except FileNotFoundError:  # somebody was faster
                return 0
            deleted = sum(len(files) for _, _, files in os.walk(gone))
            shutil.rmtree(gone)
            self._remove_empty(folder.parent)
        return deleted

    def keys(self, prefix: str) -> Iterator[str]:
        with _reading(prefix):
            for folder, names, files in os.walk(self._path(prefix + "x").parent, onerror=_raise_unless_gone):
                names.sort()
                for name in sorted(files):
                    key = Path(folder, name).relative_to(self._files).as_posix()
                    if key.startswith(prefix):
                        yield key

    def presigned_get(self, key: str, *, expires_s: int) -> str | None:
        return None

    def presigned_put(self, key: str, *, size: int, media_type: str, expires_s: int) -> SignedPut | None:
        return None

    def received(self, key: str, *, size: int) -> int:
        with suppress(ObjectNotFound):
            return self.info(key).size
        with _reading(key):
            there = self._pieces_of.received(checked_key(key))
        return there if there < size else 0  # all are there and yet no object: its end failed, so it begins anew

    def append(self, key: str, data: Readable, *, offset: int, size: int, media_type: str) -> int:
        target, trailer = self._path(key), _trailer(media_type)

        def publish(temporary: Path, file: BinaryIO) -> None:
            write_all(file, trailer)
            self._publish(temporary, target)

        return self._pieces_of.append(key, data, offset=offset, size=size, publish=publish)

    def abandon(self, key: str) -> None:
        with writing():
            self._pieces_of.abandon(checked_key(key))

    def check(self) -> None:
        with self._new_file() as (_, file), writing():
            file.write(b"maskmill")

    def _publish(self, temporary: Path | str, path: Path | str) -> None:
        for _ in range(100):
            try:
                os.replace(temporary, path)  # noqa: PTH105 - a path as text is not taken apart again
                return
            except FileNotFoundError:  # no folder yet, or one on the way was emptied and removed in between
                with suppress(FileNotFoundError, FileExistsError):
                    self._ahead.make_folder(os.path.dirname(path))  # noqa: PTH120
        raise StorageUnavailable("the folder of an object cannot be made")

    def _path(self, key: str) -> Path:
        return self._files / checked_key(key)

    @contextmanager
    def _new_file(self) -> Iterator[tuple[Path, BinaryIO]]:
        """A file that vanishes at the end of the block unless it was renamed."""
        path = self._incoming / secrets.token_hex(16)
        with writing():
            file = os.fdopen(self._opened(path), "wb", buffering=0)
        try:
            with file:
                yield path, file
        finally:
            with suppress(OSError):  # a store that takes nothing cannot forget either: `remove_abandoned` does, later
                path.unlink(missing_ok=True)

    def _small(self, key: str) -> bytes | None:
        """All of an object that is a piece at most, with no more calls of the system than it takes."""
        with _reading(key):
            file = os.open(f"{self._files}/{checked_key(key)}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                size = os.fstat(file).st_size
                whole = os.read(file, size) if size <= PIECE else b""
            finally:
                os.close(file)
        return whole[: _object_size(size, whole[-_LONGEST_TRAILER:])[0]] if len(whole) == size else None

    def _pieces(self, key: str, start: int, length: int | None) -> Iterator[bytes]:
        """First nothing, once the file is open; then the bytes."""
        with _reading(key), self._path(key).open("rb", buffering=0) as file:
            size, _ = _read_trailer(file)
            left = max(0, size - start)
            left = left if length is None else min(left, length)
            file.seek(start)
            yield b""
            while left:
                piece = file.read(min(PIECE, left))
                if not piece:
                    raise StorageUnavailable("a stored object was cut short while it was read")
                left -= len(piece)
                yield piece

    def _remove_empty(self, folder: Path) -> None:
        while folder != self._files:
            try:
                folder.rmdir()
            except OSError:  # not empty, or gone already
                return
            folder = folder.parent

    def remove_abandoned(self) -> None:
        """Delete what a process that died left in `incoming`, by when it came there: it may be old itself.

        Empty files go earlier: of a process that ended they are those that it had at hand, one that lives makes others.
        """
        now = time.time()
        with writing():
            for path in list(self._incoming.iterdir()) if self._incoming.is_dir() else ():
                with suppress(FileNotFoundError):  # its writer was done with it just now
                    told = path.stat()
                    is_empty = stat.S_ISREG(told.st_mode) and not told.st_size
                    if told.st_ctime < now - (EMPTY_S if is_empty else ABANDONED_S):
                        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _link(source: Path, link: Path) -> None:
    """The bytes themselves where the file system knows no links, or no more of them."""
    try:
        os.link(source, link)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, link)


def _write_parts(file: int, parts: Sequence[bytes]) -> None:
    """A disk that is nearly full takes a part and says so."""
    left = [memoryview(part) for part in parts if part]
    while left:
        written = os.writev(file, left)
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if left:
            left[0] = left[0][written:]


def _trailer(media_type: str) -> bytes:
    encoded = media_type.encode("ascii")
    if not 0 < len(encoded) <= LONGEST_MEDIA_TYPE:
        raise ValueError(f"a media type has 1 to {LONGEST_MEDIA_TYPE} characters")
    return encoded + bytes([len(encoded)]) + MAGIC


def _read_trailer(file: BinaryIO) -> tuple[int, str]:
    """The object's size and media type; a file that somebody put there by hand has no trailer and is all object."""
    whole = file.seek(0, os.SEEK_END)
    file.seek(max(0, whole - _LONGEST_TRAILER))
    return _object_size(whole, file.read())


def _size_of(path: Path) -> int:
    with path.open("rb") as file:
        return _read_trailer(file)[0]


def _object_size(whole: int, tail: bytes) -> tuple[int, str]:
    """As `_read_trailer`, of a file of so many bytes that ends with these."""
    if not tail.endswith(MAGIC):
        return whole, UNKNOWN
    length = tail[-len(MAGIC) - 1]
    end = len(tail) - len(MAGIC) - 1
    return whole - length - 1 - len(MAGIC), tail[end - length : end].decode("ascii")


def _raise_unless_gone(error: OSError) -> None:
    """A folder that cannot be listed is not an empty one."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


@contextmanager
def _reading(key: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise ObjectNotFound(f"there is no object {key}") from None
    except OSError as error:
        raise StorageUnavailable(f"the object store cannot be read: {error.strerror}") from error
