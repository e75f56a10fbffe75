"""Where a picture was taken, through a whole job."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from jobs.errors import ObjectNotFound
from jobs.exports.exporting import Exporting
from jobs.job import ImageStatus
from jobs.options import TileOptions
from segmentation.formats import READABLE
from segmentation.picture_files.places import NOWHERE
from tests.factories import encoded
from tests.unit.segmentation.test_places import ROTATED, UNREAD, geotiff, photograph

rasterio = pytest.importorskip("rasterio")
PICTURE = np.random.default_rng(3).integers(0, 256, (70, 41, 3), np.uint8)
DATA = geotiff(transform=ROTATED, pixels=PICTURE)


def submitted(service, data, *artifacts, **options):
    job = service.submit(data, artifacts=artifacts, **options)
    service.work()
    image = service.reading.image(job.id, 0)
    assert image.status is ImageStatus.SUCCEEDED, image.failure
    return image, {each.name: service.objects.get(each.key) for each in image.result.artifacts}


def codes(image):
    return [each.code for each in image.warnings]


@pytest.mark.parametrize("by_rows", [False, True])
def test_the_results_of_a_geotiff_lie_where_it_does(service, by_rows):
    if by_rows:
        service.decoder.max_pixels = 100
    others = () if by_rows else ("polygons",)
    image, made = submitted(service, DATA, "mask", "geotiff", *others, tile=TileOptions(size=32, overlap=0))
    assert not {code for code in codes(image) if "georeference" in code}
    with rasterio.MemoryFile(made["geotiff"]) as file, file.open() as found:
        assert found.crs.to_epsg() == 32632
        assert found.transform.almost_equals(ROTATED, 1e-6)
        np.testing.assert_array_equal(found.read(1), Image.open(io.BytesIO(made["mask"])))
    if not by_rows:
        assert json.loads(made["polygons"])["coordinates"] == "CRS84"
    exporting = Exporting(service.database.unit, service.inputs, "maskmill")
    kept = exporting.place(image.result).georeference
    assert kept is not None
    assert kept.affine == pytest.approx(tuple(ROTATED)[:6])


def test_every_artifact_that_keeps_a_place_tells_it_alone(service):
    exporting = Exporting(service.database.unit, service.inputs, "maskmill")
    for name in READABLE:
        image, _ = submitted(service, DATA, name, reuse=False)
        found = exporting.place(image.result).georeference
        assert found is not None
        assert found.geographic
        assert found.affine == pytest.approx(tuple(ROTATED)[:6])
    for name in ("polygons", "coco"):
        image, _ = submitted(service, photograph(), name)
        assert exporting.place(image.result).position == pytest.approx((-9.5, 47.8534722222, 412.5))
        image, _ = submitted(service, encoded(PICTURE, "PNG"), name)
        assert exporting.place(image.result) == NOWHERE
    image, _ = submitted(service, DATA, "confidence")
    assert exporting.place(image.result) == NOWHERE


def test_a_place_is_read_from_whichever_artifact_is_not_lost_and_is_never_nowhere_then(service):
    exporting = Exporting(service.database.unit, service.inputs, "maskmill")
    image, _ = submitted(service, DATA, "mask", "coco")
    mask, coco = sorted(image.result.artifacts, key=lambda each: each.name, reverse=True)
    service.objects.delete(mask.key)
    assert exporting.place(image.result).georeference is not None
    service.objects.delete(coco.key)
    with pytest.raises(ObjectNotFound):
        exporting.place(image.result)


def test_who_asks_for_a_geotiff_of_an_ordinary_picture_is_told(service):
    image, made = submitted(service, encoded(PICTURE, "PNG"), "geotiff")
    assert codes(image) == ["no_georeference"]
    assert made["geotiff"][:2] in (b"II", b"MM")


def test_what_is_said_of_an_artifact_is_said_again_where_it_is_wanted_again(service):
    ordinary = encoded(PICTURE, "PNG")
    submitted(service, ordinary, "mask", "geotiff")
    again, _ = submitted(service, ordinary, "mask", "geotiff")
    assert (again.result.reused, codes(again)) == (True, ["no_georeference"])
    again, _ = submitted(service, ordinary, "mask")
    assert (again.result.reused, codes(again)) == (True, [])


def test_a_georeference_that_cannot_be_read_is_told_once(service):
    image, _ = submitted(service, UNREAD["no CRS"], "geotiff", "mask")
    assert codes(image) == ["georeference_unread"]


def test_coordinates_that_nobody_asked_for_are_no_warning(service):
    across = geotiff("EPSG:32660", rasterio.Affine(30_000, 0, 600_000, 0, -30_000, 200_000))
    image, _ = submitted(service, across, "mask")
    assert codes(image) == []
    image, _ = submitted(service, across, "mask", "polygons")
    assert codes(image) == ["georeference_unusable"]


def test_results_that_are_known_keep_their_place(service):
    _, first = submitted(service, DATA, "mask", reuse=True)
    again, made = submitted(service, DATA, "mask", "geotiff", "polygons", reuse=True)
    assert again.result.reused
    assert made["mask"] == first["mask"]
    assert json.loads(made["polygons"])["coordinates"] == "CRS84"


def test_results_of_before_they_kept_a_place_are_completed(service, monkeypatch):
    with monkeypatch.context() as before:
        before.setattr("tests.memory_known.kinds_of", lambda options: {"mask": "mask/False", "coco": "coco"})
        image, first = submitted(service, DATA, "mask", "coco", reuse=True)
    (key,) = [each.key for each in image.result.artifacts if each.name == "coco"]
    told = json.loads(first["coco"])
    del told["images"][0]["georeference"]
    service.objects.put(key, json.dumps(told).encode(), media_type="application/json")
    again, made = submitted(service, DATA, "mask", "coco", reuse=True)
    assert again.result.reused
    assert made == first


def test_a_place_that_could_not_be_read_is_looked_for_again(service, monkeypatch):
    with monkeypatch.context() as without_package:
        without_package.setattr("segmentation.picture_files.places.has_rasterio", lambda: False)
        without_package.setattr("jobs.reuse.recalling.has_rasterio", lambda: False)
        image, _ = submitted(service, DATA, "mask", reuse=True)
        again, _ = submitted(service, DATA, "mask", reuse=True)
        assert (codes(again), again.result.reused) == (codes(image), True)  # nothing more can be read of it
    assert codes(image) == ["georeference_unread"]
    image, _ = submitted(service, DATA, "mask", reuse=True)
    assert (codes(image), image.result.reused) == ([], False)
    again, made = submitted(service, DATA, "mask", reuse=True)
    assert again.result.reused
    assert b"georeference" in made["mask"]


def test_a_photograph_keeps_its_position(service):
    _, made = submitted(service, photograph(), "mask", "polygons")
    assert json.loads(made["polygons"])["position"]["coordinates"][0] == -9.5
    assert b"eXIf" in made["mask"]
