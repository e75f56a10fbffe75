"""PNG files of one byte a pixel, packed by `isal` in a tenth of zlib's time; by zlib where that is not installed."""

import importlib
import importlib.util
import struct
import zlib
from collections.abc import Iterable, Iterator
from itertools import starmap
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

_packer: Any = importlib.import_module("isal.isal_zlib") if importlib.util.find_spec("isal") else zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _PALETTE = 0, 3  # kinds of colour
_UP = 2  # the filter: each byte less the one above it
_BAND_PIXELS = 2**22  # that are filtered at once: of a large picture no second copy is made


def write_png(
    pixels: NDArray[np.uint8], palette: NDArray[np.uint8] | None = None, more: Iterable[tuple[bytes, bytes]] = ()
) -> bytes:
    """more: kinds and contents of chunks before the pixels.

    pixels: (H, W) uint8, grey values, or, with a palette of (256, 3) uint8 RGB, its indices.

    Source: W3C, "Portable Network Graphics (PNG) Specification", sections 9 to 11.
    """
    height, width = pixels.shape
    packed = b"".join(_packed(pixels))
    return b"".join((_head(height, width, palette), *starmap(_chunk, more), _chunk(b"IDAT", packed), _END))


class PngRows:
    """A file like that of `write_png`, written while its rows come. file: what takes it, from where it stands.

    size: height and width.
    """

    def __init__(
        self,
        file: BinaryIO,
        size: tuple[int, int],
        palette: NDArray[np.uint8] | None = None,
        more: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        height, width = size
        self._file = file
        self._packing = _packer.compressobj(1)
        self._above = np.zeros(width, np.uint8)
        file.write(b"".join((_head(height, width, palette), *starmap(_chunk, more))))

    def write(self, rows: NDArray[np.uint8]) -> None:
        """The next rows, (n, W) uint8."""
        self._put(self._packing.compress(_filtered(rows, self._above)))
        self._above = rows[-1].copy()

    def end(self) -> None:
        """After the last row."""
        self._put(self._packing.flush())
        self._file.write(_END)

    def _put(self, packed: bytes) -> None:
        if packed:
            self._file.write(_chunk(b"IDAT", packed))


def _head(height: int, width: int, palette: NDArray[np.uint8] | None) -> bytes:
    kind = _GREY if palette is None else _PALETTE
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    colours = b"" if palette is None else _chunk(b"PLTE", palette.tobytes())
    return b"".join((_SIGNATURE, _chunk(b"IHDR", header), colours))


def _packed(pixels: NDArray[np.uint8]) -> Iterator[bytes]:
    height, width = pixels.shape
    packing = _packer.compressobj(1)
    rows = max(1, _BAND_PIXELS // width)
    above = np.zeros(width, np.uint8)
    for top in range(0, height, rows):
        band = pixels[top : top + rows]
        yield packing.compress(_filtered(band, above))
        above = band[-1]
    yield packing.flush()


def _filtered(band: NDArray[np.uint8], above: NDArray[np.uint8]) -> NDArray[np.uint8]:
    lines = np.empty((len(band), band.shape[1] + 1), np.uint8)
    lines[:, 0] = _UP
    np.subtract(band[0], above, out=lines[0, 1:])
    np.subtract(band[1:], band[:-1], out=lines[1:, 1:])
    return lines


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return b"".join((struct.pack(">I", len(content)), kind, content, struct.pack(">I", checksum)))


_END = _chunk(b"IEND", b"")
