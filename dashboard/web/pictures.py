"""Pictures on their way to the browser: small ones for the gallery, and masks whose grey value is the class id."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image, UnidentifiedImageError

THUMBNAIL = (320, 320)  # pixels at most
SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY = b"".join(bytes((value, value, value)) for value in range(256))


def thumbnail(data: bytes) -> bytes | None:
    """As JPEG; None for what Pillow cannot read."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.draft("RGB", THUMBNAIL)  # JPEG is decoded at a fraction of its size
            small = picture.convert("RGB")
            small.thumbnail(THUMBNAIL)
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        return None
    out = io.BytesIO()
    small.save(out, "JPEG", quality=80)
    return out.getvalue()


def with_ids_for_colours(png: bytes) -> bytes:
    """The same palette PNG with a palette in which colour `id` is the grey (id, id, id): a canvas reads ids from it.

    Pixels are not decoded. What is no palette PNG comes back as it is.
    """
    if not png.startswith(SIGNATURE):
        return png
    pieces, at = [SIGNATURE], len(SIGNATURE)
    while at + 8 <= len(png):
        (length,) = struct.unpack_from(">I", png, at)
        kind, end = png[at + 4 : at + 8], at + 12 + length
        if kind == b"PLTE":
            pieces.append(_chunk(kind, GREY[:length]))
        elif kind not in (b"tRNS", b"gAMA", b"iCCP", b"sRGB", b"cHRM"):
            pieces.append(png[at:end])
        at = end
    return b"".join(pieces)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
