"""Pictures that are a few bytes and much work: many pixels, many scans, many tiles."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image

_DEEPEST = 9


def flat_png(side: int, *, channels: int) -> bytes:
    """side × side pixels of one colour, 8 bits for each of 3 or 4 channels; packed a thousandfold."""
    row = b"\0" + bytes(side * channels)
    packer = zlib.compressobj(_DEEPEST)
    rows = b"".join([*(packer.compress(row) for _ in range(side)), packer.flush()])
    head = struct.pack(">IIBBBBB", side, side, 8, {3: 2, 4: 6}[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def scanned_jpeg(side: int, *, scans: int) -> bytes:
    """A progressive JPEG whose last scan is repeated until there are so many."""
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (90, 120, 150)).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last, end = data.rfind(b"\xff\xda"), data.rfind(b"\xff\xd9")
    return data[:last] + data[last:end] * (1 + scans - data.count(b"\xff\xda")) + data[end:]


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
