"""One film into one file, a frame at a time, with PyAV: H.264 where the library has it, so that browsers play it."""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskmill.errors import InvalidInput
from maskmill.films.ours import COMMENT
from maskmill.installed import how_to_add

if TYPE_CHECKING:
    import PIL.Image

CONTAINERS: Mapping[str, str] = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
CODECS = ("libx264", "libopenh264", "mpeg4")  # the first that is there; the last one is everywhere, and in no browser
_X264 = {"crf": "18", "preset": "veryfast"}
_BITS = 0.3  # for a pixel of a frame, where a codec is not told a quality
_SEEK_S, _SEEK_FRAMES = 4, (12, 250)  # how far apart frames are that stand for themselves
_BT709 = 1  # the number of its primaries, its transfer and its matrix. Source: ITU-T H.273, tables 2 to 4
_LIMITED = 1  # of the range of values
_PLAIN = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})  # what has 8 bits a colour


class NoPicture(Exception):
    """What came is none that can be shown."""


def require_libraries() -> None:
    """Raises InvalidInput, with what to type, where they are not installed."""
    _library("av")
    _library("PIL.Image")


def opened(content: bytes) -> PIL.Image.Image:
    """In RGB. Raises NoPicture."""
    pillow = _library("PIL.Image")
    try:
        picture: PIL.Image.Image = pillow.open(io.BytesIO(content))
        if picture.mode not in _PLAIN:
            raise NoPicture(f"a picture of kind {picture.mode}")
        return picture.convert("RGB")
    except (OSError, SyntaxError, ValueError, pillow.DecompressionBombError) as error:
        raise NoPicture(str(error) or type(error).__name__) from error


def codec_here(names: Sequence[str] = CODECS) -> str:
    """Raises InvalidInput where there is none of them."""
    av = _library("av")
    for name in names:
        try:
            av.Codec(name, "w")
        except ValueError:  # a name that the library does not know
            continue
        return name
    raise InvalidInput(f"the package av that is installed here writes none of {', '.join(names)}")


class FilmWriter:
    """size: of all frames, both even."""

    def __init__(self, out: Any, codec: str, *, size: tuple[int, int], rate: Fraction, time_base: Fraction) -> None:
        self._av = _library("av")
        self.size = size
        self._out, self._time_base = out, time_base
        self._stream = out.add_stream(
            codec, rate=rate.limit_denominator(1001), options=_X264 if codec == CODECS[0] else {}
        )
        coder = self._stream.codec_context
        self.codec = str(coder.codec.canonical_name)
        coder.width, coder.height = size
        coder.pix_fmt, coder.time_base = "yuv420p", time_base
        coder.max_b_frames = 0  # frames lie in the file as they are shown: of the last one it says how long it lasts
        coder.gop_size = max(_SEEK_FRAMES[0], min(_SEEK_FRAMES[1], round(rate * _SEEK_S)))
        coder.color_primaries = coder.color_trc = coder.colorspace = _BT709
        coder.color_range = _LIMITED
        if codec != CODECS[0]:
            coder.bit_rate = round(size[0] * size[1] * max(1.0, float(rate)) * _BITS)
        self._to_yuv = self._av.video.reformatter.VideoReformatter()
        self._lasts: dict[int, int] = {}  # of frames that the codec still holds, by when they are shown

    def add(self, picture: PIL.Image.Image, at: int, lasts: int) -> None:
        """at, lasts: when it is shown and for how long, in units of the time base."""
        frame = self._av.VideoFrame.from_image(_fitted(picture, self.size))
        colours = {"dst_colorspace": "ITU709", "dst_color_range": "MPEG"}
        frame = self._to_yuv.reformat(frame, format="yuv420p", **colours)
        frame.pts, frame.time_base = at, self._time_base
        self._lasts[at] = lasts
        self._mux(self._stream.encode(frame))

    def finish(self) -> None:
        self._mux(self._stream.encode())

    def _mux(self, packets: Sequence[Any]) -> None:
        for packet in packets:
            packet.duration = self._lasts.pop(packet.pts)
            self._out.mux(packet)


@contextmanager
def container(path: Path, form: str, *, title: str) -> Iterator[Any]:
    """form: one of CONTAINERS. What players need to begin stands before the frames. Raises InvalidInput."""
    av = _library("av")
    options = {} if form == "matroska" else {"movflags": "faststart"}
    try:
        with av.open(str(path), "w", format=form, options=options) as out:
            out.metadata.update(title=title, comment=COMMENT)
            yield out
    except av.FFmpegError as error:
        if isinstance(error, OSError):  # of the disk
            raise
        raise InvalidInput(f"no film can be made of these frames: {error}") from error


def even(size: tuple[int, int]) -> tuple[int, int]:
    """yuv420p has a colour for two pixels by two: a last column or row that is left over is cut off.

    Raises InvalidInput where nothing would be left.
    """
    width, height = (length - length % 2 for length in size)
    if not (width and height):
        raise InvalidInput(f"frames of {size[0]} × {size[1]} make no film; it has two pixels by two at least")
    return width, height


def _fitted(picture: PIL.Image.Image, size: tuple[int, int]) -> PIL.Image.Image:
    """Of another size than the first: as large as it can be shown, with black beside it."""
    if even(picture.size) == size:
        return picture.crop((0, 0, *size)) if picture.size != size else picture
    padded: PIL.Image.Image = _library("PIL.ImageOps").pad(picture, size)
    return padded


def _library(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        raise InvalidInput(f"films are written with PyAV and Pillow: {how_to_add('video')}") from None
