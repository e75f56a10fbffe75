"""Masks whose palette says that their ids mean something else: those of another label space, or an indexed picture that
a program wrote anew, which numbers colours as it likes."""

import numpy as np
from numpy.typing import NDArray

from segmentation.errors import MaskMismatch
from segmentation.label_space import LabelSpace
from segmentation.measures.counting import count_ids
from segmentation.palette import BLACK, palette, voc_palette
from segmentation.picture_files.file_data import FileData, opened
from segmentation.picture_files.picture_headers import png_palette
from segmentation.picture_files.picture_kinds import HEAD_BYTES, PICTURE_KINDS, sniff_media_type


def check_palette(data: FileData, ids: NDArray[np.uint8], space: LabelSpace) -> None:
    """data: a mask that can be read. ids: its pixels, (H, W).

    Raises MaskMismatch where all its colours are those of classes, in a palette of ours, and stand at other indices.
    Black, which is the colour of whatever has none, says nothing; nor does a palette of somebody's own, nor Pascal
    VOC's, whose colours many label spaces have in another order.
    """
    colours = _colours(data)
    if colours is None or _begins(voc_palette(), colours) or _begins(palette(space), colours):
        return  # without counting: this is asked of every mask
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
                f"pixels of {index}, which is {space.name_of(index)} in {space.name}, have the colour of "
                f"{classes[colour].name}, which is {classes[colour].id}: its ids are of another label space, or a "
                "program has put its palette in another order"
            )


def _colours(data: FileData) -> NDArray[np.uint8] | None:
    """(N, 3), by index; None of a mask without a palette. Of a PNG no pixel is decoded for it."""
    media_type = sniff_media_type(data[:HEAD_BYTES]) or ""
    if media_type == "image/png":
        found = png_palette(data)
    else:
        picture = PICTURE_KINDS[media_type].open(opened(data))
        found = bytes(picture.getpalette() or ()) if picture.mode == "P" else None
    return None if found is None else np.frombuffer(found, np.uint8, len(found) // 3 * 3).reshape(-1, 3)


def _begins(known: NDArray[np.uint8], colours: NDArray[np.uint8]) -> bool:
    return bool(np.array_equal(known[: len(colours)], colours))
