"""A ZIP file of unknown length, written while its files are made: what is long is deflated, the rest stored.

Of what was sent only the directory is held, compressed. Source: PKWARE APPNOTE 6.3.10 (4.3.9 data descriptors).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime

from api.answers.ranges import put_together
from api.answers.zip_stream import (
    CENTRAL,
    FULL_32,
    LOCAL,
    REGULAR_FILE,
    STORED,
    UNIX,
    UTF8_NAMES,
    VERSION_ZIP64,
    dos_time,
    end_records,
)

_DEFLATED = 8
_DESCRIBED_LATER = 0x0008
_LEVEL = 1

Content = bytes | Iterator[bytes]


class ZipWriter:
    """modified: of every file, written in UTC."""

    def __init__(self, modified: datetime) -> None:
        self._when = dos_time(modified)
        self._directory = zlib.compressobj(_LEVEL)
        self._listed: list[bytes] = []
        self._size = self._count = self._offset = 0

    def iterate(self, files: Iterable[tuple[str, Content]]) -> Iterator[bytes]:
        """files: name, a relative path with `/`, and content."""
        for name, content in files:
            pieces = self._stored(name, content) if isinstance(content, bytes) else self._deflated(name, content)
            for piece in pieces:
                self._offset += len(piece)
                yield piece
        start = self._offset
        self._listed.append(self._directory.flush())
        unpacking = zlib.decompressobj()
        for packed in self._listed:
            yield unpacking.decompress(packed)
        yield end_records(self._count, self._size, start)

    def _stored(self, name: str, content: bytes) -> Iterator[bytes]:
        crc32, size, offset = zlib.crc32(content), len(content), self._offset
        yield self._head(name, UTF8_NAMES, STORED, crc32, size)
        yield content
        self._list(name, (UTF8_NAMES, STORED), crc32, (size, size), offset)

    def _deflated(self, name: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
        flags, offset, packing = UTF8_NAMES | _DESCRIBED_LATER, self._offset, zlib.compressobj(_LEVEL, wbits=-15)
        crc32 = size = packed = 0
        yield self._head(name, flags, _DEFLATED, 0, 0)
        for piece in put_together(pieces):
            crc32, size = zlib.crc32(piece, crc32), size + len(piece)
            out = packing.compress(piece)
            packed += len(out)
            yield out
        out = packing.flush()
        packed += len(out)
        yield out + struct.pack("<4sIQQ", b"PK\x07\x08", crc32, packed, size)
        self._list(name, (flags, _DEFLATED), crc32, (packed, size), offset)

    def _head(self, name: str, flags: int, method: int, crc32: int, size: int) -> bytes:
        """With eight bytes for each size, as what describes them later has too."""
        encoded = name.encode()
        extra = struct.pack("<HHQQ", 1, 16, size, size)
        fields = (VERSION_ZIP64, flags, method, *self._when, crc32, FULL_32, FULL_32, len(encoded), len(extra))
        return LOCAL.pack(b"PK\x03\x04", *fields) + encoded + extra

    def _list(self, name: str, how: tuple[int, int], crc32: int, sizes: tuple[int, int], offset: int) -> None:
        """sizes: packed, and as it is."""
        encoded, (packed, size) = name.encode(), sizes
        extra = struct.pack("<HHQQQ", 1, 24, size, packed, offset)
        fields = (
            *(UNIX | VERSION_ZIP64, VERSION_ZIP64, *how, *self._when, crc32, FULL_32, FULL_32),
            *(len(encoded), len(extra), 0, 0, 0, REGULAR_FILE, FULL_32),
        )
        record = CENTRAL.pack(b"PK\x01\x02", *fields) + encoded + extra
        self._size += len(record)
        self._count += 1
        if packed_records := self._directory.compress(record):
            self._listed.append(packed_records)
