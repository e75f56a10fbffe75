"""PNG files of one byte a pixel, packed by `isal` in a tenth of zlib's time; by zlib where that is not installed."""

import importlib
import importlib.util
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_packer: Any = importlib.import_module("isal.isal_zlib") if importlib.util.find_spec("isal") else zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _PALETTE = 0, 3  # kinds of colour
_UP = 2  # the filter: each byte less the one above it
_BAND_PIXELS = 2**22  # that are filtered at once: of a large picture no second copy is made


def write_png(pixels: NDArray[np.uint8], palette: NDArray[np.uint8] | None = None) -> bytes:
    """pixels: (H, W) uint8, grey values, or, with a palette of (256, 3) uint8 RGB, its indices.

    Source: W3C, "Portable Network Graphics (PNG) Specification", sections 9 to 11.
    """
    height, width = pixels.shape
    kind = _GREY if palette is None else _PALETTE
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    colours = b"" if palette is None else _chunk(b"PLTE", palette.tobytes())
    packed = b"".join(_packed(pixels))
    return b"".join((_SIGNATURE, _chunk(b"IHDR", header), colours, _chunk(b"IDAT", packed), _chunk(b"IEND", b"")))


def _packed(pixels: NDArray[np.uint8]) -> Iterator[bytes]:
    height, width = pixels.shape
    packing = _packer.compressobj(1)
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        yield packing.compress(_filtered(pixels, top, min(height, top + rows)))
    yield packing.flush()


def _filtered(pixels: NDArray[np.uint8], top: int, bottom: int) -> NDArray[np.uint8]:
    lines = np.empty((bottom - top, pixels.shape[1] + 1), np.uint8)
    lines[:, 0] = _UP
    lines[0, 1:] = pixels[top] if top == 0 else pixels[top] - pixels[top - 1]
    np.subtract(pixels[top + 1 : bottom], pixels[top : bottom - 1], out=lines[1:, 1:])
    return lines


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return b"".join((struct.pack(">I", len(content)), kind, content, struct.pack(">I", checksum)))
