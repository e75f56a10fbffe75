"""The entries of a ZIP file, of whose directory a piece is held and one record at a time is read.

Python's `zipfile` makes an object of every record before the first entry can be had, which takes 600 bytes of memory
for each. It still reads what an entry holds. Source: PKWARE APPNOTE 6.3.10, 4.3.12 (a record), 4.3.14 to 4.3.16 (where
the directory ends), 4.5.3 (field 0x0001: numbers of eight bytes).
"""

from __future__ import annotations

import io
import struct
import zipfile
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise
from typing import IO, BinaryIO

from jobs.errors import ArchiveUnreadable, TooManyImages
from jobs.submitting.packed_names import extra_fields, zip_name

DIRECTORY_BYTES = 32 * 2**20  # of a TAR: what lies between the contents of two files
NEWEST_VERSION = 63  # that an entry may need of its reader
_PIECE_BYTES = 2**18  # of the directory, which are held
_RECORD_START = b"PK\1\2"
_RECORD = struct.Struct("<4s2xBx2H4x3L3H8xL")
_END = struct.Struct("<12x2L2x")
_LONG_END_PLACE = 20  # bytes of what says where the long form of the end is
_LONG_END = struct.Struct(f"<40x2Q{_LONG_END_PLACE}x")
_LONGEST_TAIL = 2**16 + _END.size + _LONG_END.size  # with a comment
_NO_ENTRIES = b"PK\5\6" + bytes(18)
_HEADER = 30  # bytes before the name of an entry
_IS_LONG = 0xFFFFFFFF
_ZIP64 = 1


def directory_too_large() -> ArchiveUnreadable:
    return ArchiveUnreadable(f"an archive's directory may have at most {DIRECTORY_BYTES} bytes")


class ZipDirectory:
    """Iterating it anew reads it anew. Not for several threads at once.

    data: seekable. entries: how many it may have at most.
    Raises TooManyImages, ArchiveUnreadable for more than DIRECTORY_BYTES, and what `zipfile` raises for damage; this
    also while it is iterated and in `open`.
    """

    def __init__(self, data: BinaryIO, *, entries: int) -> None:
        self._first, size, self._shift = _place(data)
        if size > DIRECTORY_BYTES:
            raise directory_too_large()
        self._data, self._size = data, size
        self._piece, self._piece_at = b"", 0
        if self._count() > entries:  # before any of them becomes an object
            raise TooManyImages(f"an archive may hold at most {entries} files")
        self._starts = array("Q", sorted(entry.header_offset for entry in self))
        if any(start == following for start, following in pairwise(self._starts)):
            raise zipfile.BadZipFile("entries overlap")
        self._archive = zipfile.ZipFile(io.BytesIO(_NO_ENTRIES))
        self._archive.fp = data

    def __iter__(self) -> Iterator[zipfile.ZipInfo]:
        """In the directory's order. filename: as `zip_name` reads it."""
        at = 0
        while at < self._size:
            entry, at = self._read(at)
            yield entry

    def open(self, entry: zipfile.ZipInfo) -> IO[bytes]:
        """What it holds. An entry that reaches into the next one is refused: so are bombs made (Fifield 2019, "A better
        zip bomb")."""
        following = bisect_right(self._starts, entry.header_offset)
        end = self._starts[following] if following < len(self._starts) else self._first
        if entry.header_offset + _HEADER + entry.compress_size > end:
            raise zipfile.BadZipFile("entries overlap")
        return self._archive.open(entry)

    def _count(self) -> int:
        """Of what looks like the beginning of a record."""
        found, end = 0, b""
        for at in range(0, self._size, _PIECE_BYTES):
            piece = end + self._bytes(at, _PIECE_BYTES)
            found += piece.count(_RECORD_START)
            end = piece[1 - len(_RECORD_START) :]
        return found

    def _bytes(self, at: int, count: int) -> bytes:
        """Of the directory, from that place; fewer at its end."""
        count = min(count, self._size - at)
        begin = at - self._piece_at
        if begin < 0 or begin + count > len(self._piece):
            self._data.seek(self._first + at)
            self._piece, self._piece_at = self._data.read(min(max(count, _PIECE_BYTES), self._size - at)), at
            begin = 0
            if len(self._piece) < count:
                raise zipfile.BadZipFile("the file became shorter")
        return self._piece[begin : begin + count]

    def _read(self, at: int) -> tuple[zipfile.ZipInfo, int]:
        """The entry whose record begins there, and where the next one does."""
        record = self._bytes(at, _RECORD.size)
        start, version, flags, method, crc, packed, size, *lengths, offset = _RECORD.unpack(record)
        if start != _RECORD_START:
            raise zipfile.BadZipFile("a record of the directory is none")
        if version > NEWEST_VERSION:
            raise NotImplementedError("a newer version of ZIP")
        at += _RECORD.size
        name, extra, comment = lengths
        if at + name + extra > self._size:  # a comment that is too long harms nobody
            raise zipfile.BadZipFile("a record of the directory is cut off")
        letters = self._bytes(at, name).decode("utf-8" if flags & 0x0800 else "cp437")
        entry = zipfile.ZipInfo(letters)
        entry.flag_bits, entry.compress_type, entry.CRC = flags, method, crc
        entry.extra = self._bytes(at + name, extra)
        entry.file_size, entry.compress_size, entry.header_offset = _long(entry.extra, size, packed, offset)
        entry.header_offset += self._shift
        if not 0 <= entry.header_offset < self._first:
            raise zipfile.BadZipFile("an entry lies outside of the archive")
        entry.filename = zip_name(entry)
        return entry, at + name + extra + comment


def _place(data: BinaryIO) -> tuple[int, int, int]:
    """Where the directory begins, its size, and what offsets lack because something was put before the archive."""
    whole = data.seek(0, io.SEEK_END)
    before = max(0, whole - _LONGEST_TAIL)
    data.seek(before)
    tail = data.read(_LONGEST_TAIL)
    end = tail.rfind(b"PK\5\6")
    if end < 0:
        raise zipfile.BadZipFile("no directory")
    size, offset = _END.unpack_from(tail, end)
    long = max(0, end - _LONG_END.size)
    if tail.startswith(b"PK\6\6", long) and tail.startswith(b"PK\6\7", end - _LONG_END_PLACE):
        size, offset = _LONG_END.unpack_from(tail, long)
        end = long
    first = before + end - size
    if first < 0:
        raise zipfile.BadZipFile("the directory is longer than the file")
    return first, size, first - offset


def _long(extra: bytes, *numbers: int) -> list[int]:
    """Those that have no room in a record stand in a field of their own, one behind the other."""
    found = list(numbers)
    for kind, field in extra_fields(extra):
        if kind == _ZIP64:
            at = 0
            for index, number in enumerate(found):
                if number == _IS_LONG:
                    found[index] = struct.unpack_from("<Q", field, at)[0]
                    at += 8
    return found
