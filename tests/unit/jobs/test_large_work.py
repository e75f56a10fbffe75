"""Pictures too large to be held: what comes of them by rows is what would have come of them as a whole."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from jobs.job import ImageStatus
from jobs.options import TileOptions
from segmentation.formats import row_writers
from tests.factories import encoded, mask
from tests.fakes import DOUBTS
from tests.unit.jobs.test_image_work import submit_with_truth, warnings_of

PICTURE = np.random.default_rng(3).integers(0, 256, (70, 41, 3), np.uint8)
TILE = TileOptions(size=32, overlap=0)
ALL = ("overlay", "mask", "confidence")


@pytest.fixture
def small(service):
    """A service that takes every picture for a large one."""
    service.decoder.max_pixels = 100
    return service


def submitted(service, data=None, **options):
    chosen = {"tile": TILE, "artifacts": ALL, "reuse": False, **options}
    job = service.submit(data or encoded(PICTURE, "PNG"), **chosen)
    service.work()
    return job, service.reading.image(job.id, 0)


def pixels(service, image, name):
    found = {each.name: each for each in image.result.artifacts}[name]
    data = service.objects.get(found.key)
    assert len(data) == found.size
    return Image.open(io.BytesIO(data))


def test_a_picture_by_rows_gives_what_the_whole_one_gives(small):
    _, by_rows = submitted(small)
    small.decoder.max_pixels = 10**6
    _, whole = submitted(small)
    assert by_rows.status is whole.status is ImageStatus.SUCCEEDED
    for name in ALL:
        np.testing.assert_array_equal(pixels(small, by_rows, name), pixels(small, whole, name))
    assert pixels(small, by_rows, "mask").getpalette() == pixels(small, whole, "mask").getpalette()
    assert by_rows.result.metrics == whole.result.metrics


def test_without_tiles_a_large_picture_is_refused(small):
    _, image = submitted(small, tile=None)
    assert (image.status, image.failure.code) == (ImageStatus.FAILED, "image_too_large")


@pytest.mark.parametrize("name", ["polygons", "coco"])
def test_what_needs_the_whole_map_is_refused_by_name(small, name):
    _, image = submitted(small, artifacts=("mask", name))
    assert image.failure.code == "image_too_large"
    assert name in image.failure.message


def test_several_models_are_refused(small):
    _, image = submitted(small, model=None, models=("tiny", "other"))
    assert "one model" in image.failure.message


def test_a_long_overlay_is_made_smaller_and_says_so(small, monkeypatch):
    monkeypatch.setattr(row_writers, "OVERLAY_SIDE", 20)
    _, image = submitted(small)
    assert pixels(small, image, "overlay").size == (11, 18)  # a quarter of 41×70
    assert pixels(small, image, "mask").size == (41, 70)
    assert "overlay_reduced" in [each.code for each in image.warnings]
    _, image = submitted(small, reuse=True)
    assert image.result.reused
    assert "overlay_reduced" in [each.code for each in image.warnings]
    _, image = submitted(small, artifacts=("mask",), reuse=True)
    assert image.result.reused
    assert "overlay_reduced" not in [each.code for each in image.warnings]
    _, image = submitted(small, artifacts=("mask",))
    assert "overlay_reduced" not in [each.code for each in image.warnings]


def test_a_mask_of_a_large_picture_is_set_aside(small):
    truth = mask(np.zeros((2, 4), np.uint8))
    small.decoder.max_pixels = 5
    job = submit_with_truth(small, truth, tile=TILE, artifacts=("mask",))
    small.work()
    assert warnings_of(small, job) == ["mask_mismatch"]
    assert small.reading.image(job.id, 0).status is ImageStatus.SUCCEEDED


def test_what_is_known_of_a_large_picture_is_copied_or_made_anew(small):
    submitted(small, artifacts=("mask",), reuse=True)
    _, again = submitted(small, artifacts=("mask",), reuse=True)
    assert again.result.reused
    _, more = submitted(small, reuse=True)
    assert not more.result.reused
    assert {each.name for each in more.result.artifacts} == set(ALL)


def test_a_cancel_is_seen_between_tiles(small, heartbeat):
    job = small.submit(encoded(PICTURE, "PNG"), tile=TileOptions(size=8, overlap=0), artifacts=("mask",))

    def cancel(rows):
        small.changing.cancel(job.id)
        heartbeat()

    worker = small.worker(heartbeat_s=0.01)
    small.segmenter.before = cancel
    small.work(worker)
    image = small.reading.image(job.id, 0)
    assert image.status is ImageStatus.CANCELED
    assert small.segmenter.runs < 3  # of nine rows of tiles
    assert list(small.objects.keys("")) == [image.source.location]


def test_a_segmenter_that_is_never_sure_leaves_no_confidence(small, monkeypatch):
    told = small.segmenter.segment

    def unsure(rows, **options):
        return replace(told(rows, **options), certainty=lambda: (None, DOUBTS))

    monkeypatch.setattr(small.segmenter, "segment", unsure)
    _, image = submitted(small, artifacts=("mask",))
    assert image.result.metrics.mean_confidence is None
