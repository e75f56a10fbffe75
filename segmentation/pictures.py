"""Bytes to pixels: pictures as RGB, masks as class ids. JPEG, PNG, WebP, TIFF, BMP; of animated files the first frame.

The format is read from the bytes, never from a name, and sizes are checked before any pixel is decoded.
"""

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import numpy as np
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    Image,
    ImageFile,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from segmentation.errors import ImageTooLarge, MaskMismatch, UnreadableImage, UnsupportedImage

Picture = NDArray[np.uint8]  # (H, W, 3) RGB, upright

# The plugins themselves, not Image.open: that applies a process-wide pixel limit, and tries some forty other formats.
_READERS: dict[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "image/jpeg": JpegImagePlugin.JpegImageFile,
    "image/png": PngImagePlugin.PngImageFile,
    "image/webp": WebPImagePlugin.WebPImageFile,
    "image/tiff": TiffImagePlugin.TiffImageFile,
    "image/bmp": BmpImagePlugin.BmpImageFile,
}

_SIGNATURES = (
    (b"\xff\xd8\xff", "image/jpeg"),  # MPO too: a JPEG with more behind it
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"II+\x00", "image/tiff"),
    (b"MM\x00+", "image/tiff"),
    (b"BM", "image/bmp"),
)

# Recognised so that the answer is "not supported" and not "damaged".
_FOREIGN = {
    b"GIF8": "GIF",
    b"8BPS": "Photoshop",
    b"%PDF": "PDF",
    b"<svg": "SVG",
    b"\x00\x00\x01\x00": "ICO",
    b"\x00\x00\x00\x0cjP": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\xff\x0a": "JPEG XL",
    b"\x00\x00\x00\x0cJXL": "JPEG XL",
    b"qoif": "QOI",
}

# What Pillow's readers raise for damaged files.
_BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, AttributeError),
    *(struct.error, zlib.error, OverflowError),
)

WHITE = (255, 255, 255, 255)


def sniff_media_type(head: bytes) -> str | None:
    """The media type that the first 16 bytes announce, None when it is none of the five."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for signature, media_type in _SIGNATURES if head.startswith(signature)), None)


def decode_picture(data: bytes, *, max_pixels: int) -> Picture:
    """(H, W, 3) uint8 RGB, read-only: turned upright as EXIF says, transparency laid over white, 16 bits cut to 8.

    Raises UnreadableImage (damaged), UnsupportedImage (another format or kind of pixel) and ImageTooLarge.
    """
    return np.asarray(_to_rgb(_open(data, max_pixels=max_pixels)))


def decode_mask(data: bytes, *, max_pixels: int) -> NDArray[np.uint8]:
    """(H, W) uint8 class ids, perhaps read-only: the indices of a palette picture, or the values of a grey one.

    Raises MaskMismatch when the pixels cannot be ids (colours, a lossy JPEG, values above 255), and what
    `decode_picture` raises.
    """
    if sniff_media_type(data[:16]) == "image/jpeg":
        raise MaskMismatch("a JPEG does not keep class ids; masks must be lossless, for example PNG")
    mask = _open(data, max_pixels=max_pixels)
    values = np.asarray(mask)
    if mask.mode in ("P", "L", "1"):
        ids = values.astype(np.uint8, copy=False)
        return ids // np.uint8(_grey_step(data)) if mask.mode == "L" else ids
    if mask.mode == "I" or mask.mode.startswith("I;16"):
        if values.min() < 0 or values.max() > 255:
            raise MaskMismatch(f"class ids must be 0..255, the mask has {values.min()}..{values.max()}")
        return values.astype(np.uint8)
    raise MaskMismatch(f"a mask must hold one class id per pixel (grey or palette), this one is {mask.mode}")


def _open(data: bytes, *, max_pixels: int) -> ImageFile.ImageFile:
    """A picture whose pixels are decoded, after its size was checked, and upright."""
    media_type = sniff_media_type(data[:16])
    if media_type is None:
        raise _not_readable(data[:32])
    with _told(media_type):
        picture = _READERS[media_type](io.BytesIO(data))
    width, height = picture.size
    if width * height > max_pixels:
        raise ImageTooLarge(f"{width}×{height} is {width * height} pixels, allowed are {max_pixels}")
    with _told(media_type):
        picture.load()
    _turn_upright(picture)
    return picture


@contextmanager
def _told(media_type: str) -> Iterator[None]:
    """Say in our errors what Pillow's readers say in many."""
    try:
        yield
    except Image.DecompressionBombError as error:
        raise ImageTooLarge("the picture has more pixels than can be read") from error
    except _BROKEN as error:
        raise UnreadableImage(f"the {media_type.removeprefix('image/').upper()} is damaged: {error}") from error


def _not_readable(head: bytes) -> UnreadableImage | UnsupportedImage:
    foreign = next((name for signature, name in _FOREIGN.items() if head.startswith(signature)), None)
    if head[4:8] == b"ftyp":
        foreign = "HEIF or AVIF"
    if foreign is not None:
        return UnsupportedImage(f"{foreign} is not supported; send JPEG, PNG, WebP, TIFF or BMP")
    return UnreadableImage("the file is empty" if not head else "the file is no JPEG, PNG, WebP, TIFF or BMP")


def _turn_upright(picture: Image.Image) -> None:
    # Damaged EXIF data is no reason to refuse sound pixels.
    with suppress(*_BROKEN):
        ImageOps.exif_transpose(picture, in_place=True)


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGB" and "transparency" not in picture.info:
        return picture
    if picture.mode == "I" or picture.mode.startswith("I;16"):
        return _upper_8_bits(picture).convert("RGB")
    if picture.mode in ("F", "LAB", "HSV"):
        raise UnsupportedImage(f"pixels of the kind {picture.mode} are not supported")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    opaque = Image.new("RGBA", picture.size, WHITE)
    opaque.alpha_composite(picture.convert("RGBA"))
    return opaque.convert("RGB")


def _upper_8_bits(picture: Image.Image) -> Image.Image:
    values = np.asarray(picture)
    if values.min() < 0 or values.max() > 0xFFFF:
        raise UnsupportedImage(f"grey values must be 0..65535, the picture has {values.min()}..{values.max()}")
    return Image.fromarray((values >> 8).astype(np.uint8))


def _grey_step(data: bytes) -> int:
    """What Pillow multiplies the values of a grey PNG of 2 or 4 bits with, to spread them over 0..255."""
    is_grey_png = data.startswith(b"\x89PNG") and data[25] == 0
    return {2: 85, 4: 17}.get(data[24], 1) if is_grey_png else 1
