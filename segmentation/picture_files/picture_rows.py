"""Pictures too large to be held: read from top to bottom, only as many rows at once as somebody looks at.

A kind of picture that can be read so is listed in ROW_READERS, with what reads it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from segmentation.errors import ImageTooLarge
from segmentation.picture_files.deep_pixels import Notice
from segmentation.picture_files.file_data import FileData
from segmentation.picture_files.pictures import Picture, is_upright, probe
from segmentation.picture_files.vips_rows import (
    Samples,
    VipsRows,
    has_vips,
    jpeg_obstacle,
    png_depth,
    png_obstacle,
    tiff_negative,
    tiff_obstacle,
    tiff_unnamed,
)


class RowSource(Protocol):
    """The rows of one picture, each given once, from top to bottom."""

    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...

    def read(self, count: int) -> Picture:
        """The next `count` rows, (count, width, 3) uint8 RGB. Raises UnreadableImage, UnsupportedImage."""

    def notices(self) -> tuple[Notice, ...]:
        """Once all rows are read: what a reader of the results must know. Raises UnsupportedImage."""


@dataclass(frozen=True, slots=True)
class RowReader:
    """loader: of libvips. obstacle: what keeps a file from being read so, empty where nothing does. said: how many of
    16 bits the file says are filled. unnamed, negative: as in `Samples`."""

    loader: str
    obstacle: Callable[[FileData], str]
    said: Callable[[FileData], int | None] = lambda data: None
    unnamed: Callable[[FileData], int] = lambda data: 0
    negative: Callable[[FileData], bool] = lambda data: False


ROW_READERS: Mapping[str, RowReader] = {  # by media type
    "image/jpeg": RowReader("jpegload", jpeg_obstacle),
    "image/png": RowReader("pngload", png_obstacle, png_depth),
    "image/tiff": RowReader("tiffload", tiff_obstacle, unnamed=tiff_unnamed, negative=tiff_negative),
}


def open_rows(data: FileData, *, bit_depth: int | None) -> RowSource:
    """bit_depth: as in `read_picture`.

    Raises ImageTooLarge for what cannot be read by rows: another kind, a picture stored turned, a progressive JPEG, an
    interlaced PNG, a TIFF of a few giant tiles, anything where pyvips is not installed; UnreadableImage,
    UnsupportedImage.
    """
    header = probe(data)
    reader = ROW_READERS.get(header.media_type)
    obstacle = "only JPEG, PNG and TIFF are read by rows" if reader is None else _obstacle(reader, data)
    if reader is None or obstacle:
        raise ImageTooLarge(f"{header.width}×{header.height} is too large to be read as a whole, and {obstacle}")
    samples = Samples(bit_depth, said=reader.said(data), unnamed=reader.unnamed(data), negative=reader.negative(data))
    return VipsRows(reader.loader, data, samples)


def _obstacle(reader: RowReader, data: FileData) -> str:
    if not has_vips():
        return "pictures are read by rows where the package pyvips is installed; here it is not"
    if not is_upright(data):
        return "it is stored turned: what is read by rows must be stored upright"
    return reader.obstacle(data)


@dataclass(slots=True)
class PictureRows:
    """What is looked at of a picture that is read by rows: spans of them that only ever move down.

    seen: is told of all rows, once, in their order.
    """

    source: RowSource
    seen: Callable[[Picture], None]
    _top: int = 0
    _held: Picture | None = None

    @property
    def width(self) -> int:
        return self.source.width

    @property
    def height(self) -> int:
        return self.source.height

    def rows(self, top: int, bottom: int) -> Picture:
        """(bottom - top, width, 3). top: never above what was asked for before. Raises as the source."""
        held = np.empty((0, self.width, 3), np.uint8) if self._held is None else self._held[top - self._top :]
        known = top + len(held)
        if known < bottom:
            rows = self.source.read(bottom - known)
            self.seen(rows)
            held = np.concatenate([held, rows]) if len(held) else rows
        self._held, self._top = held, top
        return held[: bottom - top]
