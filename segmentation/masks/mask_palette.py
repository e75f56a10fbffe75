"""Masks whose palette was put in another order: programs that write indexed pictures number colours as they like."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segmentation.errors import MaskMismatch
from segmentation.label_space import LabelSpace
from segmentation.measures.counting import count_ids
from segmentation.palette import BLACK, palette


def check_order(data: bytes, ids: NDArray[np.uint8], space: LabelSpace) -> None:
    """data: a mask that can be read. ids: its pixels, (H, W).

    Raises MaskMismatch where all its colours are those of classes, in a palette of ours, and stand at other indices.
    Black, which is the colour of whatever has none, says nothing; nor does a palette of somebody's own.
    """
    with Image.open(io.BytesIO(data)) as picture:
        raw = picture.getpalette() if picture.mode == "P" else None
    if raw is None:
        return
    colours = np.array(raw, np.uint8).reshape(-1, 3)
    present = np.flatnonzero(count_ids(ids)[: len(colours)])
    shown = [(each, colour) for each in present.tolist() if (colour := tuple(colours[each].tolist())) != BLACK]
    palettes = [palette(space, colour_blind_safe=each).tolist() for each in (False, True)]
    if any(all(tuple(ours[index]) == colour for index, colour in shown) for ours in palettes):
        return
    for ours in palettes:
        classes = {tuple(ours[each.id]): each for each in space.classes}
        if all(colour in classes for _, colour in shown):
            index, colour = next(each for each in shown if tuple(ours[each[0]]) != each[1])
            raise MaskMismatch(
                f"its palette is in another order: pixels of {index}, which is {space.name_of(index)}, have the colour "
                f"of {classes[colour].name}, which is {classes[colour].id}; save it with the palette that it had"
            )
