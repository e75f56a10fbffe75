"""Bytes to pixels: pictures as RGB, masks as class ids; of animated files the first frame. Kinds: `picture_kinds.py`.

The kind is read from the bytes, never from a name, and sizes are checked before any pixel is decoded.
"""

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, ImageOps, TiffImagePlugin

from segmentation.errors import ImageTooLarge, UnreadableImage, UnsupportedImage
from segmentation.picture_files.deep_pixels import (
    DEPTHS,
    LOW_BIT_DEPTH,
    PACKED_DEPTHS,
    SIGNED,
    DeepPixels,
    Notice,
    depth_of,
    is_deep,
    is_deep_grey,
    largest_values,
    raw_mode,
    with_swapped_bytes,
)
from segmentation.picture_files.file_data import FileData, opened
from segmentation.picture_files.film import DAMAGED, is_film
from segmentation.picture_files.id_pixels import check_keeps_ids, ids_of, spread_by
from segmentation.picture_files.picture_headers import (
    FIRST_OF_SEVERAL,
    PngSurvey,
    completed,
    count_scans,
    has_end_mark,
    lacks_scans,
    may_be_turned,
    of_pages,
    survey_png,
    webp_size,
)
from segmentation.picture_files.picture_kinds import (
    HEAD_BYTES,
    PICTURE_KINDS,
    WITH_SIGN,
    foreign_kind,
    kinds_read,
    sniff_media_type,
)
from segmentation.picture_files.turbo_jpeg import complaint, decode_rgb, ends_early, read_header, whole_part

__all__ = [
    "DEPTHS",
    "NOTICES",
    "DecodedPicture",
    "Header",
    "Notice",
    "Picture",
    "decode_mask",
    "decode_picture",
    "probe",
    "read_picture",
    "sniff_media_type",
]

Picture = NDArray[np.uint8]  # (H, W, 3) RGB, upright

# What Pillow's readers raise for damaged files.
_BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, AttributeError, RuntimeError),
    *(struct.error, zlib.error, OverflowError),
)
HELD_WHOLE = 256 * 2**20  # bytes of a file of a kind whose reader holds all of it

_WHITE = (255, 255, 255, 255)
_BAND_PIXELS = 2**22  # that are converted at once: of a large picture no second copy is made

# By EXIF's orientation: a view of the upright picture's array, as the pixels are stored.
_AS_STORED: dict[object, Callable[[Picture], Picture]] = {
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: upright.swapaxes(0, 1)[::-1],
    7: lambda upright: upright.swapaxes(0, 1)[::-1, ::-1],
    8: lambda upright: upright.swapaxes(0, 1)[:, ::-1],
}
_SIDEWAYS = (5, 6, 7, 8)

TRUNCATED_TAIL, DAMAGED_DATA = "truncated_tail", "damaged_data"
GEOREFERENCE_NOTICES = ("georeference_unread", "georeference_unusable", "no_georeference")
# Codes of all that can be noticed of a picture.
NOTICES = frozenset({TRUNCATED_TAIL, DAMAGED_DATA, FIRST_OF_SEVERAL, LOW_BIT_DEPTH, *GEOREFERENCE_NOTICES})
_DAMAGED_FILM = Notice(DAMAGED_DATA, "a part of the picture may be wrong: its film is damaged here, or shortly before")
_TRUNCATED = Notice(TRUNCATED_TAIL, "the end of the file is missing; all its pixels are there")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """width, height: in pixels, as stored (EXIF may turn them). scans: how often a JPEG goes through its pixels.

    weight: how many times the memory of another picture decoding takes.
    """

    media_type: str
    width: int
    height: int
    scans: int = 1
    weight: int = 1


@dataclass(frozen=True, slots=True)
class DecodedPicture:
    """pixels: C-contiguous, read-only. notices: what a reader of the results must know about how they were read."""

    pixels: Picture
    notices: tuple[Notice, ...] = ()


def probe(data: FileData) -> Header:
    """What a picture says of itself, before any pixel is decoded. Raises UnreadableImage, UnsupportedImage."""
    return _File(data).header()


def read_picture(data: FileData, *, max_pixels: int, bit_depth: int | None = None) -> DecodedPicture:
    """Turned upright as EXIF says, transparency laid over white, cut to 8 bits.

    bit_depth: of samples stored in 16 bits, one of DEPTHS; None believes what PNG's sBIT or a TIFF says, else takes 16.
    Notices: `low_bit_depth` where 16 is taken though all values lie below 4096, `truncated_tail` where all pixels are
    there but the end of the file is not, `damaged_data` for a JPEG, or a film's frame, that is wrong in its middle,
    `first_of_several` for a TIFF of several pages.
    Raises UnreadableImage (damaged), UnsupportedImage (another kind of file or of pixel, values that `bit_depth` cannot
    hold), ImageTooLarge.
    """
    file = _File(data)
    quick = file.quickly(max_pixels)
    if quick is not None:
        return DecodedPicture(quick, file.of_film())
    picture, raw, notices = file.loaded(max_pixels)
    notices += file.of_film()
    if picture.mode in ("F", "LAB", "HSV"):
        raise UnsupportedImage(f"pixels of the kind {picture.mode} are not supported")
    if picture.mode == "L" and _tags(picture).get(TiffImagePlugin.SAMPLEFORMAT) == (WITH_SIGN,):  # -1 would be 255
        raise UnsupportedImage("grey in 8 bits with a sign is not supported")
    if picture.mode == "P" and picture.palette is None:  # Pillow asserts that there is one
        raise UnreadableImage(f"the {PICTURE_KINDS[file.media_type].name} is damaged: its palette is missing")
    deep = file.deep(picture, raw, bit_depth) if is_deep(picture.mode, raw) else None
    return DecodedPicture(_to_rgb(picture, deep), notices if deep is None else (*notices, *deep.notices))


def decode_picture(data: bytes, *, max_pixels: int) -> Picture:
    """The pixels of `read_picture` without its notices."""
    return read_picture(data, max_pixels=max_pixels).pixels


def is_upright(data: FileData) -> bool:
    """Whether EXIF leaves the picture as it is stored. Raises UnreadableImage, UnsupportedImage."""
    return read_exif(data).get(ExifTags.Base.Orientation) not in _AS_STORED


def read_exif(data: FileData) -> Image.Exif:
    """Empty where there is none, or it is damaged. Raises UnreadableImage, UnsupportedImage."""
    return _File(data).exif()


def flattened(picture: Image.Image) -> Picture:
    """Over white. picture: with transparency."""
    opaque = Image.new("RGBA", picture.size, _WHITE)
    opaque.alpha_composite(picture.convert("RGBA"))
    return np.asarray(opaque.convert("RGB"))


def decode_mask(data: FileData, *, max_pixels: int) -> NDArray[np.uint8]:
    """(H, W) uint8 class ids, perhaps read-only: the indices of a palette picture, or the values of a grey one.

    Raises MaskMismatch when the pixels cannot be ids (colours, what is packed with losses, values above 255), and what
    `decode_picture` raises.
    """
    file = _File(data)
    check_keeps_ids(file.media_type)
    mask, raw, _ = file.loaded(max_pixels)
    # Damaged EXIF data is no reason to refuse sound pixels.
    with suppress(*_BROKEN):
        ImageOps.exif_transpose(mask, in_place=True)
    return ids_of(mask, raw)


class _File:
    """The bytes of one picture. Raises UnreadableImage and UnsupportedImage, here and when it is opened."""

    def __init__(self, data: FileData) -> None:
        head = data[:HEAD_BYTES]
        media_type = sniff_media_type(head)
        if media_type is None:
            raise _not_readable(head)
        self.media_type = media_type
        self._data = data
        self._png: PngSurvey | None = None
        if media_type == "image/png":
            self._png = survey_png(data)
            self._data = self._png.data

    def header(self) -> Header:
        data, media_type = self._data, self.media_type
        size = webp_size(data[:HEAD_BYTES]) if media_type == "image/webp" else None
        if media_type == "image/jpeg" and isinstance(data, bytes) and (quick := read_header(data)) is not None:
            size = quick[1], quick[0]
        width, height = self._open(data).size if size is None else size
        scans = count_scans(data) if media_type == "image/jpeg" else 1
        weight = PICTURE_KINDS[media_type].weight
        return Header(media_type=media_type, width=width, height=height, scans=scans, weight=weight)

    def exif(self) -> Image.Exif:
        """Damaged data is as none."""
        if self.media_type == "image/jpeg" and isinstance(self._data, bytes) and not may_be_turned(self._data):
            return Image.Exif()
        picture = self._open(self._data)
        with suppress(*_BROKEN):
            if self._png is None:
                return picture.getexif()
            if self._png.exif:
                picture.info["exif"] = b"Exif\0\0" + self._png.exif
            return Image.Image.getexif(picture)  # a PNG's own decodes all of it, to see whether EXIF follows its pixels
        return Image.Exif()

    def quickly(self, max_pixels: int) -> Picture | None:
        """The usual picture, a sound JPEG in three colours, in half of Pillow's time; None for all others."""
        data = self._data
        if self.media_type != "image/jpeg" or not isinstance(data, bytes) or not has_end_mark(data):
            return None
        header = read_header(data)
        if header is None:
            return None
        height, width, in_three_colours = header
        _check_size((width, height), max_pixels)
        stored = decode_rgb(data, height, width) if in_three_colours and not lacks_scans(data) else None
        if stored is None:
            return None
        return _upright(stored, _orientation(self._open(data)) if may_be_turned(data) else None)

    def of_film(self) -> tuple[Notice, ...]:
        """Where it is a frame, what the decoder of its film had to say of it."""
        is_damaged = self.media_type == "image/jpeg" and DAMAGED in bytes(self._data[:HEAD_BYTES])
        return (_DAMAGED_FILM,) if is_damaged else ()

    def loaded(self, max_pixels: int) -> tuple[ImageFile.ImageFile, str, tuple[Notice, ...]]:
        """The picture with its pixels, Pillow's raw mode of them, and notices. Raises ImageTooLarge."""
        if self.media_type == "image/webp":  # its reader takes the memory as soon as it is opened
            _check_size(webp_size(self._data[:HEAD_BYTES]) or (0, 0), max_pixels)
        picture = self._open(self._data)
        _check_size(picture.size, max_pixels // PICTURE_KINDS[self.media_type].weight)
        if self.media_type == "image/jpeg" and lacks_scans(self._data[:]):  # of one on disk too: its pixels are more
            raise UnreadableImage("the JPEG is damaged: scans are missing, without which its pixels are others")
        raw = raw_mode(picture)
        try:
            with self._told():
                picture.load()
        except UnreadableImage as error:
            if self.media_type != "image/jpeg" or not isinstance(self._data, bytes):
                raise
            return self._without_its_end(self._data, error), raw, (_TRUNCATED,)
        if picture.mode == "L" and "transparency" in picture.info:
            picture.info["transparency"] *= spread_by(raw)  # Pillow spreads the samples, and forgets this one
        return picture, raw, self._noticed()

    def deep(self, picture: ImageFile.ImageFile, raw: str, bit_depth: int | None) -> DeepPixels:
        """How the samples in 16 bits of a picture become 8. Raises UnsupportedImage."""
        top, alpha = largest_values(picture, _band_rows(picture.width))
        said = PACKED_DEPTHS.get(raw) if self._png is None else self._png.significant_bits
        depth, notices = depth_of(top, bit_depth=bit_depth, said=said, most=15 if raw in SIGNED else 16)
        low, clear = None, picture.info.get("transparency")
        if (depth < 16 or clear is not None) and not is_deep_grey(picture.mode):
            low = with_swapped_bytes(self._open(self._data))
            with self._told():
                low.load()
        negative = is_deep_grey(picture.mode) and is_white_zero(picture)
        return DeepPixels(depth - 8, notices, low, deep_alpha=alpha < 1 << depth, clear=clear, negative=negative)

    def _noticed(self) -> tuple[Notice, ...]:
        """Of a picture that was loaded. Raises UnreadableImage for a JPEG that lacks pixels."""
        if self.media_type == "image/tiff":
            return of_pages(self._data)
        if self.media_type != "image/jpeg":
            return () if self._png is None or self._png.complete else (_TRUNCATED,)
        said = complaint(data := self._data[:])
        notices = () if has_end_mark(data) else (_TRUNCATED,)
        if ends_early(said) or (notices and not said and whole_part(data) is None):
            raise UnreadableImage(f"the JPEG is damaged: {said or 'zeros stand for pixels'}")
        return (*notices, Notice(DAMAGED_DATA, f"a part of the picture may be wrong: {said}")) if said else notices

    def _without_its_end(self, data: bytes, error: UnreadableImage) -> ImageFile.ImageFile:
        """A JPEG that ends too early, when all its pixels are there all the same: it is sound with an end mark, and
        what follows changes none."""
        whole = whole_part(data)
        if whole is None:
            raise error
        tried = [self._open(each) for each in completed(whole)[1:]]
        with self._told():
            same = tried[0].tobytes() == tried[1].tobytes()
        if not same:
            raise error
        return tried[0]

    def _open(self, data: FileData) -> ImageFile.ImageFile:
        kind = PICTURE_KINDS[self.media_type]
        if kind.held and len(data) > HELD_WHOLE:
            raise ImageTooLarge(f"a {kind.name} of {len(data)} bytes: all of it would have to be held to be read")
        with self._told():
            return kind.open(opened(data))

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say in our errors what Pillow's readers say in many."""
        try:
            yield
        except Image.DecompressionBombError as error:
            raise ImageTooLarge("the picture has more pixels than can be read") from error
        except _BROKEN as error:
            raise UnreadableImage(f"the {PICTURE_KINDS[self.media_type].name} is damaged: {error}") from error


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise ImageTooLarge(f"{width}×{height} is {width * height} pixels, allowed are {max_pixels}")


def _not_readable(head: bytes) -> UnreadableImage | UnsupportedImage:
    foreign = foreign_kind(head)
    if foreign is not None and is_film(head):
        said = "is not supported here: a film is sent as a file, an upload or in an archive, not named by its address"
        return UnsupportedImage(f"{foreign} {said}; pictures are {kinds_read()}")
    if foreign is not None:
        return UnsupportedImage(f"{foreign} is not supported; send {kinds_read()}")
    return UnreadableImage("the file is empty" if not head else f"the file is no {kinds_read()}")


def _to_rgb(picture: Image.Image, deep: DeepPixels | None) -> Picture:
    """Band by band, each straight to its place in the upright picture."""
    width, height = picture.size
    rows, orientation = _band_rows(width), _orientation(picture)
    if rows >= height and orientation not in _AS_STORED:
        pixels = _band(picture, deep, (0, 0, width, height))
    else:
        pixels = np.empty((width, height, 3) if orientation in _SIDEWAYS else (height, width, 3), np.uint8)
        turned = _AS_STORED.get(orientation)
        stored = pixels if turned is None else turned(pixels)
        for top in range(0, height, rows):
            bottom = min(height, top + rows)
            stored[top:bottom] = _band(picture, deep, (0, top, width, bottom))
    pixels.flags.writeable = False
    return pixels


def _upright(stored: Picture, orientation: object) -> Picture:
    """stored: as the file has it, C-contiguous; nobody else's."""
    turned = _AS_STORED.get(orientation)
    pixels = stored
    if turned is not None:
        height, width = stored.shape[:2]
        pixels = np.empty((width, height, 3) if orientation in _SIDEWAYS else stored.shape, np.uint8)
        turned(pixels)[:] = stored
    pixels.flags.writeable = False
    return pixels


def is_white_zero(picture: Image.Image) -> bool:
    """Of a TIFF, whose samples Pillow turns round in up to 8 bits alone."""
    return _tags(picture).get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0


def _tags(picture: Image.Image) -> Mapping[int, Any]:
    return picture.tag_v2 if isinstance(picture, TiffImagePlugin.TiffImageFile) else {}


def _band_rows(width: int) -> int:
    return max(1, _BAND_PIXELS // width)


def _orientation(picture: Image.Image) -> object:
    with suppress(*_BROKEN):  # damaged EXIF data is no reason to refuse sound pixels
        return picture.getexif().get(ExifTags.Base.Orientation)
    return None


def _band(picture: Image.Image, deep: DeepPixels | None, box: tuple[int, int, int, int]) -> Picture:
    whole = box[2:] == picture.size and box[:2] == (0, 0)
    band = deep.band(picture, box) if deep is not None else picture if whole else picture.crop(box)
    if band.mode == "La":  # Pillow goes from there to this one alone
        band = band.convert("LA")
    if band.mode == "RGB" and "transparency" not in band.info:
        return np.asarray(band)
    if not band.has_transparency_data:
        return np.asarray(band.convert("RGB"))
    return flattened(band)
