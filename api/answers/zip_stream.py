"""A ZIP file as arithmetic: stored entries of known size, so that its length and any range of it are known at once.

Knows nothing of jobs or HTTP. Source: PKWARE APPNOTE 6.3.10 (4.3 structures, 4.5.3 ZIP64, 4.4.4 bit 11 for UTF-8).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Generic, Protocol, TypeVar

UTF8_NAMES = 0x0800
STORED = 0
VERSION = 20  # 2.0: folders in names
VERSION_ZIP64 = 45
UNIX = 3 << 8
REGULAR_FILE = 0o100644 << 16
FULL_16 = 0xFFFF
FULL_32 = 0xFFFFFFFF

LOCAL = struct.Struct("<4sHHHHHIIIHH")
CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END_64 = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR_64 = struct.Struct("<4sIQI")
_END = struct.Struct("<4sHHHHIIH")


class ZipEntry(Protocol):
    """name: a relative path with `/`; size in bytes."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def crc32(self) -> int: ...


E = TypeVar("E", bound=ZipEntry)
E_co = TypeVar("E_co", bound=ZipEntry, covariant=True)


class ZipEntries(Protocol[E_co]):
    """Walked along several times, the same each time; they need not be held."""

    def __iter__(self) -> Iterator[E_co]: ...
    def __len__(self) -> int: ...


class EntryChanged(Exception):
    """There are more bytes, or fewer, than was said before: what is being sent cannot be finished."""

    code = "content_changed"


@dataclass(frozen=True)
class ZipStream(Generic[E]):
    """entries in their order; `read(entry, start)` gives the bytes of an entry from `start` on, in pieces.

    modified: of every entry, written in UTC (ZIP itself knows no time zone). sums: bytes of all names in UTF-8, and of
    all contents, where they are known.
    """

    entries: ZipEntries[E]
    read: Callable[[E, int], Iterator[bytes]]
    modified: datetime
    sums: tuple[int, int] | None = None

    @property
    def length(self) -> int:
        """The size of the whole file in bytes."""
        return self._layout[2]

    def iterate(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes `start … end - 1` in pieces. Entries outside the range are not read.

        Raises EntryChanged when an entry turns out longer or shorter than it said.
        """
        end = self.length if end is None else min(end, self.length)
        position = 0
        for entry in self.entries:
            header_size = _local_size(entry, len(entry.name.encode()))
            after = position + header_size + entry.size
            if after > start and position < end:
                yield from _clip(self._local(entry), start - position, end - position)
                yield from _entry_bytes(entry, self.read, start - position - header_size, end - position - header_size)
            position = after
        for record in self._tail(start, end):
            yield from _clip(record, start - position, end - position)
            position += len(record)

    def _tail(self, start: int, end: int) -> Iterator[bytes]:
        """The directory and the end records, when the range reaches them."""
        if start < end and end > self._layout[0]:
            yield from self._directory()
            yield self._end()

    @cached_property
    def _layout(self) -> tuple[int, int, int]:
        """(offset of the directory, its size, size of the file)."""
        offset, size = self._summed() or self._walked()
        return offset, size, offset + size + _end_size(len(self.entries), size, offset)

    def _summed(self) -> tuple[int, int] | None:
        """Where no entry is so large, and none so far behind, that its headers need more room."""
        names, contents = self.sums or (0, FULL_32)
        offset = LOCAL.size * len(self.entries) + names + contents
        return None if offset >= FULL_32 else (offset, CENTRAL.size * len(self.entries) + names)

    def _walked(self) -> tuple[int, int]:
        offset = size = 0
        for entry in self.entries:
            name = len(entry.name.encode())
            size += _central_size(entry, name, offset)
            offset += _local_size(entry, name) + entry.size
        return offset, size

    @cached_property
    def _dos_time(self) -> tuple[int, int]:
        return dos_time(self.modified)

    def _local(self, entry: E) -> bytes:
        name = entry.name.encode()
        time, date = self._dos_time
        large = entry.size >= FULL_32
        extra = struct.pack("<HHQQ", 1, 16, entry.size, entry.size) if large else b""
        size = FULL_32 if large else entry.size
        version = VERSION_ZIP64 if large else VERSION
        fields = (version, UTF8_NAMES, STORED, time, date, entry.crc32, size, size, len(name), len(extra))
        return LOCAL.pack(b"PK\x03\x04", *fields) + name + extra

    def _directory(self) -> Iterator[bytes]:
        offset = 0
        for entry in self.entries:
            yield self._central(entry, offset)
            offset += _local_size(entry, len(entry.name.encode())) + entry.size

    def _central(self, entry: E, offset: int) -> bytes:
        name = entry.name.encode()
        time, date = self._dos_time
        large, far = entry.size >= FULL_32, offset >= FULL_32
        values = ([entry.size, entry.size] if large else []) + ([offset] if far else [])
        extra = struct.pack(f"<HH{len(values)}Q", 1, 8 * len(values), *values) if values else b""
        size = FULL_32 if large else entry.size
        version = VERSION_ZIP64 if values else VERSION
        fields = (
            *(UNIX | version, version, UTF8_NAMES, STORED, time, date, entry.crc32, size, size),
            *(len(name), len(extra), 0, 0, 0, REGULAR_FILE, FULL_32 if far else offset),
        )
        return CENTRAL.pack(b"PK\x01\x02", *fields) + name + extra

    def _end(self) -> bytes:
        offset, size, _ = self._layout
        return end_records(len(self.entries), size, offset)


def dos_time(moment: datetime) -> tuple[int, int]:
    """(time, date) as MS-DOS counts them: two-second steps from 1980 on."""
    at = moment.utctimetuple()
    year = min(max(at.tm_year, 1980), 2107)
    return (
        at.tm_hour << 11 | at.tm_min << 5 | at.tm_sec // 2,
        (year - 1980) << 9 | at.tm_mon << 5 | at.tm_mday,
    )


def end_records(count: int, size: int, offset: int) -> bytes:
    """What ends a file of so many entries, with a directory of `size` bytes that begins at `offset`."""
    short_count, short_size, short_offset = min(count, FULL_16), min(size, FULL_32), min(offset, FULL_32)
    end = _END.pack(b"PK\x05\x06", 0, 0, short_count, short_count, short_size, short_offset, 0)
    if _end_size(count, size, offset) == _END.size:
        return end
    version = UNIX | VERSION_ZIP64
    large = _END_64.pack(b"PK\x06\x06", _END_64.size - 12, version, VERSION_ZIP64, 0, 0, count, count, size, offset)
    return large + _LOCATOR_64.pack(b"PK\x06\x07", 0, offset + size, 1) + end


def _local_size(entry: ZipEntry, name: int) -> int:
    """name: its length in bytes."""
    return LOCAL.size + name + (20 if entry.size >= FULL_32 else 0)


def _central_size(entry: ZipEntry, name: int, offset: int) -> int:
    values = (2 if entry.size >= FULL_32 else 0) + (1 if offset >= FULL_32 else 0)
    return CENTRAL.size + name + (4 + 8 * values if values else 0)


def _end_size(count: int, size: int, offset: int) -> int:
    large = count >= FULL_16 or size >= FULL_32 or offset >= FULL_32
    return _END.size + (_END_64.size + _LOCATOR_64.size if large else 0)


def _clip(piece: bytes, start: int, end: int) -> Iterator[bytes]:
    """The part of `piece` within [start, end), both relative to its first byte."""
    part = piece[max(0, start) : max(0, end)]
    if part:
        yield part


def _entry_bytes(entry: E, read: Callable[[E, int], Iterator[bytes]], start: int, end: int) -> Iterator[bytes]:
    """The bytes of an entry within [start, end), both relative to its first byte; start may be negative."""
    first, last = max(0, start), min(end, entry.size)
    left = last - first
    if left <= 0:
        return
    for piece in read(entry, first):
        if len(piece) > left and last == entry.size:
            raise EntryChanged(f"{entry.name} is longer than {entry.size} bytes")
        yield piece[:left]
        left -= min(left, len(piece))
        if not left and last < entry.size:
            return
    if left:
        raise EntryChanged(f"{entry.name} is shorter than {entry.size} bytes")
