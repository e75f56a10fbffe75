"""Masks that are too large to be held on their way to annotation tools, and back."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from jobs.corrections.correcting import Correcting
from jobs.errors import InvalidOptions
from jobs.exports.choice import ExportChoice
from jobs.exports.exporting import Exporting
from jobs.exports.importing import Importing
from jobs.options import TileOptions
from segmentation.errors import ImageTooLarge, UnreadableExport
from segmentation.exports import EXPORTS
from segmentation.formats import png_file
from tests.factories import picture
from tests.unit.jobs.conftest import Service

LIMIT = 1000  # pixels; the picture has more
BY_ROWS = [name for name, each in EXPORTS.items() if each.by_rows]
TILE = TileOptions(size=32, overlap=0)


def exporting(service: Service, max_pixels: int = LIMIT) -> Exporting:
    return Exporting(service.database.unit, service.inputs, "maskmill 1", max_pixels=max_pixels)


def correcting(service: Service, max_pixels: int = LIMIT) -> Correcting:
    return Correcting(service.database.unit, service.objects, max_pixels=max_pixels)


def finished(service: Service, **options: Any) -> str:
    job = service.submit(picture(70, 41), **{"tile": TILE, "artifacts": ("mask",), **options})
    service.work()
    return job.id


def files(service: Service, job_id: str, choice: ExportChoice, max_pixels: int = LIMIT) -> Mapping[str, bytes]:
    found = exporting(service, max_pixels).open(job_id, choice).files
    return {each.name: each.content if isinstance(each.content, bytes) else b"".join(each.content) for each in found}


def pixels(data: bytes) -> tuple[NDArray[np.uint8], list[int] | None]:
    read = Image.open(io.BytesIO(data))
    return np.asarray(read), read.getpalette()


@pytest.mark.parametrize("name", BY_ROWS)
def test_a_mask_that_is_not_held_is_exported_with_the_same_pixels(
    service: Service, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(png_file, "_BAND_PIXELS", 300)
    job_id = finished(service)
    held, by_rows = (files(service, job_id, ExportChoice(name=name), most) for most in (10**9, LIMIT))
    assert held.keys() == by_rows.keys()
    for path, data in held.items():
        if path.endswith(".png"):
            (ids, palette), (others, other_palette) = pixels(data), pixels(by_rows[path])
            np.testing.assert_array_equal(ids, others)
            assert palette == other_palette
        else:
            assert data == by_rows[path]


def test_the_picture_of_a_mask_that_is_not_held_comes_as_it_was_sent(service: Service) -> None:
    found = files(service, finished(service), ExportChoice(name="voc", pictures=True))
    assert found["JPEGImages/0.jpg"] == picture(70, 41)


@pytest.mark.parametrize("choice", [ExportChoice(name="coco"), ExportChoice(name="cvat", instances=True)])
def test_what_needs_the_whole_mask_is_refused_and_told(service: Service, choice: ExportChoice) -> None:
    job_id = finished(service)
    with pytest.raises(InvalidOptions, match=r"0 is 70×41.* as cvat, voc, huggingface alone, without instances"):
        exporting(service).open(job_id, choice)
    assert files(service, job_id, choice, 10**9)


def test_a_picture_that_is_not_tiled_was_held_by_its_worker_and_is_here(service: Service) -> None:
    assert files(service, finished(service, tile=None), ExportChoice(name="coco"))


def test_what_is_not_our_own_mask_is_not_exported_by_rows(service: Service) -> None:
    pytest.importorskip("rasterio")
    job_id = finished(service, artifacts=("geotiff",))
    with pytest.raises(InvalidOptions, match="only the artifact mask"):
        exporting(service).open(job_id, ExportChoice(name="cvat"))


def test_a_correction_from_before_is_left_out_only_if_that_is_said(service: Service) -> None:
    job_id = finished(service)
    mask = service.objects.get(service.reading.artifact(job_id, 0, "mask").key)
    correcting(service, 10**9).put(job_id, 0, mask)
    with pytest.raises(InvalidOptions, match="corrected=false"):
        exporting(service).open(job_id, ExportChoice(name="cvat"))
    assert files(service, job_id, ExportChoice(name="cvat", corrected=False))


def test_no_correction_of_so_large_a_picture_is_taken(service: Service) -> None:
    job_id = finished(service)
    mask = service.objects.get(service.reading.artifact(job_id, 0, "mask").key)
    with pytest.raises(ImageTooLarge, match="70×41"):
        correcting(service).put(job_id, 0, mask)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as bundle:
        bundle.writestr("0.png", mask)
    importing = Importing(correcting(service), exporting(service))
    with pytest.raises(UnreadableExport, match="leave it out"):
        importing.take(job_id, packed)
    assert not correcting(service).versions(job_id, 0)
