"""The frames of a film as JPEGs, in a process of its own: `python -m segmentation.picture_files.film SECONDS …`.

Films come from anybody, and their decoders are large: the process has bounds of memory and time, reads standard input
(a file) and nothing else, and writes frames to standard output. Who asks for them is `jobs/films`.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import json
import math
import os
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, BinaryIO, NamedTuple

FRAME = struct.Struct(">QI")  # before each frame: when it is shown, in ms from the film's beginning, and its bytes
END = FRAME.pack(2**64 - 1, 0)  # behind the last one; what follows on standard error else, says why it is missing
QUALITY = 95  # of JPEG, with colours at full size
_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_MATROSKA, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_BOX = struct.Struct(">I4s")
_ELEMENTS = 8  # that are looked at for the segment, which holds all of a Matroska file but its head
_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm")
_FORMATS = {True: "matroska", False: "mov"}  # no other is tried: playlists and the like name files and addresses
_LEFT_RIGHT = 0  # Pillow's FLIP_LEFT_RIGHT: nothing but the library that decodes films is imported here
_EARLY = Fraction(1, 1000)  # seconds: times are rounded in files
_HAIR = Fraction(5, 1_000_000)  # seconds, by which five digits behind the point may be wrong
_SQUARE = 0.01  # by so much may a pixel be wider or narrower than high and be left as it is: nobody sees it
_LONGEST_SIDE = 65_500  # of a JPEG, in pixels
_UNTOLD = 2  # the matrix of a frame that does not say how its colours were encoded. Source: ITU-T H.273, table 4
_SD = (1279, 576)  # the largest frame of standard definition, whose colours are those of BT.601
_AHEAD = 18  # frames: so far ahead of those it gives may a decoder be, by their order and by its threads
DAMAGED = b"maskmill: the film is damaged here"  # the comment of a frame in which a decoder may have made something up


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmLimits:
    """longest_s: of the film. pixels: of a frame. frames: that may be taken. cpu_s, memory_bytes: of the process."""

    longest_s: float = 4 * 3600.0
    pixels: int = 200_000_000
    frames: int = 100_000
    cpu_s: int = 900
    memory_bytes: int = 3 * 2**30


class Frame(NamedTuple):
    at_ms: int
    jpeg: bytes


class _Refused(Exception):
    """code: one of too_large, too_many_images, film_unreadable, film_unsupported."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def is_film(head: bytes) -> bool:
    """By the first bytes of a file that is no picture: MP4, MOV and their like, Matroska and WebM."""
    return head.startswith(_MATROSKA) or head[4:8] in _BOXES


def is_film_name(name: str) -> bool:
    return name.lower().endswith(_SUFFIXES)


def frames_of(film: BinaryIO, every_s: float, limits: FilmLimits, complains: Callable[[], bool]) -> Iterator[Frame]:
    """The first frame, and then the first one after each `every_s` seconds. film: seekable. Holds a frame at a time.

    complains: whether the decoder has found damage since it was asked before. Raises _Refused.
    """
    av = _library()
    try:
        head = film.read(4)
        film.seek(0)
        if _is_cut_off(film, head):
            raise _Refused("film_unreadable", "is damaged: only a part of it came")
        with av.open(film, format=_FORMATS[head == _MATROSKA]) as container:
            yield from _chosen(container, every_s, limits, complains)
    except (av.FFmpegError, ValueError, MemoryError) as error:
        raise _Refused("film_unreadable", f"is damaged or no film: {type(error).__name__}") from error


def _library() -> Any:
    """Raises _Refused where it is not installed."""
    if importlib.util.find_spec("av") is None:
        said = "films are read where the package av is installed (maskmill-server[video]); here it is not"
        raise _Refused("film_unsupported", said)
    return importlib.import_module("av")


def _chosen(container: Any, every_s: float, limits: FilmLimits, complains: Callable[[], bool]) -> Iterator[Frame]:
    cover = _library().stream.Disposition.attached_pic  # of a piece of music: a picture, and no film
    stream = next((each for each in container.streams.video if not each.disposition & cover), None)
    if stream is None:
        raise _Refused("film_unreadable", "has no pictures in it")
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = 2
    stream.codec_context.options = {"err_detect": "crccheck"}  # hashes of frames, where a film holds them
    aspect = float(stream.sample_aspect_ratio or 1)
    _check_pixels(_shown_size(stream.codec_context, aspect), limits)
    first_s: Fraction | None = None
    rate = Fraction(stream.average_rate or 25)
    taken, steps, damage = 0, _Steps(every_s, rate), _Damage(complains)
    for count, frame in enumerate(container.decode(stream)):
        told_s = count / rate if frame.pts is None else frame.pts * Fraction(frame.time_base)
        first_s = told_s if first_s is None else first_s
        at_s = max(Fraction(0), told_s - first_s)
        is_damaged = damage.reaches(frame)
        if at_s > limits.longest_s:
            raise _Refused("too_large", f"lasts longer than the {limits.longest_s:g} seconds that a film may last")
        if not steps.reach(at_s):
            continue
        if taken == limits.frames:
            raise _Refused("too_many_images", f"has more frames than the {limits.frames} images that are left to it")
        taken += 1
        size = _shown_size(frame, aspect)
        _check_pixels(size, limits)
        yield Frame(round(at_s * 1000), _jpeg(frame, size, comment=DAMAGED if is_damaged else b""))
    if not taken:
        raise _Refused("film_unreadable", "has no frame that can be decoded")


class _Steps:
    """Which frames are the first ones after each `every_s` seconds. In fractions: a film has a thousand frames, and a
    hair that is added a thousand times is a frame."""

    def __init__(self, every_s: float, rate: Fraction) -> None:
        """rate: frames per second, on average."""
        self._rate = rate
        self._every = Fraction(str(every_s))
        frames = round(self._every * rate)
        if frames and abs(self._every - frames / rate) <= _HAIR:  # nobody can write 1/30 down
            self._every = frames / rate
        self._early = min(_EARLY, 1 / (2 * rate))
        self._next = 0  # step

    def reach(self, at: Fraction) -> bool:
        """Of each frame in turn. at: when it is shown, in seconds from the first one."""
        even = round(at * self._rate) / self._rate
        if abs(at - even) <= self._early / 2:  # as it was before it was rounded
            at = even
        if at + self._early < self._next * self._every:
            return False
        self._next = max(self._next + 1, at // self._every + 1)
        return True


class _Damage:
    """How far damage reaches: each frame is made from earlier ones, up to the next that stands for itself. Which frame
    it is that a decoder complains of it does not say, only that it is one of the next."""

    def __init__(self, complains: Callable[[], bool]) -> None:
        self._complains = complains
        self._frames_ago: int | None = None  # None: nothing was found, or it is over

    def reaches(self, frame: Any) -> bool:
        """Of each frame in turn."""
        if self._complains() or frame.is_corrupt:
            self._frames_ago = 0
        elif self._frames_ago is not None:
            self._frames_ago = None if frame.key_frame and self._frames_ago >= _AHEAD else self._frames_ago + 1
        return self._frames_ago is not None


@contextlib.contextmanager
def _listening() -> Iterator[Callable[[], bool]]:
    """Whether the library wrote of errors since it was asked before. What it writes goes through a pipe in place of
    standard error: its way to Python's log blocks where it decodes with threads. A full pipe takes no more, and waits
    for nobody. Raises _Refused."""
    av = _library()
    ears, mouth = os.pipe()
    os.set_blocking(ears, False)
    os.set_blocking(mouth, False)
    error = os.dup(2)
    os.dup2(mouth, 2)
    level = av.logging.get_level()
    av.logging.set_libav_level(av.logging.ERROR)  # it warns of much that is no damage
    av.logging.restore_default_callback()

    def complains() -> bool:
        with contextlib.suppress(BlockingIOError):
            return bool(os.read(ears, 1 << 16))
        return False

    try:
        yield complains
    finally:
        os.dup2(error, 2)
        av.logging.set_libav_level(av.logging.INFO)
        av.logging.set_level(level)
        for each in (ears, mouth, error):
            os.close(each)


def _is_cut_off(film: BinaryIO, head: bytes) -> bool:
    """Whether there is less of a film than it says: the library may read it to where it ends, as if that were all."""
    size = film.seek(0, io.SEEK_END)
    is_cut = _is_matroska_cut(film, size) if head == _MATROSKA else _is_mp4_cut(film, size)
    film.seek(0)
    return is_cut


def _is_mp4_cut(film: BinaryIO, size: int) -> bool:
    """By the boxes that hold frames; what stands behind them may be anything. Source: ISO/IEC 14496-12, 4.2."""
    at = 0
    while at + _BOX.size <= size:
        film.seek(at)
        length, kind = _BOX.unpack(film.read(_BOX.size))
        if length == 1:
            length = int.from_bytes(film.read(8))
        if length < _BOX.size:  # 0: to the end of the file
            return False
        at += length
        if at > size:
            return bool(kind == b"mdat")
    return False


def _is_matroska_cut(film: BinaryIO, size: int) -> bool:
    """By its segment. One that was written as it was recorded does not say. Source: RFC 8794, sections 5 to 7."""
    at = 0
    for _ in range(_ELEMENTS):
        film.seek(at)
        head = film.read(4 + 8)
        identity = _vint_length(head[:1])
        length = _vint_length(head[identity : identity + 1])
        said = int.from_bytes(head[identity : identity + length]) & ((1 << 7 * length) - 1)
        if said == (1 << 7 * length) - 1:  # unknown
            return False
        at += identity + length + said
        if head[:identity] == _SEGMENT or at > size:
            break
    return at > size


def _vint_length(first: bytes) -> int:
    """In bytes, of a number of variable length, by its first one."""
    return 9 - int.from_bytes(first).bit_length()


def _shown_size(frame: Any, aspect: float) -> tuple[int, int]:
    """Width and height in square pixels, before the frame is turned. One side grows and none shrinks: nothing of what
    the film holds is lost. aspect: of a pixel as it is stored, its width over its height."""
    width, height = frame.width, frame.height
    if abs(aspect - 1) <= _SQUARE:
        return width, height
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def _check_pixels(size: tuple[int, int], limits: FilmLimits) -> None:
    width, height = size
    if width * height > limits.pixels:
        raise _Refused("too_large", f"has frames of {width} × {height}; an image may have {limits.pixels} pixels")
    if max(size) > _LONGEST_SIDE:
        raise _Refused("too_large", f"has frames of {width} × {height}; a side may have {_LONGEST_SIDE} pixels")


def _jpeg(frame: Any, size: tuple[int, int], *, comment: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    _upright(frame, size).save(buffer, "JPEG", quality=QUALITY, subsampling=0, comment=comment)
    return buffer.getvalue()


def _stretched(frame: Any, size: tuple[int, int]) -> Any:
    """As a picture of that size. Where a film does not say how its colours were encoded, the library takes BT.601 for
    all of them, players BT.709 for what is larger than standard definition."""
    how: dict[str, Any] = {}
    if frame.colorspace == _UNTOLD and not frame.format.is_rgb and (frame.width > _SD[0] or frame.height > _SD[1]):
        how["src_colorspace"] = "ITU709"
    if size != (frame.width, frame.height):
        how |= {"width": size[0], "height": size[1], "interpolation": "BICUBIC"}
    return frame.to_image(**how)


def _upright(frame: Any, size: tuple[int, int]) -> Any:
    """Telephones write films lying, and some those of their front camera mirrored, with a word on how to turn them: a
    pixel (x, y) is shown at (a·x + c·y, b·x + d·y), y down. Source: ISO/IEC 14496-12, 6.2.2."""
    picture, told = _stretched(frame, size), frame.side_data.get("DISPLAYMATRIX")
    if told is None:
        return picture
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(told))
    if a * d < b * c:
        picture, a, b = picture.transpose(_LEFT_RIGHT), -a, -b
    clockwise = round(math.degrees(math.atan2(b, a)))
    return picture.rotate(-clockwise, expand=True) if clockwise else picture


def arguments(every_s: float, limits: FilmLimits) -> list[str]:
    """Of the process."""
    return [repr(every_s), json.dumps(asdict(limits))]


def main(argv: list[str], film: BinaryIO, out: BinaryIO) -> int:
    every_s, limits = float(argv[0]), FilmLimits(**json.loads(argv[1]))
    try:
        with _listening() as complains:
            for at_ms, jpeg in frames_of(film, every_s, limits, complains):
                out.write(FRAME.pack(at_ms, len(jpeg)))
                out.write(jpeg)
    except _Refused as refused:
        print(json.dumps({"code": refused.code, "detail": str(refused)}), file=sys.stderr)  # noqa: T201
        return 1
    out.write(END)
    out.flush()
    return 0


def _bound(limits: FilmLimits) -> None:  # pragma: no cover  # in a process of its own, as tests of films have it
    """Of this process, for good. Where the system knows no such bounds, who started it ends it."""
    import resource

    for kind, most in ((resource.RLIMIT_CPU, limits.cpu_s), (resource.RLIMIT_AS, limits.memory_bytes)):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))


if __name__ == "__main__":  # pragma: no cover
    _bound(FilmLimits(**json.loads(sys.argv[2])))
    sys.exit(main(sys.argv[1:], sys.stdin.buffer, sys.stdout.buffer))
