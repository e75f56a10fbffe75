"""Masks that show a class as a colour, as drawing programs and some data sets store them."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from segmentation.errors import MaskMismatch
from segmentation.label_space import RGB, LabelClass, LabelSpace
from segmentation.picture_files.pictures import decode_picture
from training.datasets.pairs import MAX_PIXELS, Mask

OPAQUE = 255
_PLACES = np.array([1 << 16, 1 << 8, 1])


def first_of_colour(space: LabelSpace, colour: RGB) -> LabelClass:
    """Of the classes with this colour the one of the lowest id; there is one at least."""
    return min((each for each in space.classes if each.colour == colour), key=lambda each: each.id)


def read_colour_mask(path: Path, *, space: LabelSpace) -> Mask:
    """(H, W) uint8 class ids; of several classes with one colour, the lowest id.

    Raises MaskMismatch for a colour that the space does not have: that is a mistake, or a lossy picture.
    """
    ids = {each.colour: first_of_colour(space, each.colour).id for each in space.classes}

    def complaint(unknown: Mapping[RGB, float]) -> str:
        return f"it has {len(unknown)} colours that {space.name} has not, the first is {next(iter(unknown))}"

    return ids_of_colours(path, ids, complaint=complaint)


def ids_of_colours(path: Path, ids: Mapping[RGB, int], *, complaint: Callable[[Mapping[RGB, float]], str]) -> Mask:
    """(H, W) uint8. complaint: what is said of colours that have no id; it is told the share of pixels of each.

    Raises MaskMismatch where there are such colours, and for pixels that are seen through: a picture has white there,
    which may be the colour of a class. SegmentationError, OSError.
    """
    data = path.read_bytes()
    picture = decode_picture(data, max_pixels=MAX_PIXELS)
    _require_opaque(data)
    id_of = {int(np.dot(colour, _PLACES)): each for colour, each in ids.items()}
    shown, position, counts = np.unique(picture @ _PLACES, return_inverse=True, return_counts=True)
    unknown = {
        _rgb(code): count / position.size
        for code, count in zip(shown.tolist(), counts.tolist(), strict=True)
        if code not in id_of
    }
    if unknown:
        raise MaskMismatch(complaint(unknown))
    table = np.array([id_of[code] for code in shown.tolist()], dtype=np.uint8)
    return table[position].reshape(picture.shape[:2])


def _require_opaque(data: bytes) -> None:
    with Image.open(io.BytesIO(data)) as image:
        if not image.has_transparency_data:
            return
        seen_through = np.asarray(image.convert("RGBA"))[..., 3] < OPAQUE
    if seen_through.any():
        share = 100 * float(seen_through.mean())
        raise MaskMismatch(f"{share:.1f} % of its pixels are transparent, which is no class: give them a colour of one")


def _rgb(code: int) -> RGB:
    red, green, blue = code.to_bytes(3, "big")
    return red, green, blue
