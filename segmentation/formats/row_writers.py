"""Artifacts of pictures too large to be held: written while their rows come, into files that are not held either.

What can be written so is listed in ROW_WRITERS. A mask and a confidence are of the picture's size; an overlay, which is
there to be looked at, is made smaller by a whole number, so that no side is longer than OVERLAY_SIDE.
"""

from __future__ import annotations

import io
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segmentation.errors import MissingConfidence
from segmentation.formats.format import Encoded, Format, FormatOptions
from segmentation.formats.geotiff import TIFF, begun, put_rows
from segmentation.formats.png_file import PngRows
from segmentation.label_map import LabelMap
from segmentation.label_space import LabelSpace
from segmentation.palette import palette
from segmentation.picture_files.places import png_chunks_of

OVERLAY_SIDE = 4096  # pixels
_PIECE = 2**20
_IN_MEMORY = 2**24  # bytes of a file before it goes to disk


class EncodedFile(NamedTuple):
    """file: stands at its beginning. crc32: of all of it."""

    file: BinaryIO
    media_type: str
    crc32: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPlan:
    """What artifact there is to be. format: that makes the same of a picture in memory. folder: of the file while it
    is written; None: the system's."""

    height: int
    width: int
    space: LabelSpace
    options: FormatOptions
    format: Format
    folder: Path | None = None


class RowWriter(Protocol):
    """Rows of the picture come before the labels of the same rows, both from top to bottom."""

    def picture(self, rows: NDArray[np.uint8]) -> None:
        """(n, W, 3) uint8 RGB."""

    def labels(self, rows: LabelMap) -> None: ...

    def end(self) -> EncodedFile:
        """Once all rows are there."""


class _Pages:
    """A PNG of one byte a pixel. `_palette` and `_values` say of what."""

    def __init__(self, plan: RowPlan, files: ExitStack) -> None:
        self._file = _Summed(files, plan.folder)
        size, more = (plan.height, plan.width), self._more(plan)
        self._png = PngRows(cast(BinaryIO, self._file), size, self._palette(plan), more)

    def picture(self, rows: NDArray[np.uint8]) -> None:
        return None

    def labels(self, rows: LabelMap) -> None:
        self._png.write(self._values(rows))

    def end(self) -> EncodedFile:
        self._png.end()
        return self._file.ended("image/png")

    def _palette(self, plan: RowPlan) -> NDArray[np.uint8] | None:
        return None

    def _more(self, plan: RowPlan) -> Sequence[tuple[bytes, bytes]]:
        return ()

    def _values(self, rows: LabelMap) -> NDArray[np.uint8]:
        if rows.confidence is None:
            raise MissingConfidence("this label map has no confidence: no model predicted it")
        return rows.confidence


class _MaskPages(_Pages):
    def _palette(self, plan: RowPlan) -> NDArray[np.uint8] | None:
        return palette(plan.space, colour_blind_safe=plan.options.colour_blind_safe)

    def _more(self, plan: RowPlan) -> Sequence[tuple[bytes, bytes]]:
        return png_chunks_of(plan.options.place)

    def _values(self, rows: LabelMap) -> NDArray[np.uint8]:
        return rows.ids


class _GeoTiffPages:
    def __init__(self, plan: RowPlan, files: ExitStack) -> None:
        self._top = 0
        self._file, self._dataset = begun(plan.folder, (plan.height, plan.width), plan.space, plan.options)
        files.callback(self._file.close)
        files.callback(self._dataset.close)

    def picture(self, rows: NDArray[np.uint8]) -> None:
        return None

    def labels(self, rows: LabelMap) -> None:
        put_rows(self._dataset, rows.ids, self._top)
        self._top += rows.height

    def end(self) -> EncodedFile:
        self._dataset.close()
        crc32 = 0
        while piece := self._file.read(_PIECE):
            crc32 = zlib.crc32(piece, crc32)
        self._file.seek(0)
        return EncodedFile(self._file, TIFF, crc32)


class _SmallOverlay:
    """Each pixel of it: the mean of a square of the picture, and the class in its upper left corner."""

    def __init__(self, plan: RowPlan, files: ExitStack) -> None:
        self._plan = plan
        self._step = overlay_step(plan.height, plan.width)
        height, width = -(-plan.height // self._step), -(-plan.width // self._step)
        self._rgb = np.empty((height, width, 3), np.uint8)
        self._ids = np.empty((height, width), np.uint8)
        self._waiting = np.empty((0, plan.width, 3), np.uint8)
        self._seen = self._read = self._labelled = 0
        self._files = files

    def picture(self, rows: NDArray[np.uint8]) -> None:
        rows = np.concatenate([self._waiting, rows])
        self._seen += len(rows) - len(self._waiting)
        whole = len(rows) if self._seen == self._plan.height else len(rows) // self._step * self._step
        self._waiting = rows[whole:].copy()
        if whole:
            small = np.asarray(Image.fromarray(rows[:whole]).reduce(self._step))
            self._rgb[self._read : self._read + len(small)] = small
            self._read += len(small)

    def labels(self, rows: LabelMap) -> None:
        first = -self._labelled % self._step
        some = rows.ids[first :: self._step, :: self._step]
        at = -(-self._labelled // self._step)
        self._ids[at : at + len(some)] = some
        self._labelled += rows.height

    def end(self) -> EncodedFile:
        made: Encoded = self._plan.format.encode(LabelMap(self._ids, self._plan.space), self._rgb, self._plan.options)
        return EncodedFile(self._files.enter_context(io.BytesIO(made.data)), made.media_type, zlib.crc32(made.data))


class _Summed:
    """A file that nobody else sees, and the check sum of what is written to it."""

    def __init__(self, files: ExitStack, folder: Path | None) -> None:
        place = None if folder is None else str(folder)
        file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY, dir=place)  # noqa: SIM115 - closed with the others
        self._file = files.enter_context(file)
        self._crc32 = 0

    def write(self, data: bytes) -> int:
        self._crc32 = zlib.crc32(data, self._crc32)
        return self._file.write(data)

    def ended(self, media_type: str) -> EncodedFile:
        self._file.seek(0)
        return EncodedFile(cast(BinaryIO, self._file), media_type, self._crc32)


ROW_WRITERS: Mapping[str, Callable[[RowPlan, ExitStack], RowWriter]] = {  # by the format's name
    "overlay": _SmallOverlay,
    "mask": _MaskPages,
    "confidence": _Pages,
    "geotiff": _GeoTiffPages,
}


def overlay_step(height: int, width: int) -> int:
    """By how much the overlay of a picture of this size is made smaller."""
    return -(-max(height, width) // OVERLAY_SIDE)
