"""Polygons with fewer corners and without small pieces: what is lost is told beforehand, and they stay valid."""

from __future__ import annotations

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
from segmentation.exports import EXPORTS
from segmentation.formats import FormatOptions
from segmentation.formats.contours import Region, trace_regions
from segmentation.formats.outlines import EXACT, Outlines
from segmentation.formats.polygons import Polygons
from segmentation.label_map import LabelMap
from segmentation.label_spaces import get_label_space
from tests.exporting import exported, files_of

CAMVID = get_label_space("camvid-11")
Ids = NDArray[np.uint8]


def drawn(*rows: str) -> Ids:
    return np.array([[11 if each == "." else int(each) for each in row] for row in rows], np.uint8)


def traced(class_id: int, *rows: str) -> list[Region]:
    return [each for each in trace_regions(drawn(*rows)) if each.class_id == class_id]


def polygon(region: Region) -> shapely.Polygon:
    return shapely.Polygon(region.rings[0], region.rings[1:])


def round_things() -> Ids:
    """Discs with holes in a field of small pieces."""
    y, x = np.indices((96, 128))
    ids = np.zeros(y.shape, np.uint8)
    for count, (row, column, radius) in enumerate([(30, 30, 24), (60, 90, 30), (40, 60, 12)], start=1):
        away = np.hypot(y - row, x - column)
        ids[(away < radius) & (away > radius / 3)] = count
    ids[np.random.default_rng(8).random(ids.shape) < 0.02] = 5
    return ids


@given(
    ids=arrays(np.uint8, st.tuples(st.integers(1, 14), st.integers(1, 14)), elements=st.integers(0, 2)),
    scale=st.integers(1, 3),
    tolerance=st.sampled_from([0.3, 0.75, 1.0, 1.5, 2.0, 5.0, 100.0]),
    min_area=st.sampled_from([0, 2, 5]),
)
@settings(deadline=None, max_examples=80, derandomize=True)
def test_every_simplified_polygon_is_valid_and_as_near_as_it_was_asked_for(
    ids: Ids, scale: int, tolerance: float, min_area: int
) -> None:
    before = Outlines(0, min_area).of(trace_regions(ids.repeat(scale, 0).repeat(scale, 1)))
    after = Outlines(tolerance, min_area).of(before)
    for exact, region in zip(before, after, strict=True):
        found = polygon(region)
        assert shapely.is_valid(found), shapely.is_valid_reason(found)
        assert found.area > 0
        assert (region.class_id, region.area, len(region.rings)) == (exact.class_id, exact.area, len(exact.rings))
        for ring, old in zip(region.rings, exact.rings, strict=True):
            assert ring[0] == ring[-1]
            corners = shapely.points(np.array(old))
            assert shapely.distance(shapely.LineString(ring), corners).max() <= tolerance + 1e-9


@pytest.mark.parametrize("density", [0.3, 0.7])
@pytest.mark.parametrize("tolerance", [1.0, 4.0])
def test_polygons_of_large_masks_are_valid_too(density: float, tolerance: float) -> None:
    ids = (np.random.default_rng(6).random((60, 80)) < density).astype(np.uint8)
    assert shapely.is_valid([polygon(each) for each in Outlines(tolerance).of(trace_regions(ids))]).all()


def test_nothing_chosen_leaves_everything_as_it_is() -> None:
    regions = trace_regions(round_things())
    assert EXACT.of(regions) == regions


def test_stairs_become_a_line() -> None:
    (region,) = Outlines(1.0).of(traced(1, "1.....", "11....", "111...", "1111..", "11111.", "111111"))
    assert sorted(region.rings[0][1:]) == [[0, 0], [0, 6], [6, 6]]


def test_round_things_keep_their_shape_with_few_corners() -> None:
    regions = Outlines(0, 100).of(trace_regions(round_things()))
    simple = Outlines(1.5).of(regions)
    corners = [sum(len(ring) for each in kind for ring in each.rings) for kind in (regions, simple)]
    assert corners[1] < corners[0] / 3
    for exact, region in zip(regions, simple, strict=True):
        shared = polygon(exact).intersection(polygon(region)).area / polygon(exact).union(polygon(region)).area
        assert shared > 0.9


def test_rings_that_touch_keep_the_corner_at_which_they_do() -> None:
    (region,) = Outlines(50.0).of(traced(1, "11111111", "11111111", "111...11", "111...11", "11....11", "11...111"))
    assert shapely.is_valid(polygon(region))
    (touching,) = Outlines(50.0).of(traced(1, ".....", ".111.", ".1.1.", ".11..", "....."))
    assert [3, 3] in touching.rings[0]
    assert [3, 3] in touching.rings[1]


def test_small_regions_and_small_holes_are_left_out() -> None:
    rows = ("11111.1", "1.111..", "111..11", "111..11", "1111111")
    regions = traced(1, *rows)
    assert [(each.area, len(each.rings)) for each in regions] == [(26, 3), (1, 1)]
    (left,) = Outlines(min_area=2).of(regions)
    assert (left.area, len(left.rings), polygon(left).area) == (27, 2, 27)
    assert Outlines(min_area=27).of(regions) == []


def test_a_document_says_what_it_lacks_and_is_not_read_as_a_whole() -> None:
    label_map, blank = LabelMap(round_things(), CAMVID), np.zeros((96, 128, 3), np.uint8)
    data = Polygons().encode(label_map, blank, FormatOptions(outlines=Outlines(1.5, 20))).data
    document = json.loads(data)
    assert document["outlines"] == {"tolerance": 1.5, "min_area": 20}
    assert len(data) < len(Polygons().encode(label_map, blank, FormatOptions()).data) / 3
    with pytest.raises(UnreadableArtifact, match="simplified"):
        Polygons().decode(data, CAMVID)


def content(name: str, **changes: Any) -> dict[str, bytes]:
    return files_of(EXPORTS[name], exported([round_things()], CAMVID, **changes))


@pytest.mark.parametrize("name", ["geojson", "yolo", "coco-polygons", "label-studio-polygons"])
def test_exports_of_polygons_are_simplified(name: str) -> None:
    exact, simple = (content(name, outlines=each) for each in (EXACT, Outlines(1.5, 20)))
    assert sum(map(len, simple.values())) < sum(map(len, exact.values())) / 2


@pytest.mark.parametrize("name", sorted(EXPORTS.keys() - {"geojson", "yolo", "coco-polygons", "label-studio-polygons"}))
def test_other_exports_are_as_they_are(name: str) -> None:
    assert content(name, outlines=Outlines(1.5, 20)) == content(name)
