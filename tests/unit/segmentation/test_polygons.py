"""Outlines of regions, along the edges of pixels."""

import json
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from segmentation.errors import UnreadableArtifact
from segmentation.formats.contours import Region, Ring, fill_regions, trace_regions
from segmentation.formats.format import FormatOptions
from segmentation.formats.polygons import Polygons
from segmentation.label_map import LabelMap
from segmentation.label_spaces import get_label_space

CAMVID = get_label_space("camvid-11")


def drawn(*rows: str) -> NDArray[np.uint8]:
    """Digits are ids, a dot is id 11."""
    return np.array([[11 if each == "." else int(each) for each in row] for row in rows], dtype=np.uint8)


def traced(class_id: int, *rows: str) -> list[Region]:
    return [region for region in trace_regions(drawn(*rows)) if region.class_id == class_id]


def shoelace(ring: Ring) -> float:
    (x, y), (to_x, to_y) = np.array(ring[:-1]).T, np.array(ring[1:]).T
    return float((x * to_y - to_x * y).sum()) / 2


def test_one_pixel_is_a_square() -> None:
    assert trace_regions(drawn("3")) == [Region(3, 1, [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]])]


def test_a_rectangle_has_four_corners_however_large() -> None:
    (region,) = traced(1, "....", ".11.", ".11.", ".11.")
    assert region == Region(1, 6, [[[1, 1], [3, 1], [3, 4], [1, 4], [1, 1]]])


def test_pixels_that_touch_at_a_corner_are_two_regions() -> None:
    assert [region.area for region in traced(1, "1.", ".1")] == [1, 1]
    assert [region.area for region in traced(1, ".1", "1.")] == [1, 1]


def test_a_hole_is_a_ring_of_its_own() -> None:
    (region,) = traced(1, "1111", "1..1", "1111")
    outline, hole = region.rings
    assert outline == [[0, 0], [4, 0], [4, 3], [0, 3], [0, 0]]
    assert sorted(hole[1:]) == [[1, 1], [1, 2], [3, 1], [3, 2]]
    assert region.area == 10


def test_outlines_turn_one_way_and_holes_the_other() -> None:
    (region,) = traced(1, "11111", "1.1.1", "11111", "1...1", "11111")
    assert [shoelace(ring) for ring in region.rings] == [25, -1, -1, -3]


def test_holes_in_a_row_belong_to_the_same_outline() -> None:
    (region,) = traced(1, "1111111", "1.1.1.1", "1111111")
    assert [shoelace(ring) for ring in region.rings] == [21, -1, -1, -1]


def test_an_island_in_a_hole_is_a_region_of_its_own() -> None:
    outer, inner = traced(1, "11111", "1...1", "1.1.1", "1...1", "11111")
    assert (len(outer.rings), outer.area) == (2, 16)
    assert inner == Region(1, 1, [[[2, 2], [3, 2], [3, 3], [2, 3], [2, 2]]])


def test_holes_that_touch_at_a_corner_are_traced_as_the_region_sees_them() -> None:
    (region,) = traced(1, "1111", "1.11", "11.1", "1111")
    assert sum(shoelace(ring) for ring in region.rings) == region.area == 14


def test_an_outline_that_touches_itself_at_a_corner_encloses_a_hole() -> None:
    """A ring of pixels that is open at one corner point only: as one ring it would not be simple."""
    (region,) = traced(1, ".....", ".111.", ".1.1.", ".11..", ".....")
    outline, hole = region.rings
    assert sorted(outline[1:]) == [[1, 1], [1, 4], [3, 3], [3, 4], [4, 1], [4, 3]]
    assert sorted(hole[1:]) == [[2, 2], [2, 3], [3, 2], [3, 3]]
    assert (shoelace(outline), shoelace(hole), region.area) == (8, -1, 7)


def test_holes_that_touch_at_a_corner_are_two_rings() -> None:
    (region,) = traced(1, "1111", "1.11", "11.1", "1111")
    assert [shoelace(ring) for ring in region.rings] == [16, -1, -1]


@given(ids=arrays(np.uint8, st.tuples(st.integers(1, 14), st.integers(1, 14)), elements=st.integers(0, 2)))
@settings(deadline=None, max_examples=150, derandomize=True)
def test_every_polygon_is_valid_by_the_rules_of_simple_features(ids: NDArray[np.uint8]) -> None:
    for region in trace_regions(ids):
        outline, *holes = region.rings
        polygon = shapely.Polygon(outline, holes)
        assert shapely.is_valid(polygon), shapely.is_valid_reason(polygon)
        assert polygon.area == region.area
        assert shoelace(outline) > 0 > max((shoelace(hole) for hole in holes), default=-1)
    filled = fill_regions(trace_regions(ids), height=ids.shape[0], width=ids.shape[1], background=9)
    assert np.array_equal(filled, ids)


@pytest.mark.parametrize("density", [0.3, 0.5, 0.7])
def test_polygons_of_large_masks_are_valid_too(density: float) -> None:
    ids = (np.random.default_rng(6).random((120, 160)) < density).astype(np.uint8)
    regions = trace_regions(ids)
    assert all(shapely.is_valid([shapely.Polygon(each.rings[0], each.rings[1:]) for each in regions]))
    assert sum(each.area for each in regions) == ids.size


def test_every_ring_is_closed_and_has_only_corners() -> None:
    ids = np.random.default_rng(3).integers(0, 3, (20, 30)).astype(np.uint8)
    for region in trace_regions(ids):
        for ring in region.rings:
            assert ring[0] == ring[-1]
            steps = np.diff(np.array(ring), axis=0)
            assert np.all((steps == 0).sum(axis=1) == 1)
            across = steps[:, 0] == 0
            assert np.all(across != np.roll(across, 1))


def test_areas_add_up_to_the_picture() -> None:
    ids = np.random.default_rng(4).integers(0, 4, (33, 21)).astype(np.uint8)
    regions = trace_regions(ids)
    assert sum(region.area for region in regions) == ids.size
    for region in regions:
        assert sum(shoelace(ring) for ring in region.rings) == region.area


def test_the_document_is_geojson_with_names() -> None:
    ids = drawn("..8", "..8")
    encoded = Polygons().encode(LabelMap(ids, CAMVID), np.zeros((2, 3, 3), np.uint8), FormatOptions(file_name="a.jpg"))
    assert json.loads(encoded.data) == {
        "type": "FeatureCollection",
        "image": {"file_name": "a.jpg", "width": 3, "height": 2},
        "label_space": "camvid-11",
        "features": [
            {
                "type": "Feature",
                "properties": {"class_id": 8, "class": "car", "group": "vehicle", "area": 2},
                "geometry": {"type": "Polygon", "coordinates": [[[2, 0], [3, 0], [3, 2], [2, 2], [2, 0]]]},
            }
        ],
    }


def test_an_id_without_a_class_has_no_group() -> None:
    ids = np.array([[200]], dtype=np.uint8)
    value = json.loads(Polygons().encode(LabelMap(ids, CAMVID), np.zeros((1, 1, 3), np.uint8), FormatOptions()).data)
    assert value["features"][0]["properties"] == {"class_id": 200, "class": "id 200", "group": None, "area": 1}


@pytest.mark.parametrize(
    ("ring", "message"),
    [
        ([[0, 0], [2, 2], [0, 2], [0, 0]], "neither horizontal nor vertical"),
        ([[0, 0], [5, 0], [5, 1], [0, 1], [0, 0]], "leaves the picture"),
        ([[0, -1], [1, -1], [1, 1], [0, 1], [0, -1]], "leaves the picture"),
        ([[0, 0], [1.5, 0], [1.5, 1], [0, 1], [0, 0]], "whole pixels"),
        ([0, 1, 2], "whole pixels"),
        ([], "whole pixels"),
    ],
)
def test_rings_that_are_not_along_pixels_cannot_be_filled(ring: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fill_regions([Region(1, 1, [ring])], height=4, width=4, background=0)


SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]


def features(*rings: object, class_id: object = 255) -> dict[str, Any]:
    return {
        "image": {"width": 2, "height": 2},
        "features": [
            {"properties": {"class_id": class_id, "area": 1}, "geometry": {"coordinates": [ring]}} for ring in rings
        ],
    }


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"features": []},
        {"image": {"width": 2, "height": 2}, "features": [{}]},
        features([[0, 0], [2, 2], [0, 2], [0, 0]]),
        features([[0, 0], [1], [0, 0]]),
        features(SQUARE, SQUARE),
        features(SQUARE, class_id=256),
        features(SQUARE, class_id="car"),
        {**features(SQUARE), "image": {"width": 0, "height": 0}},
    ],
)
def test_what_are_no_polygons_cannot_be_read_back(value: object) -> None:
    with pytest.raises(UnreadableArtifact, match="no polygons of one picture"):
        Polygons().decode(json.dumps(value).encode(), CAMVID)


def test_what_is_no_json_cannot_be_read_back() -> None:
    with pytest.raises(UnreadableArtifact):
        Polygons().decode(b"[", CAMVID)
