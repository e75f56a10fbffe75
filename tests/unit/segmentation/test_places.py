"""Where pictures were taken: georeferences of GeoTIFFs made here, positions of photographs, and what keeps them."""

from __future__ import annotations

import importlib.util
import io
import json
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from segmentation.errors import UnreadableArtifact, UnsupportedImage
from segmentation.formats import FORMATS, FormatOptions
from segmentation.formats.contours import trace_regions
from segmentation.formats.polygons import in_short_steps
from segmentation.formats.row_writers import ROW_WRITERS, RowPlan
from segmentation.label_map import LabelMap
from segmentation.label_spaces import get_label_space
from segmentation.picture_files.file_data import collected
from segmentation.picture_files.pictures import decode_picture
from segmentation.picture_files.places import NOWHERE, Georeference, Place, Position, place_in_png, place_of

rasterio = pytest.importorskip("rasterio")
SPACE = get_label_space("camvid-11")
RGB = np.random.default_rng(2).integers(0, 256, (6, 9, 3), np.uint8)
IDS = np.zeros((6, 9), np.uint8)
IDS[1:5, 2:8] = 3
IDS[2:4, 4:6] = 1
UTM = rasterio.Affine(0.5, 0, 500_000, 0, -0.5, 5_300_000)
ROTATED = UTM @ rasterio.Affine.rotation(30)


def geotiff(crs: object = "EPSG:32632", transform: object = UTM, pixels: np.ndarray = RGB, **options: Any) -> bytes:
    height, width = pixels.shape[:2]
    shape = {"height": height, "width": width, "count": 3, "dtype": "uint8"}
    with (
        warnings.catch_warnings(action="ignore"),
        rasterio.MemoryFile() as file,
        file.open(driver="GTiff", crs=crs, transform=transform, **shape, **options) as made,
    ):
        made.write(np.moveaxis(pixels, 2, 0))
        made.close()
        return bytes(file.read())


def georeference(data: bytes) -> Georeference:
    (found, _), notices = place_of(data)
    assert found is not None
    assert notices == ()
    return found


def rows(of: str, options: FormatOptions, folder: Path | None = None) -> bytes:
    plan = RowPlan(height=6, width=9, space=SPACE, options=options, format=FORMATS[of], folder=folder)
    with ExitStack() as files:
        writer = ROW_WRITERS[of](plan, files)
        for top in (0, 4):
            writer.picture(RGB[top : top + 4])
            writer.labels(LabelMap(IDS[top : top + 4], SPACE))
        return writer.end().file.read()


SYSTEMS = {
    "metres": ("EPSG:32632", UTM),
    "rotated": ("EPSG:32632", ROTATED),
    "degrees": ("EPSG:4326", rasterio.Affine(1e-5, 0, 9.0, 0, -1e-5, 47.9)),
    "web mercator": ("EPSG:3857", rasterio.Affine(1, 0, 1_000_000, 0, -1, 6_000_000)),
    "south up": ("EPSG:2056", rasterio.Affine(0.1, 0, 2_600_000, 0, 0.1, 1_200_000)),
}


@pytest.mark.parametrize(("crs", "transform"), SYSTEMS.values(), ids=SYSTEMS)
def test_a_known_point_is_found_again(crs: str, transform: Any):
    found = georeference(geotiff(crs, transform))
    corners = np.array([[0, 0], [9, 6], [4, 2.5]])
    expected = [transform @ (x, y) for x, y in corners]
    np.testing.assert_allclose(found.ground(corners), expected, atol=1e-9)
    x, y = zip(*expected, strict=True)
    lonlat = np.array(rasterio.warp.transform(crs, "EPSG:4326", x, y)).T
    np.testing.assert_allclose(found.lonlat(corners), lonlat, atol=1e-12)
    np.testing.assert_allclose(found.corners(lonlat), corners, atol=0.02)  # there and back, to a millimetre or two


def test_the_middle_of_a_zone_lies_on_its_meridian():
    longitude, latitude = georeference(geotiff()).lonlat(np.array([[0.0, 0.0]]))[0]
    assert (longitude, latitude) == pytest.approx((9.0, 47.853342), abs=1e-6)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_that_is_stored_turned_lies_where_its_pixels_do(orientation: int):
    plain = geotiff(transform=ROTATED)
    picture = Image.open(io.BytesIO(plain))
    tags = {tag: picture.tag_v2[tag] for tag in (34264, 34735, 34736, 34737) if tag in picture.tag_v2}  # type: ignore[attr-defined]
    file = io.BytesIO()
    picture.save(file, "TIFF", tiffinfo={**tags, 274: orientation})
    found = georeference(file.getvalue())
    upright = decode_picture(file.getvalue(), max_pixels=100)
    for y, x in ((0, 0), (2, 5), (upright.shape[0] - 1, upright.shape[1] - 1)):
        stored_y, stored_x = np.argwhere((upright[y, x] == RGB).all(axis=2))[0]
        expected = ROTATED @ (stored_x + 0.5, stored_y + 0.5)
        np.testing.assert_allclose(found.ground(np.array([[x + 0.5, y + 0.5]]))[0], expected, atol=1e-6)


@pytest.mark.parametrize("name", ["geotiff", "mask"])
@pytest.mark.parametrize("by_rows", [False, True])
def test_a_mask_keeps_it(name: str, by_rows: bool, tmp_path: Path):
    place, _ = place_of(geotiff(transform=ROTATED))
    options = FormatOptions(place=place)
    data = rows(name, options, tmp_path) if by_rows else FORMATS[name].encode(LabelMap(IDS, SPACE), RGB, options).data
    assert list(tmp_path.iterdir()) == []
    if name == "mask":
        assert place_in_png(data) == place
    else:
        with rasterio.MemoryFile(data) as file, file.open() as found:
            assert found.crs.to_epsg() == 32632
            assert found.transform.almost_equals(ROTATED, 1e-6)
            np.testing.assert_array_equal(found.read(1), IDS)
            assert found.colormap(1)[3][:3] == SPACE.by_id[3].colour
    np.testing.assert_array_equal(FORMATS[name].decode(data, SPACE).ids, IDS)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("crs", "transform"), SYSTEMS.values(), ids=SYSTEMS)
def test_polygons_are_where_the_picture_is_and_keep_their_pixels(crs: str, transform: Any):
    place, _ = place_of(geotiff(crs, transform))
    data = FORMATS["polygons"].encode(LabelMap(IDS, SPACE), RGB, FormatOptions(place=place)).data
    document = json.loads(data)
    assert document["coordinates"] == "CRS84"
    assert place.georeference is not None
    (feature,) = [each for each in document["features"] if each["properties"]["class_id"] == 3]
    outline, hole = (np.array(ring) for ring in feature["geometry"]["coordinates"])
    corners = place.georeference.corners(outline)
    np.testing.assert_allclose(
        sorted({*map(tuple, corners.round(2))}), sorted({(2, 1), (8, 1), (8, 5), (2, 5)}), atol=0.03
    )
    assert area(outline) > 0 > area(hole)  # counterclockwise on the map, holes clockwise
    assert feature["pixels"] == next(each.rings for each in trace_regions(IDS) if each.class_id == 3)
    np.testing.assert_array_equal(FORMATS["polygons"].decode(data, SPACE).ids, IDS)  # type: ignore[attr-defined]


def area(ring: np.ndarray) -> float:
    x, y = (ring - ring[0]).T
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum())


def test_long_lines_get_points_in_between():
    ring = in_short_steps([[0, 0], [200, 0], [200, 3], [0, 0]])
    assert np.abs(np.diff(ring, axis=0)).max() <= 64
    assert ring[0].tolist() == ring[-1].tolist() == [0, 0]
    assert [200, 0] in ring.tolist()


def test_a_map_without_any_region_is_a_document_without_features():
    place, _ = place_of(geotiff())
    void = LabelMap(np.full((6, 9), SPACE.void_id, np.uint8), SPACE)
    document = json.loads(FORMATS["polygons"].encode(void, RGB, FormatOptions(place=place)).data)
    assert (document["features"], document["coordinates"]) == ([], "CRS84")


def test_without_a_georeference_nothing_is_made_up():
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "TIFF")
    assert place_of(file.getvalue()) == (NOWHERE, ())
    made = FORMATS["geotiff"].encode(LabelMap(IDS, SPACE), RGB, FormatOptions()).data
    assert place_of(made) == (NOWHERE, ())
    assert "coordinates" not in json.loads(FORMATS["polygons"].encode(LabelMap(IDS, SPACE), RGB, FormatOptions()).data)


UNREAD = {
    "no CRS": geotiff(None),
    "no transform": geotiff("EPSG:32632", rasterio.Affine.identity()),
    "a transform onto a line": geotiff("EPSG:32632", rasterio.Affine(1, 1, 0, 1, 1, 0)),
}


@pytest.mark.parametrize("data", UNREAD.values(), ids=UNREAD)
def test_half_a_georeference_is_none_and_that_is_said(data: bytes):
    place, (notice,) = place_of(data)
    assert (place.georeference, notice.code) == (None, "georeference_unread")


NOT_GEOGRAPHIC = {
    "across the antimeridian": geotiff("EPSG:32660", rasterio.Affine(30_000, 0, 600_000, 0, -30_000, 200_000)),
    "around a pole": geotiff("EPSG:3413", rasterio.Affine(100_000, 0, -450_000, 0, -100_000, 300_000)),
    "somewhere local": geotiff(
        rasterio.crs.CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]'), UTM
    ),
}


@pytest.mark.parametrize("data", NOT_GEOGRAPHIC.values(), ids=NOT_GEOGRAPHIC)
def test_what_has_no_longitudes_that_go_together_stays_in_pixels(data: bytes):
    place, (notice,) = place_of(data)
    assert notice.code == "georeference_unusable"
    assert place.georeference is not None
    made = json.loads(FORMATS["polygons"].encode(LabelMap(IDS, SPACE), RGB, FormatOptions(place=place)).data)
    assert made["coordinates"] == "pixels"
    assert made["georeference"]["crs"] == place.georeference.crs
    assert made["features"][0]["geometry"]["coordinates"][0][0] == [0, 0]
    assert place_in_png(FORMATS["mask"].encode(LabelMap(IDS, SPACE), RGB, FormatOptions(place=place)).data) == place


def test_without_the_package_that_is_said(monkeypatch: pytest.MonkeyPatch):
    data, place = geotiff(), place_of(geotiff())[0]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found, (notice,) = place_of(data)
    assert (found, notice.code) == (NOWHERE, "georeference_unread")
    assert "maskmill-server[geo]" in notice.detail
    with pytest.raises(UnsupportedImage, match="geotiff is made where the package rasterio"):
        FORMATS["geotiff"].encode(LabelMap(IDS, SPACE), RGB, FormatOptions(place=place))


def test_a_damaged_geotiff_is_no_mask():
    with pytest.raises(UnreadableArtifact, match="no mask"):
        FORMATS["geotiff"].decode(b"", SPACE)  # type: ignore[attr-defined]


def test_a_geotiff_that_cannot_be_begun_leaves_nothing_behind(tmp_path: Path):
    options = FormatOptions(place=Place(Georeference("no CRS", (1, 0, 0, 0, -1, 0))))
    with pytest.raises(rasterio.errors.CRSError):
        rows("geotiff", options, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_one_on_disk_is_read_there():
    data = geotiff(transform=ROTATED)
    assert place_of(collected([data], None, held=3)) == place_of(data)


def test_what_the_library_refuses_is_none_and_that_is_said(monkeypatch: pytest.MonkeyPatch):
    def refuses(*given: object) -> None:
        raise rasterio.errors.RasterioIOError("damaged")

    data = geotiff()
    monkeypatch.setattr(rasterio, "MemoryFile", refuses)
    assert [each.code for each in place_of(data)[1]] == ["georeference_unread"]


def photograph(form: str = "JPEG", **gps: Any) -> bytes:
    exif = Image.Exif()
    told = {1: "N", 2: (47.0, 51.0, 12.5), 3: "W", 4: (9.0, 30.0, 0.0), 5: b"\x00", 6: 412.5}
    exif[0x8825] = {**told, **{int(tag[1:]): value for tag, value in gps.items()}}
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, form, exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_photograph_says_where_its_camera_was_and_so_do_its_results(form: str):
    place, notices = place_of(photograph(form))
    assert notices == ()
    assert place.georeference is None
    assert place.position == pytest.approx(Position(-9.5, 47.8534722222, 412.5))
    assert place.position is not None
    options = FormatOptions(place=place)
    kept = place_in_png(FORMATS["mask"].encode(LabelMap(IDS, SPACE), RGB, options).data).position
    assert kept is not None
    assert kept == pytest.approx(place.position, abs=1e-7)
    document = json.loads(FORMATS["polygons"].encode(LabelMap(IDS, SPACE), RGB, options).data)
    assert document["position"]["coordinates"] == list(place.position)
    assert "coordinates" not in document


def test_a_jpeg_without_a_word_about_itself_lies_nowhere():
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "JPEG")
    assert place_of(file.getvalue()) == (NOWHERE, ())


def test_below_the_sea_and_without_a_height():
    assert place_of(photograph(t5=b"\x01"))[0].position == pytest.approx(Position(-9.5, 47.8534722222, -412.5))
    under = Place(None, Position(1.5, -2.25, -3.0))
    assert place_in_png(FORMATS["mask"].encode(LabelMap(IDS, SPACE), RGB, FormatOptions(place=under)).data) == under
    flat = Place(None, Position(1.5, -2.25))
    assert place_in_png(FORMATS["mask"].encode(LabelMap(IDS, SPACE), RGB, FormatOptions(place=flat)).data) == flat


@pytest.mark.parametrize(
    "gps",
    [{"t1": "?"}, {"t2": (95.0, 0.0, 0.0)}, {"t2": (47.0, 51.0)}, {"t2": (IFDRational(0, 0), 0.0, 0.0)}, {"t3": ""}],
)
def test_a_position_that_is_none_is_left_out(gps: dict[str, Any]):
    assert place_of(photograph(**gps)) == (NOWHERE, ())
