"""Pictures made to hurt: cut, flipped, lying about their size, far larger than their bytes, glued together."""

from __future__ import annotations

import io
import struct
import zlib
from random import Random as Draw

from PIL import Image

from tests.factories import picture

FORMS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")


def hostile_picture(draw: Draw) -> bytes:
    return draw.choice((_cut, _flipped, _lying, _bomb, _repeated, _glued, _noise))(draw)


def _cut(draw: Draw) -> bytes:
    data = picture(64, 48, seed=draw.randrange(99), form=draw.choice(FORMS))
    return data[: draw.randrange(len(data))]


def _flipped(draw: Draw) -> bytes:
    data = bytearray(picture(64, 48, seed=draw.randrange(99), form=draw.choice(FORMS)))
    for _ in range(draw.choice((1, 4, 40))):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return bytes(data)


def _lying(draw: Draw) -> bytes:
    """A PNG whose header promises other sizes or kinds than there is data for."""
    sizes = (0, 1, 65_535, 2**31 - 1, 2**32 - 1)
    head = struct.pack(
        ">IIBBBBB", draw.choice(sizes), draw.choice(sizes), draw.choice((1, 8, 16, 77)), draw.randrange(8), 0, 0, 0
    )
    return (
        b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(bytes(100))) + _chunk(b"IEND", b"")
    )


def _bomb(draw: Draw) -> bytes:
    """Few bytes that are many pixels, or much text."""
    side = draw.choice((2_000, 5_000, 20_000))
    if draw.random() < 0.5:
        text = _chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**24), 9))
        sound = picture(form="PNG")
        return sound[:33] + text * draw.choice((1, 8)) + sound[33:]
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side // 8 + 1) * side), 9) if side <= 5_000 else zlib.compress(bytes(2**20), 9)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def _repeated(draw: Draw) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (512, 512)).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last, end = data.rfind(b"\xff\xda"), data.rfind(b"\xff\xd9")
    return data[:last] + data[last:end] * draw.choice((20, 200, 3_000)) + data[end:]


def _glued(draw: Draw) -> bytes:
    head = picture(form=draw.choice(FORMS))
    return head[: draw.randrange(8, 64)] + picture(form=draw.choice(FORMS))


def _noise(draw: Draw) -> bytes:
    return draw.choice(
        (b"", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP", b"II*\0", b"GIF89a", b"%PDF", b"PK")
    ) + draw.randbytes(draw.randrange(300))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
