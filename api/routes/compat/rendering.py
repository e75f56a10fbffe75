"""Label maps as clients of before expect to see them: colours, sizes, files. Knows neither jobs nor requests."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segmentation.errors import NoRemapping
from segmentation.label_map import LabelMap
from segmentation.label_space import RGB, LabelSpace
from segmentation.label_spaces.cityscapes_8 import CITYSCAPES_8

LONG_SIDE = 256  # of a mask that is sent as numbers

# The eight classes of the comparison of two models: of Cityscapes' categories six and, without parking and rail, flat.
# Its colours are not those that Cityscapes gives them.
COMPARED: Mapping[str, RGB] = {
    "flat": (128, 64, 128),
    "human": (244, 35, 232),
    "vehicle": (70, 70, 70),
    "construction": (102, 102, 156),
    "object": (190, 153, 153),
    "nature": (153, 153, 153),
    "sky": (250, 170, 30),
}
PARKING_OR_RAIL: RGB = (220, 220, 0)
_PARKING_OR_RAIL_CLASSES = {"parking", "rail track"}  # as Cityscapes calls them


@lru_cache(maxsize=16)
def compared_colours(space: LabelSpace) -> NDArray[np.uint8]:
    """(256, 3) uint8 RGB by class id of `space`; black where a class is none of the eight."""
    colours = np.zeros((256, 3), np.uint8)
    for each in space.classes:
        category = _category(space, each.id)
        colours[each.id] = COMPARED.get(category, (0, 0, 0))
        if category == "flat" and each.name in _PARKING_OR_RAIL_CLASSES:
            colours[each.id] = PARKING_OR_RAIL
    return colours


def _category(space: LabelSpace, class_id: int) -> str:
    """By the space's own mapping where it has one, else by the groups of its classes."""
    try:
        return CITYSCAPES_8.name_of(int(space.remapping_to(CITYSCAPES_8)[class_id]))
    except NoRemapping:
        return space.by_id[class_id].group


def as_data_url(label_map: LabelMap) -> str:
    """`data:image/png;base64,…` of the map in the colours of the eight classes, at its own size."""
    png = as_png(compared_colours(label_map.space)[label_map.ids])
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def as_png(rgb: NDArray[np.uint8]) -> bytes:
    """rgb: (H, W, 3) uint8."""
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, format="png", compress_level=1)
    return file.getvalue()


def reduced(label_map: LabelMap) -> LabelMap:
    """At most LONG_SIDE pixels on the long side; each is one of the map's own."""
    long_side = max(label_map.ids.shape)
    if long_side <= LONG_SIDE:
        return label_map
    rows, columns = (_picked(side, max(1, round(side * LONG_SIDE / long_side))) for side in label_map.ids.shape)
    return LabelMap(np.ascontiguousarray(label_map.ids[np.ix_(rows, columns)]), label_map.space)


def _picked(side: int, wanted: int) -> NDArray[np.intp]:
    """The middle of each of `wanted` equal parts."""
    return ((np.arange(wanted) + 0.5) * side / wanted).astype(np.intp)
