"""PNG files of one byte a pixel, packed by `isal` in a tenth of zlib's time; by zlib where that is not installed.

Those of large pictures are written and read by rows.
"""

import importlib
import importlib.util
import io
import struct
import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import starmap
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from segmentation.errors import UnreadableArtifact

_packer: Any = importlib.import_module("isal.isal_zlib") if importlib.util.find_spec("isal") else zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _PALETTE = 0, 3  # kinds of colour
_UP = 2  # the filter: each byte less the one above it
_BAND_PIXELS = 2**22  # that are filtered at once: of a large picture no second copy is made
_PIECE = 2**20  # bytes of a file that are read at once


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


def png_pieces(rows: Iterable[NDArray[np.uint8]], size: tuple[int, int], palette: NDArray[np.uint8]) -> Iterator[bytes]:
    """A file like that of `write_png`, in pieces. rows: bands (n, W) from top to bottom. size: height and width."""
    file = io.BytesIO()
    png = PngRows(file, size, palette)
    for band in rows:
        png.write(band)
        yield file.getvalue()
        file.seek(0)
        file.truncate()
    png.end()
    yield file.getvalue()


class Bytes(Protocol):
    """Some of what comes next, at most `size` bytes; nothing at the end alone."""

    def read(self, size: int, /) -> bytes: ...


def png_rows(file: Bytes) -> Iterator[NDArray[np.uint8]]:
    """Bands (n, W) of the pixels of a file that `write_png` or `PngRows` wrote, from top to bottom.

    Raises UnreadableArtifact for another, and for a damaged one.
    """
    begin = _exactly(file, len(_SIGNATURE) + 25)
    width, height, depth, kind, *rest = struct.unpack(">IIBBBBB", begin[16:29])
    if begin[:8] != _SIGNATURE or (depth, *rest) != (8, 0, 0, 0) or kind not in (_GREY, _PALETTE):
        raise UnreadableArtifact("no PNG of one byte a pixel, by rows")
    lines = _Lines(width)
    while (head := _exactly(file, 8))[4:] != b"IEND":
        left = int.from_bytes(head[:4], "big")
        while left:
            piece = _exactly(file, min(left, _PIECE))
            left -= len(piece)
            if head[4:] == b"IDAT":
                yield from lines.of(piece)
        _exactly(file, 4)  # its check sum
    yield from lines.end()
    if lines.count != height:
        raise UnreadableArtifact(f"the PNG has {lines.count} of {height} rows")


class _Lines:
    """Undoes packing and filter. count: of the rows so far."""

    def __init__(self, width: int) -> None:
        self.count = 0
        self._packing = zlib.decompressobj()
        self._above = np.zeros(width, np.uint8)
        self._rest = b""

    def of(self, packed: bytes) -> Iterator[NDArray[np.uint8]]:
        while packed:
            try:
                data = self._packing.decompress(packed, max(_BAND_PIXELS, len(self._above) + 1))
            except zlib.error as error:
                raise UnreadableArtifact(f"the PNG is damaged: {error}") from error
            packed = self._packing.unconsumed_tail
            yield from self._whole(data)

    def end(self) -> Iterator[NDArray[np.uint8]]:
        """Where the last piece gave more than was taken."""
        yield from self._whole(self._packing.flush())

    def _whole(self, data: bytes) -> Iterator[NDArray[np.uint8]]:
        length = len(self._above) + 1
        data = self._rest + data
        count = len(data) // length
        self._rest = data[count * length :]
        if count:
            yield self._unfiltered(np.frombuffer(data, np.uint8, count * length).reshape(count, length))

    def _unfiltered(self, lines: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if (lines[:, 0] != _UP).any():
            raise UnreadableArtifact("the PNG has filters that are not ours")
        rows = lines[:, 1:].copy()
        rows[0] += self._above
        np.add.accumulate(rows, axis=0, dtype=np.uint8, out=rows)
        self._above = rows[-1].copy()
        self.count += len(rows)
        return rows


def _exactly(file: Bytes, size: int) -> bytes:
    pieces = []
    while size:
        piece = file.read(size)
        if not piece:
            raise UnreadableArtifact("the PNG ends too early")
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _head(height: int, width: int, palette: NDArray[np.uint8] | None) -> bytes:
    return _same_head(height, width, None if palette is None else palette.tobytes())


@lru_cache(maxsize=64)
def _same_head(height: int, width: int, palette: bytes | None) -> bytes:
    """Pictures of a job are of few sizes."""
    kind = _GREY if palette is None else _PALETTE
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    colours = b"" if palette is None else _chunk(b"PLTE", palette)
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
