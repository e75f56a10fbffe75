"""Masks that show a class as a colour, as drawing programs and some data sets store them."""

from pathlib import Path

import numpy as np

from segmentation.errors import MaskMismatch
from segmentation.label_space import RGB, LabelClass, LabelSpace
from segmentation.picture_files.pictures import decode_picture
from training.datasets.pairs import MAX_PIXELS, Mask

_PLACES = np.array([1 << 16, 1 << 8, 1])


def first_of_colour(space: LabelSpace, colour: RGB) -> LabelClass:
    """Of the classes with this colour the one of the lowest id; there is one at least."""
    return min((each for each in space.classes if each.colour == colour), key=lambda each: each.id)


def read_colour_mask(path: Path, *, space: LabelSpace) -> Mask:
    """(H, W) uint8 class ids; of several classes with one colour, the lowest id.

    Raises MaskMismatch for a colour that the space does not have: that is a mistake, or a lossy picture.
    """
    picture = decode_picture(path.read_bytes(), max_pixels=MAX_PIXELS)
    id_of = {int(np.dot(each.colour, _PLACES)): first_of_colour(space, each.colour).id for each in space.classes}
    shown, position = np.unique(picture @ _PLACES, return_inverse=True)
    unknown = [int(code) for code in shown if int(code) not in id_of]
    if unknown:
        first = tuple(unknown[0].to_bytes(3, "big"))
        raise MaskMismatch(f"it has {len(unknown)} colours that {space.name} has not, the first is {first}")
    ids = np.array([id_of[int(code)] for code in shown], dtype=np.uint8)
    return ids[position].reshape(picture.shape[:2])
