"""Small pictures for a page: reduced, and written as data addresses, so that the page asks nobody for anything."""

import io
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jobs.comparing.pages.tiles import Name, address
from segmentation.formats.stripes import stripes
from segmentation.label_space import LabelSpace
from segmentation.palette import palette

LONG_SIDE = 512
TEXT_HEIGHT, LETTER_WIDTH = 26, 15.0  # of a class name that is written into a mask, in pixels

Ids = NDArray[np.uint8]


def reduced_photo(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """photo: (H, W, 3). Its long side becomes LONG_SIDE at most."""
    return np.asarray(Image.fromarray(photo).resize(_size(photo.shape), Image.Resampling.LANCZOS))


def reduced_ids(ids: Ids) -> Ids:
    """ids: (H, W). Of the same size as the photo; no class is made up between two others."""
    return np.asarray(Image.fromarray(ids).resize(_size(ids.shape), Image.Resampling.NEAREST))


def photo_address(photo: NDArray[np.uint8]) -> str:
    return _address(Image.fromarray(photo), "webp", quality=82, method=4)


def mask_address(ids: Ids, colours: NDArray[np.uint8]) -> str:
    """colours: (256, 3)."""
    picture = _indexed(ids)
    picture.putpalette(colours.tobytes())
    return _address(picture, "png", optimize=True)


def stripes_address(marked: NDArray[np.bool_]) -> str:
    """marked: (H, W). Dark and light stripes where it is true, transparent elsewhere."""
    return address(stripes(marked), "image/png")


def names_within(ids: Ids, space: LabelSpace) -> Iterator[Name]:
    """The name of each class that has a region large enough to write it there, in its widest place."""
    for class_id in np.unique(ids):
        if int(class_id) in space.void_ids:
            continue
        name = space.name_of(int(class_id))
        room = np.ones((TEXT_HEIGHT, round(LETTER_WIDTH * len(name)) + 8), dtype=np.uint8)
        region = (ids == class_id).astype(np.uint8)
        fits = cv2.erode(region, room, borderType=cv2.BORDER_CONSTANT, borderValue=0)
        if fits.any():
            depth = cv2.distanceTransform(np.pad(region, 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
            y, x = np.unravel_index(int(np.where(fits, depth, -1).argmax()), ids.shape)
            yield Name(name, int(x), int(y))


def shares(ids: Ids, space: LabelSpace) -> list[tuple[str, float]]:
    """The largest classes first, with their share of the pixels; what counts nowhere is left out."""
    counts = np.bincount(ids.ravel(), minlength=256)
    present = [each for each in np.argsort(-counts, kind="stable").tolist() if counts[each]]
    return [(space.name_of(each), float(counts[each] / ids.size)) for each in present if each not in space.void_ids]


def class_colours(space: LabelSpace, *, colour_blind_safe: bool) -> NDArray[np.uint8]:
    """(256, 3); what counts nowhere is black."""
    return palette(space, colour_blind_safe=colour_blind_safe)


def _size(shape: tuple[int, ...]) -> tuple[int, int]:
    height, width = shape[:2]
    scale = min(1.0, LONG_SIDE / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _indexed(values: Ids) -> Image.Image:
    height, width = values.shape
    return Image.frombytes("P", (width, height), values.tobytes())


def _address(picture: Image.Image, kind: str, **options: int) -> str:
    memory = io.BytesIO()
    picture.save(memory, format=kind.upper(), **options)
    return address(memory.getvalue(), f"image/{kind}")
