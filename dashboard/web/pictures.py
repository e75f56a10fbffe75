"""Pictures on their way to the browser: small ones for the gallery, and masks whose grey value is the class id."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress

from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError

THUMBNAIL = (320, 320)  # pixels at most
SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BROKEN_EXIF = (struct.error, SyntaxError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
_DEPTH, _GREY_KIND, _BYTE = 24, 0, 8  # where the first chunk says how many bits a sample has, and then of what kind
GREY = b"".join(bytes((value, value, value)) for value in range(256))


def thumbnail(data: bytes) -> bytes | None:
    """As JPEG, upright as EXIF says; None for what Pillow cannot read."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.draft("RGB", THUMBNAIL)  # JPEG is decoded at a fraction of its size
            small = picture.convert("RGB")
            small.thumbnail(THUMBNAIL)
            with suppress(*_BROKEN_EXIF):
                small = ImageOps.exif_transpose(small)
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        return None
    out = io.BytesIO()
    small.save(out, "JPEG", quality=80)
    return out.getvalue()


def with_ids_for_colours(png: bytes) -> bytes:
    """The same palette PNG with a palette in which colour `id` is the grey (id, id, id): a canvas reads ids from it.

    Its pixels are not decoded; those of a grey one are where they are no bytes. What is no PNG comes back as it is.
    """
    if not png.startswith(SIGNATURE):
        return png
    depth, kind = png[_DEPTH : _DEPTH + 2]
    if kind == _GREY_KIND and depth != _BYTE:
        return _in_bytes(png, depth)
    pieces, at = [SIGNATURE], len(SIGNATURE)
    while at + 8 <= len(png):
        (length,) = struct.unpack_from(">I", png, at)
        name, end = png[at + 4 : at + 8], at + 12 + length
        if name == b"PLTE":
            pieces.append(_chunk(name, GREY[: 3 << depth]))
        elif name not in (b"tRNS", b"gAMA", b"iCCP", b"sRGB", b"cHRM"):
            pieces.append(png[at:end])
        at = end
    return b"".join(pieces)


def _in_bytes(png: bytes, depth: int) -> bytes:
    """Grey of fewer or more bits, each sample as the byte that it stands for: a canvas stretches few bits over 0..255,
    and of 16 it keeps the upper ones, which are none of an id. depth: in bits."""
    picture = PngImagePlugin.PngImageFile(io.BytesIO(png))
    if depth > _BYTE:
        ids = Image.frombytes("L", picture.size, picture.tobytes()[::2])
    else:
        most = (1 << depth) - 1
        ids = picture.convert("L").point([value * most // 255 for value in range(256)])
    out = io.BytesIO()
    ids.save(out, "PNG", compress_level=1, exif=picture.info.get("exif"))
    return out.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
