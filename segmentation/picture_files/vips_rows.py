"""Pictures by rows through libvips, which decodes a file while it is read. Needs the package pyvips."""

import importlib
import importlib.util
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from segmentation.errors import UnreadableImage, UnsupportedImage
from segmentation.picture_files.deep_pixels import Notice, depth_of
from segmentation.picture_files.file_data import FileData, opened
from segmentation.picture_files.picture_headers import count_scans, of_pages, survey_png
from segmentation.picture_files.picture_kinds import PICTURE_KINDS, RGB, YCBCR, Tiff
from segmentation.picture_files.pictures import Picture, flattened, is_white_zero

_HEAD = 2**16  # bytes in which a PNG says how many bits are filled
_INTERLACE = 28  # byte of a PNG
_READ_ROWS = 256  # that libvips is asked for at once
_PIECE_PIXELS = 2**26  # of one that a TIFF is packed in
_JPEG = 7  # Compression of TIFF 6.0, technical note 2
_LEFT_OUT = "compression support is not configured"  # how libtiff ends what it says of a way to pack
_EMPTY = ": 0: Invalid tile byte count, "  # of a tile that the file leaves out, whose pixels are 0 (GDAL's SPARSE_OK)
_COLOURS = frozenset({"b-w", "grey16", "srgb", "rgb", "rgb16"})
_FAIL_ON = {"jpegload": "warning"}  # all that libjpeg says of damaged data; of a TIFF warnings are about its tags
_KINDS = {2: "LA", 4: "RGBA"}
_ALONE = threading.Lock()  # libvips keeps what is wrong in one place, whoever's picture it is of


def has_vips() -> bool:
    return importlib.util.find_spec("pyvips") is not None


@cache
def _vips() -> Any:
    """libvips, which keeps nothing of what it has read."""
    vips: Any = importlib.import_module("pyvips")
    vips.cache_set_max(0)
    return vips


@dataclass(frozen=True, slots=True)
class Samples:
    """How they are stored. bit_depth: of those in 16 bits, None: believe what the file says, else that all are filled,
    and look. unnamed: how many of a pixel, the last ones, are none of its colours and no transparency. negative:
    whether 0 is white."""

    bit_depth: int | None = None
    said: int | None = None
    unnamed: int = 0
    negative: bool = False

    @property
    def depth(self) -> int:
        return self.bit_depth or (self.said if self.said is not None and 8 <= self.said < 16 else 16)


class VipsRows:
    """Implements `RowSource`."""

    def __init__(self, loader: str, data: FileData, samples: Samples) -> None:
        with _told(), _ALONE:
            load = getattr(_vips().Image, f"{loader}_source")
            source = _source(data)
            picture = load(source, access="sequential", fail_on=_FAIL_ON.get(loader, "error"))
            self._region = _vips().Region.new(picture)
        self._reads_from = source, data  # libvips itself does not keep them
        self.width, self.height = int(picture.width), int(picture.height)
        self._stored = int(picture.bands)
        self._bands = self._stored - samples.unnamed
        self._type = {"uchar": np.uint8, "ushort": np.uint16}.get(picture.format)
        if self._type is None or picture.interpretation not in _COLOURS or not 0 < self._bands <= 4:
            kind = f"{self._stored} bands of {picture.format}, {picture.interpretation}"
            raise UnsupportedImage(f"pixels of the kind {kind} are not read by rows")
        self._samples = samples
        self._is_tiff = loader == "tiffload"
        if self._type is np.uint16 and samples.depth < 16 and self._bands in _KINDS:
            raise UnsupportedImage("transparency in 16 bits is read by rows with a `bit_depth` of 16 alone")
        self._of_file = of_pages(data) if self._is_tiff else ()
        self._next, self._top = 0, 0

    def read(self, count: int) -> Picture:
        rows = np.empty((count, self.width, 3), np.uint8)
        for first in range(0, count, _READ_ROWS):
            some = min(_READ_ROWS, count - first)
            rows[first : first + some] = self._rgb(self._fetched(some))
        return rows

    def notices(self) -> tuple[Notice, ...]:
        if self._type is np.uint8:
            return self._of_file
        said = self._samples.said
        depth, notices = depth_of(self._top, bit_depth=self._samples.bit_depth, said=said)
        if depth != self._samples.depth:
            raise UnsupportedImage(f"the file says {said} bits and has values above; tell them with `bit_depth`")
        return self._of_file + notices

    def _fetched(self, count: int) -> NDArray[Any]:
        with _told(), _ALONE:
            _wrong()  # what is no fault of these rows
            data = self._region.fetch(0, self._next, self.width, count)
            if self._is_tiff and (wrong := _wrong()):  # a tile that it cannot read it leaves black
                raise _vips().Error("rows are missing", wrong)
        self._next += count
        samples = np.frombuffer(data, self._type).reshape(count, self.width, self._stored)
        return samples if self._bands == self._stored else np.ascontiguousarray(samples[:, :, : self._bands])

    def _rgb(self, samples: NDArray[Any]) -> Picture:
        if samples.dtype == np.uint16:
            samples = ~samples if self._samples.negative else samples  # as stored: libvips has turned them round
            colours = samples[:, :, :-1] if self._bands in _KINDS else samples
            self._top = max(self._top, int(colours.max()))
            samples = (samples >> (self._samples.depth - 8)).astype(np.uint8)
            samples = ~samples if self._samples.negative else samples
        if self._bands in _KINDS:
            return flattened(Image.fromarray(samples, _KINDS[self._bands]))
        return samples


def jpeg_obstacle(data: FileData) -> str:
    return "a progressive JPEG cannot be read by rows" if count_scans(data) > 1 else ""


def png_obstacle(data: FileData) -> str:
    return "an interlaced PNG cannot be read by rows" if data[_INTERLACE : _INTERLACE + 1] == b"\x01" else ""


def tiff_obstacle(data: FileData) -> str:
    """Of what is packed, at least one row of tiles, or one strip, has to be held."""
    picture = PICTURE_KINDS["image/tiff"].open(opened(data))
    assert isinstance(picture, Tiff)
    tags = picture.tag_v2
    if _is_in_odd_planes(picture):
        return "a TIFF in planes is read by rows where they lie in strips, of 8 or 16 bits, and are RGB"
    if tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == YCBCR and tags.get(TiffImagePlugin.COMPRESSION) != _JPEG:
        return "a TIFF in YCbCr is read by rows where it is packed as JPEG"  # libvips takes others for RGB
    rows = min(int(tags.get(TiffImagePlugin.TILELENGTH, tags.get(TiffImagePlugin.ROWSPERSTRIP, 1))), picture.height)
    packed = tags.get(TiffImagePlugin.COMPRESSION, 1) != 1 or TiffImagePlugin.TILELENGTH in tags
    fits = rows * picture.width <= _PIECE_PIXELS or not packed
    return "" if fits else f"the TIFF is packed in pieces of {rows} rows: store it in smaller tiles or strips"


def _is_in_odd_planes(picture: Tiff) -> bool:
    """Of which libvips reads none, or others than are there."""
    tags = picture.tag_v2
    several = tags.get(TiffImagePlugin.SAMPLESPERPIXEL, 1) > 1
    grey = several and tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) != RGB
    shallow = min(tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))) < 8
    return picture.in_planes and (TiffImagePlugin.TILELENGTH in tags or grey or shallow)


def tiff_unnamed(data: FileData) -> int:
    """Samples of which the file says not what they are, such as near infrared. Source: TIFF 6.0, ExtraSamples."""
    picture = PICTURE_KINDS["image/tiff"].open(opened(data))
    assert isinstance(picture, Tiff)
    return list(picture.tag_v2.get(TiffImagePlugin.EXTRASAMPLES, ())).count(0)


def tiff_negative(data: FileData) -> bool:
    return is_white_zero(PICTURE_KINDS["image/tiff"].open(opened(data)))


def png_depth(data: FileData) -> int | None:
    return survey_png(data[:_HEAD]).significant_bits


def _source(data: FileData) -> Any:
    """Nothing is copied."""
    kind = _vips().Source
    return kind.new_from_memory(data) if isinstance(data, bytes) else kind.new_from_file(data.path)


def _wrong() -> str:
    """What libvips has said of errors since it was asked before."""
    said = str(_vips().Error("").detail).splitlines()
    return "; ".join(each for each in said if each and _EMPTY not in each)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except _vips().Error as error:
        if _LEFT_OUT in str(error):
            raise UnsupportedImage(f"libvips cannot unpack the picture here, which is read by rows: {error}") from error
        raise UnreadableImage(f"the picture is damaged: {error}") from error
