"""Every export: what goes out and comes back is the same to the last pixel."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentation.exports import EXPORTS, Export
from segmentation.formats import FORMATS
from segmentation.formats.format import FormatOptions
from segmentation.label_map import LabelMap
from segmentation.label_space import LabelClass, LabelSpace
from segmentation.label_spaces import LABEL_SPACES
from tests.exporting import Ids, exported, files_of, masks, returned

NOTHING = LabelSpace("nothing", (LabelClass(0, "background", (0, 0, 0), "object"),), ignore_id=255)
ODD = LabelSpace(
    "odd",
    (
        LabelClass(3, "a: b # c", (9, 9, 9), "thing"),
        LabelClass(7, "Background", (0, 0, 0), "thing"),
        LabelClass(8, 'x"<&>, [y]', (9, 9, 9), "thing"),
        LabelClass(200, "x", (1, 1, 1), "void"),
        LabelClass(201, "X", (1, 1, 1), "void"),
    ),
)
TWO_VALUES = LabelSpace(
    "two", (LabelClass(0, "black", (0, 0, 0), "all"), LabelClass(255, "white", (255, 255, 255), "all"))
)
SPACES = {**LABEL_SPACES, "nothing": NOTHING, "odd": ODD, "two": TWO_VALUES}
CITYSCAPES = ("cityscapes-34", "cityscapes-19", "camvid-11")  # whose labels have label ids


@pytest.mark.parametrize("export", EXPORTS.values(), ids=EXPORTS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_goes_out_comes_back_to_the_last_pixel(export: Export, data: st.DataObject) -> None:
    space = SPACES[data.draw(st.sampled_from(CITYSCAPES if export.name == "cityscapes" else sorted(SPACES)))]
    maps: list[Ids] = data.draw(st.lists(masks(space), min_size=0, max_size=3))
    content = exported(maps, space, instances=data.draw(st.booleans()))
    files = files_of(export, content)
    assert export.fits(files) or not maps
    back = {each.image.index: each.ids for each in export.read(returned(files, content))}
    assert sorted(back) == list(range(len(maps)))
    for index, ids in enumerate(maps):
        np.testing.assert_array_equal(back[index], ids)


@pytest.mark.parametrize("name", ["coco", "polygons"])
def test_no_class_is_left_out_where_255_is_one(name: str) -> None:
    ids = np.array([[0, 255], [0, 0]], np.uint8)
    encoded = FORMATS[name].encode(LabelMap(ids, TWO_VALUES), np.zeros((2, 2, 3), np.uint8), FormatOptions())
    document = json.loads(encoded.data)
    told = [each["category_id"] for each in document.get("annotations", ())]
    told += [each["properties"]["class_id"] for each in document.get("features", ())]
    assert told == [0, 255]
