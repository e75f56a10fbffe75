"""Samples stored in 16 bits or more, of which cameras fill 10, 12 or 14, and some programs 8: how many bits there are,
and the upper 8 of them."""

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, TiffImagePlugin

from segmentation.errors import UnsupportedImage

DEPTHS = (8, 10, 12, 14, 16)
LOW_BIT_DEPTH = "low_bit_depth"
PLANES = 2  # PlanarConfiguration of TIFF 6.0: each sample has a plane of its own
PACKED_DEPTHS = {"I;12": 12}  # by Pillow's raw mode: of samples that a TIFF stores in just so many bits
SIGNED = frozenset({"I;16S", "I;16BS"})  # raw modes of samples that take one of 16 bits for their sign
_LOW_TOP = 1 << 12
_WHITE = np.uint8(255)

# Pillow keeps the upper byte of colours in 16 bits. Read in the other order of bytes, it keeps the lower one.
_NATIVE_SWAPPED = "16B" if sys.byteorder == "little" else "16L"
_SWAPPED = {"16B": "16L", "16L": "16B", "16N": _NATIVE_SWAPPED}


@dataclass(frozen=True, slots=True)
class Notice:
    """What somebody who uses the result must know. code: stable, for programs; detail: for people."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class DeepPixels:
    """How a picture's samples become 8 bits: `value >> shift`. low: the lower bytes of colours where they are needed.

    deep_alpha: whether the transparency has as few bits as the colours. clear: the one grey or colour, in 16 bits, that
    stands for nothing. negative: whether 0 is white.
    """

    shift: int
    notices: tuple[Notice, ...] = ()
    low: Image.Image | None = None
    deep_alpha: bool = False
    clear: int | tuple[int, ...] | None = None
    negative: bool = False

    def band(self, picture: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
        """A part of the picture, in 8 bits a sample."""
        values = np.asarray(picture.crop(box))
        if is_deep_grey(picture.mode):
            grey = (values >> self.shift).astype(np.uint8)
            grey = 255 - grey if self.negative else grey
            return Image.fromarray(grey if self.clear is None else np.where(values == self.clear, _WHITE, grey))
        if self.low is None:
            return picture.crop(box)
        return Image.fromarray(self._joined(values, np.asarray(self.low.crop(box))))

    def _joined(self, high: NDArray[np.uint8], low: NDArray[np.uint8]) -> NDArray[np.uint8]:
        values = high.astype(np.uint16)
        values <<= 8
        values |= low
        joined = (values >> self.shift).astype(np.uint8)
        if self.clear is not None:
            joined[(values == self.clear).all(axis=2)] = _WHITE
        if joined.shape[2] == 4 and not self.deep_alpha:
            joined[:, :, 3] = high[:, :, 3]
        return joined


def is_deep_grey(mode: str) -> bool:
    return mode == "I" or mode.startswith("I;16")


def raw_mode(picture: ImageFile.ImageFile) -> str:
    """How Pillow will read the samples of a picture that is not loaded yet; empty when it does not say."""
    arguments = picture.tile[0].args if picture.tile else ""
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def is_deep(mode: str, raw: str) -> bool:
    return is_deep_grey(mode) or (mode in ("RGB", "RGBA", "CMYK") and raw.partition(";")[2] in _SWAPPED)


def with_swapped_bytes(picture: ImageFile.ImageFile) -> ImageFile.ImageFile:
    """A picture that is not loaded yet, so that it keeps the lower bytes. Raises UnsupportedImage."""
    channels = raw_mode(picture).partition(";")[0]
    if not channels.startswith("R"):  # RGB, or R of planes
        raise UnsupportedImage(f"of {channels} in 16 bits only the upper 8 are read; `bit_depth` must be 16")
    if _is_in_packed_planes(picture):  # of which Pillow keeps the upper bytes, whatever it is told
        raise UnsupportedImage("of packed planes of 16 bits only the upper 8 are read; `bit_depth` must be 16")
    picture.tile = [each._replace(args=_swapped(each.args)) for each in picture.tile]
    return picture


def _is_in_packed_planes(picture: ImageFile.ImageFile) -> bool:
    if not isinstance(picture, TiffImagePlugin.TiffImageFile):
        return False
    return picture.use_load_libtiff and picture.tag_v2.get(TiffImagePlugin.PLANAR_CONFIGURATION) == PLANES


def _swapped(arguments: Any) -> Any:
    if not isinstance(arguments, str):
        return (_swapped(arguments[0]), *arguments[1:])
    channels, _, order = arguments.partition(";")
    return f"{channels};{_SWAPPED[order]}"


def largest_values(picture: Image.Image, rows: int) -> tuple[int, int]:
    """(of the colours or the grey, of the transparency); of colours, whose upper bytes are all there is, 256 · that.

    Looks at so many rows at once. Raises UnsupportedImage for grey values outside 0..65535.
    """
    width, height = picture.size
    low, top, alpha, colours = 0, 0, 0, 4 if picture.mode == "CMYK" else 3
    for first in range(0, height, rows):
        values = np.asarray(picture.crop((0, first, width, min(height, first + rows))))
        if values.ndim == 3:
            top = max(top, int(values[:, :, :colours].max()) << 8)
            alpha = max(alpha, int(values[:, :, colours:].max(initial=0)) << 8)
        else:
            low, top = min(low, int(values.min())), max(top, int(values.max()))
    if low < 0 or top > 0xFFFF:
        raise UnsupportedImage(f"grey values must be 0..65535, the picture has {low}..{top}")
    return top, alpha


def depth_of(top: int, *, bit_depth: int | None, said: int | None, most: int = 16) -> tuple[int, tuple[Notice, ...]]:
    """How many bits of 16 are filled when `top` is the largest value; said: by the file itself; most: that there are.

    A file that says 12 and holds larger values was stretched to 16, as PNG asks for. Raises UnsupportedImage when
    `bit_depth` cannot hold the values.
    """
    if bit_depth is not None:
        if top >= 1 << bit_depth:
            raise UnsupportedImage(f"bit_depth is {bit_depth}, but there are values above {(1 << bit_depth) - 1}")
        return bit_depth, ()
    if said is not None and 8 <= said < 16 and top < 1 << said:
        return said, ()
    if top >= _LOW_TOP:
        return most, ()
    least = next(1 << depth for depth in DEPTHS if top < 1 << depth)
    detail = f"16 bits were read, but all values lie below {least}; tell the true depth with `bit_depth`"
    return most, (Notice(LOW_BIT_DEPTH, detail),)
