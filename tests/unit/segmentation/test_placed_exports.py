"""GeoJSON of pictures with a georeference, on its way to a GIS and back."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace

import numpy as np
import pytest

from segmentation.errors import UnreadableExport
from segmentation.exports import EXPORTS, Exported, Known, Returned
from segmentation.label_spaces import get_label_space
from segmentation.picture_files.places import NOWHERE, Georeference, Place
from tests.exporting import exported, files_of

rasterio = pytest.importorskip("rasterio")
SPACE = get_label_space("camvid-11")
IDS = np.full((90, 130), SPACE.void_id, np.uint8)
IDS[10:80, 20:120] = 3
IDS[30:50, 40:60] = 1
UTM = rasterio.crs.CRS.from_epsg(32632).to_wkt()
GROUND = Place(Georeference(UTM, (0.4, 0.3, 500_000.0, 0.3, -0.4, 5_300_000.0)))
LOCAL = Place(Georeference('LOCAL_CS["site"]', (0.4, 0.0, 0.0, 0.0, -0.4, 0.0), geographic=False))


def placed(place: Place) -> Exported:
    content = exported([IDS], SPACE)
    (image,) = content.images()
    return replace(content, images=lambda: iter([replace(image, place=lambda: place)]))


def back(files: dict[str, bytes], place: Place) -> np.ndarray:
    (image,) = placed(place).images()
    known = Known(0, image.name, image.width, image.height, place=lambda: place)
    held = {name: (lambda data=data: data) for name, data in files.items()}
    (drawn,) = EXPORTS["geojson"].read(Returned(held, [known], SPACE))
    return drawn.ids


def as_a_gis_saves_it(data: bytes) -> bytes:
    """What is not of GeoJSON is lost."""
    document = json.loads(data)
    features = [{key: each[key] for key in ("type", "properties", "geometry")} for each in document["features"]]
    height = [0.0] * (document.get("coordinates") == "CRS84")
    for each in features:
        rings = each["geometry"]["coordinates"]
        each["geometry"]["coordinates"] = [[[*point, *height] for point in ring] for ring in rings]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


@pytest.mark.parametrize("place", [GROUND, LOCAL, NOWHERE], ids=["ground", "local", "nowhere"])
@pytest.mark.parametrize("saved", [as_a_gis_saves_it, bytes])
def test_what_comes_back_is_what_went_out(place: Place, saved):
    files = files_of(EXPORTS["geojson"], placed(place))
    np.testing.assert_array_equal(back({name: saved(data) for name, data in files.items()}, place), IDS)


DEGREES = Place(Georeference(rasterio.crs.CRS.from_epsg(4326).to_wkt(), (1e-5, 0.0, 7.5, 0.0, -1e-5, 47.0)))


def in_other_coordinates(data: bytes, epsg: int, **more: object) -> bytes:
    """As a GIS saves a layer in the coordinate system of its project."""
    warp = importlib.import_module("rasterio.warp")
    features = json.loads(as_a_gis_saves_it(data))["features"]
    for each in features:
        rings = [np.array(ring).T for ring in each["geometry"]["coordinates"]]
        moved = [warp.transform("EPSG:4326", f"EPSG:{epsg}", *ring[:2]) for ring in rings]
        each["geometry"]["coordinates"] = [list(zip(*ring, strict=True)) for ring in moved]
    return json.dumps({"type": "FeatureCollection", "features": features, **more}).encode()


def crs(name: str) -> dict[str, object]:
    return {"crs": {"type": "name", "properties": {"name": name}}}


@pytest.mark.parametrize("place", [GROUND, DEGREES])
@pytest.mark.parametrize(
    ("epsg", "name"), [(3857, "urn:ogc:def:crs:EPSG::3857"), (4326, "urn:ogc:def:crs:OGC:1.3:CRS84")]
)
def test_another_coordinate_system_that_is_named_is_believed(place: Place, epsg: int, name: str):
    files = files_of(EXPORTS["geojson"], placed(place))
    moved = {path: in_other_coordinates(data, epsg, **crs(name)) for path, data in files.items()}
    np.testing.assert_array_equal(back(moved, place), IDS)


def test_polygons_of_somewhere_else_are_no_blank_mask():
    files = files_of(EXPORTS["geojson"], placed(DEGREES))
    moved = {path: in_other_coordinates(data, 3857) for path, data in files.items()}
    with pytest.raises(UnreadableExport, match="all polygons lie beyond the picture"):
        back(moved, DEGREES)
    unknown = {path: in_other_coordinates(data, 3857, **crs("nowhere")) for path, data in files.items()}
    with pytest.raises(UnreadableExport, match="cannot be converted"):
        back(unknown, DEGREES)


def test_longitude_and_latitude_are_never_taken_for_pixels():
    files = files_of(EXPORTS["geojson"], placed(GROUND))
    with pytest.raises(UnreadableExport, match="no artifact keeps where"):
        back(files, NOWHERE)


def test_it_goes_out_in_longitude_and_latitude():
    (data,) = files_of(EXPORTS["geojson"], placed(GROUND)).values()
    longitude, latitude = json.loads(data)["features"][0]["geometry"]["coordinates"][0][0]
    assert (longitude, latitude) == pytest.approx((9.0, 47.85), abs=0.01)


def test_without_the_package_it_goes_out_in_pixels_and_says_so(monkeypatch: pytest.MonkeyPatch):
    on_the_ground = files_of(EXPORTS["geojson"], placed(GROUND))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    files = files_of(EXPORTS["geojson"], placed(GROUND))
    (data,) = files.values()
    assert json.loads(data)["coordinates"] == "pixels"
    np.testing.assert_array_equal(back(files, GROUND), IDS)
    with pytest.raises(UnreadableExport, match="rasterio"):
        back(on_the_ground, GROUND)
