"""Bundles of inputs: reading ZIP and TAR files of pictures, entry by entry, without trusting a name or a size in them.

What an entry is called when its name was written in another encoding is `packed_names.py`'s, a ZIP's directory
`zip_directory.py`'s.
"""

from __future__ import annotations

import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any, BinaryIO, NamedTuple, cast

from jobs.errors import ArchiveUnreadable, TooManyImages
from jobs.submitting.names import base_name, is_hidden, relative_path
from jobs.submitting.packed_names import tar_name
from jobs.submitting.reading import HEAD_BYTES, BoundedReader, is_picture, is_picture_name
from jobs.submitting.zip_directory import DIRECTORY_BYTES, ZipDirectory, directory_too_large
from segmentation.picture_files.film import is_film, is_film_name

PACKED_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
_PASSED_BYTES = 64 * 2**20  # a compressed TAR may hold so many that are no pictures, and _PASSED_TIMES its own size
_PASSED_TIMES = 10
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06", b"PK\x07\x08")
DAMAGE = (  # what the standard library raises for damaged, encrypted and unknown kinds of archives
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError),
    *(ValueError, IndexError, NotImplementedError, RuntimeError),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedLimits:
    """entries: of one bundle, whatever they are. entry_bytes: of one picture, unpacked. film_bytes: of the next film;
    None: films are no entries."""

    entries: int
    entry_bytes: int
    film_bytes: Callable[[], int] | None = None


class Entry(NamedTuple):
    """A picture or a film in a bundle: its path, its first bytes, and all of them, to be read before the next entry."""

    path: str
    head: bytes
    data: BoundedReader


Pass = Callable[[str], None]  # is told the path of what is no picture


def is_packed_name(name: str) -> bool:
    return name.lower().endswith(PACKED_SUFFIXES)


def is_packed(name: str, head: bytes) -> bool:
    """By its name; by its first bytes where the name has no suffix: office documents are ZIP files too."""
    announced = head.startswith((*_ZIP_STARTS, b"\x1f\x8b")) or head[257:262] == b"ustar"
    return is_packed_name(name) or (announced and not PurePosixPath(name).suffix)


def read_packed(data: BinaryIO, *, name: str, limits: PackedLimits, pass_over: Pass) -> Iterator[Entry]:
    """The pictures and films of a bundle in its own order, also of kinds that nobody here can read.

    data: seekable. Reading past `entry_bytes` raises TooManyBytes, whatever the bundle's directory says. Hidden files,
    resource forks and folders are passed over in silence, other files are told to `pass_over`.
    Raises TooManyImages for too many entries, ArchiveUnreadable for damage or encryption, also amid an entry.
    """
    entries = _zip_entries(data, limits) if zipfile.is_zipfile(data) else _tar_entries(data, limits)
    try:
        for path, handle in entries:
            with handle:
                head = _head(handle, path)
                if is_picture(head) or is_picture_name(path):
                    rest = _Unpacking(handle, path)
                    yield Entry(path, head, BoundedReader(rest, name=path, limit=limits.entry_bytes, head=head))
                elif limits.film_bytes is not None and (is_film(head) or is_film_name(path)):
                    rest, most = _Unpacking(handle, path), limits.film_bytes()
                    yield Entry(path, head, BoundedReader(rest, name=path, limit=most, head=head, kind="a film"))
                else:
                    pass_over(path)
    except DAMAGE as error:
        raise ArchiveUnreadable(f"{base_name(name)} is not a readable ZIP or TAR archive: {reason(error)}") from error


def reason(error: Exception) -> str:
    """What the standard library found, in words for whoever packed the files."""
    text = str(error)
    if "encrypted" in text or "password" in text:
        return "it is encrypted"
    if isinstance(error, NotImplementedError):
        return "it is packed in a way that is not supported"
    return "a checksum is wrong" if "CRC" in text else "it is damaged or no archive"


def _head(handle: IO[bytes], path: str) -> bytes:
    try:
        return handle.read(HEAD_BYTES)
    except DAMAGE as error:
        if not is_picture_name(path):
            return b""
        raise _damaged(path, error) from error


def _damaged(path: str, error: Exception) -> ArchiveUnreadable:
    return ArchiveUnreadable(f"{base_name(path)!r} is damaged inside its archive: {reason(error)}")


class _Unpacking:
    """An entry that tells of damage in our words."""

    def __init__(self, handle: IO[bytes], path: str) -> None:
        self._handle = handle
        self._path = path

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self._handle.read(size)
        except DAMAGE as error:
            raise _damaged(self._path, error) from error


def _zip_entries(data: BinaryIO, limits: PackedLimits) -> Iterator[tuple[str, IO[bytes]]]:
    directory = open_zip(data, entries=limits.entries)
    for entry in directory:
        path = _path(entry.filename)
        if path and not entry.is_dir():
            yield path, directory.open(entry)


def open_zip(data: BinaryIO, *, entries: int) -> ZipDirectory:
    """Raises TooManyImages, ArchiveUnreadable."""
    try:
        return ZipDirectory(data, entries=entries)
    except DAMAGE as error:
        raise ArchiveUnreadable(f"no readable ZIP archive: {reason(error)}") from error


def _tar_entries(data: BinaryIO, limits: PackedLimits) -> Iterator[tuple[str, IO[bytes]]]:
    size = data.seek(0, 2)
    data.seek(0)
    packed = gzip.GzipFile(fileobj=data, mode="rb") if data.read(2) == b"\x1f\x8b" else None
    data.seek(0)
    file = _Frugal(packed or data)
    passed = _Budget(_PASSED_BYTES + _PASSED_TIMES * size)
    with tarfile.open(fileobj=cast(BinaryIO, file), mode="r:") as archive:
        for count, entry in enumerate(archive):
            if count == limits.entries:
                raise TooManyImages(f"an archive may hold at most {limits.entries} files")
            archive.members.clear()  # type: ignore[attr-defined]  # else every header is kept to the end
            archive.pax_headers = {}
            path = _path(tar_name(entry.name))
            handle = archive.extractfile(entry) if path and entry.isfile() else None
            if handle is not None:
                file.allow(None)
                yield path, handle
            file.allow(DIRECTORY_BYTES)
            if packed is not None and (handle is None or handle.tell() < entry.size):
                passed.spend(archive.offset - entry.offset_data)
        if file.latest != bytes(tarfile.BLOCKSIZE):  # which ends an archive; where none comes, the library just stops
            raise tarfile.ReadError("the archive breaks off, or the head of an entry is damaged")
    if packed is not None:
        while piece := packed.read(1 << 16):  # the checksum comes last, behind what fills the last block
            passed.spend(len(piece))


def _path(name: str) -> str:
    """Empty for what is hidden."""
    path = relative_path(name)
    return "" if is_hidden(path) else path


class _Budget:
    """Bytes that may be unpacked to get past what is no picture."""

    def __init__(self, size: int) -> None:
        self._left = size

    def spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise ArchiveUnreadable("an archive may not hold so much besides pictures")


class _Frugal:
    """A file that gives so many bytes and no more: the standard library reads headers whole, whatever they announce.

    latest: what was read last.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self.latest = b""
        self._left: int | None = DIRECTORY_BYTES
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def allow(self, size: int | None) -> None:
        """How many bytes may be read from here on; None: any number."""
        self._left = size

    def read(self, size: int = -1, /) -> bytes:
        if self._left is None:
            return bytes(self._file.read(size))
        piece = self.latest = bytes(self._file.read(self._left + 1 if size < 0 else min(size, self._left + 1)))
        self._left -= len(piece)
        if self._left < 0:
            raise directory_too_large()
        return piece
