"""Masks that show a class as a colour, as drawing programs and some data sets store them."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from jobs.comparing.pages.wording import counted
from segmentation.errors import MaskMismatch
from segmentation.label_space import RGB, LabelClass, LabelSpace
from segmentation.masks.mask_colours import decode_colours
from training.datasets.pairs import MAX_PIXELS, Mask

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
        return f"it has {counted(len(unknown), 'colour')} that {space.name} has not, the first is {next(iter(unknown))}"

    return ids_of_colours(path, ids, complaint=complaint)


def ids_of_colours(path: Path, ids: Mapping[RGB, int], *, complaint: Callable[[Mapping[RGB, float]], str]) -> Mask:
    """(H, W) uint8. complaint: what is said of colours that have no id; it is told the share of pixels of each.

    Raises MaskMismatch where there are such colours, and for pixels that are transparent; SegmentationError, OSError.
    """
    picture = decode_colours(path.read_bytes(), max_pixels=MAX_PIXELS)
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


def _rgb(code: int) -> RGB:
    red, green, blue = code.to_bytes(3, "big")
    return red, green, blue
