"""Reading ZIP and TAR files of images, entry by entry, without trusting a name or a size in them."""

from __future__ import annotations

import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO, Any, BinaryIO, cast

from jobs.errors import ArchiveUnreadable, TooManyBytes
from jobs.ports import Readable

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"})
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
HEADER_BYTES = 32 * 2**20  # a ZIP's whole directory; of a TAR what lies between the contents of two files
_DAMAGE = (  # what the standard library raises for damaged, encrypted and unknown kinds of archives
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError),
    *(ValueError, IndexError, NotImplementedError, RuntimeError),
)


def is_image_name(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def is_archive_name(name: str) -> bool:
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def base_name(name: str) -> str:
    """The last part of a path of either kind; what a client calls a file never becomes a path of ours."""
    return PurePosixPath(name.replace("\\", "/")).name


def read_archive(data: BinaryIO, *, name: str, largest_entry: int) -> Iterator[tuple[str, Readable]]:
    """Image entries of an archive in its own order: (base name, bytes to be read before the next entry).

    data: seekable. largest_entry in bytes: reading past it raises TooManyBytes, whatever the archive's index says.
    Folders, hidden files, resource forks and other kinds of files are passed over.
    Raises ArchiveUnreadable for a damaged or encrypted archive, also in the middle of an entry.
    """
    entries = _zip_entries(data) if zipfile.is_zipfile(data) else _tar_entries(data)
    try:
        for path, handle in entries:
            with handle:
                yield base_name(path), BoundedReader(handle, name=path, limit=largest_entry)
    except _DAMAGE as error:
        raise ArchiveUnreadable(f"{base_name(name)} is not a readable ZIP or TAR archive: {error}") from error


def _zip_entries(data: BinaryIO) -> Iterator[tuple[str, IO[bytes]]]:
    file = _Frugal(data)
    with zipfile.ZipFile(cast(BinaryIO, file)) as archive:
        file.allow(None)
        for entry in archive.infolist():
            if _wanted(entry.filename) and not entry.is_dir():
                yield entry.filename, archive.open(entry)


def _tar_entries(data: BinaryIO) -> Iterator[tuple[str, IO[bytes]]]:
    data.seek(0)
    packed = data.read(2) == b"\x1f\x8b"
    data.seek(0)
    file = _Frugal(gzip.GzipFile(fileobj=data) if packed else data)
    with tarfile.open(fileobj=cast(BinaryIO, file), mode="r:") as archive:
        for entry in archive:
            archive.members.clear()  # type: ignore[attr-defined]  # else every header is kept to the end
            archive.pax_headers = {}
            handle = archive.extractfile(entry) if entry.isfile() and _wanted(entry.name) else None
            if handle is not None:
                file.allow(None)
                yield entry.name, handle
            file.allow(HEADER_BYTES)


class _Frugal:
    """A file that gives so many bytes and no more: the standard library reads headers whole, whatever they announce."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._left: int | None = HEADER_BYTES
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def allow(self, size: int | None) -> None:
        """How many bytes may be read from here on; None: any number."""
        self._left = size

    def read(self, size: int = -1, /) -> bytes:
        if self._left is None:
            return bytes(self._file.read(size))
        piece = bytes(self._file.read(self._left + 1 if size < 0 else min(size, self._left + 1)))
        self._left -= len(piece)
        if self._left < 0:
            raise ArchiveUnreadable(f"an archive's directory may have at most {HEADER_BYTES} bytes")
        return piece


def _wanted(path: str) -> bool:
    parts = PurePosixPath(path.replace("\\", "/")).parts
    return bool(parts) and "__MACOSX" not in parts and not parts[-1].startswith(".") and is_image_name(parts[-1])


class BoundedReader:
    """A file that refuses to give more than `limit` bytes, and tells of a damaged archive in our words."""

    def __init__(self, handle: Readable, *, name: str, limit: int) -> None:
        self._handle = handle
        self._name = base_name(name)
        self._left = limit

    def read(self, size: int = -1, /) -> bytes:
        wanted = self._left + 1 if size < 0 else min(size, self._left + 1)
        try:
            piece = self._handle.read(wanted)
        except _DAMAGE as error:
            raise ArchiveUnreadable(f"{self._name!r} is damaged inside its archive: {error}") from error
        self._left -= len(piece)
        if self._left < 0:
            raise TooManyBytes(f"{self._name!r} is larger than an image may be")
        return piece
