"""`min_confidence`: pixels of which the model is too little certain become void, and everything says so."""

import csv
import io
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from api.schemas.job import metrics_view
from jobs.job import ImageStatus, ModelIdentity
from jobs.options import JobOptions, OverlayOptions, TileOptions
from jobs.reporting.reports import MetricsTable
from jobs.reporting.summary import job_metrics
from jobs.reuse.recipe import kinds_of, recipe_of
from segmentation.label_spaces import get_label_space
from tests.factories import encoded, make_job, mask, picture
from tests.fakes import DOUBTS, FakeSegmenter

VOID = get_label_space("camvid-11").void_id
TRUTH = mask(np.array([[0, 0, 1, 1], [0, 0, 1, 1]], np.uint8))


class Doubtful(FakeSegmenter):
    """As little certain of the last column as 0.4."""

    def segment(self, picture, **chosen):
        prediction = super().segment(picture, **chosen)
        confidence = np.full(prediction.label_map.ids.shape, 204, np.uint8)
        confidence[:, -1] = 102
        return replace(prediction, certainty=lambda: (confidence, DOUBTS))


@pytest.fixture
def doubtful(service):
    service.segmenter = Doubtful()
    return service


def done(service, *, truth=None, **options):
    with service.submitting.open_draft() as draft:
        draft.add_file("0.png", BytesIO(picture(4, 2, form="PNG")), media_type=None)
        if truth is not None:
            draft.add_mask("0.png", BytesIO(truth))
        job = service.submitting.submit(draft, JobOptions(**options))
    service.work()
    return service.reading.job(job.id), service.reading.image(job.id, 0)


def pixels(service, image, name):
    found = {each.name: each for each in image.result.artifacts}[name]
    return np.asarray(Image.open(BytesIO(service.objects.get(found.key))))


def test_less_certain_pixels_are_void_in_masks_and_have_no_colour_in_overlays(doubtful):
    _, image = done(doubtful, min_confidence=0.5, artifacts=("mask", "overlay"), overlay=OverlayOptions(format="png"))
    assert pixels(doubtful, image, "mask").tolist() == [[0, 0, 1, VOID]] * 2
    shown = pixels(doubtful, image, "overlay")
    sent = np.asarray(Image.open(BytesIO(picture(4, 2, form="PNG"))))
    assert (shown[:, -1] == sent[:, -1]).all()
    assert (shown[:, 0] != sent[:, 0]).any()


def test_no_polygon_and_no_annotation_is_of_them(doubtful):
    _, image = done(doubtful, min_confidence=0.5, artifacts=("polygons", "coco"))
    found = {each.name: doubtful.objects.get(each.key).decode() for each in image.result.artifacts}
    assert '"area":4' in found["polygons"]
    assert '"area":2' in found["polygons"]
    assert '"area":2' in found["coco"]


def test_shares_are_of_all_pixels_and_the_coverage_is_told_beside_them(doubtful):
    job, image = done(doubtful, min_confidence=0.5)
    assert image.result.metrics.class_fractions == {"sky": 0.5, "building": 0.25, "unlabelled": 0.25}
    assert image.result.metrics.coverage == job_metrics(job)["coverage"] == 0.75
    table = MetricsTable(job)
    (row,) = csv.DictReader(io.StringIO((table.head() + table.line(image)).decode("utf-8-sig")))
    assert float(row["coverage"]) == 0.75


def test_against_ground_truth_an_undecided_pixel_is_a_wrong_one(doubtful):
    job, image = done(doubtful, truth=TRUTH, min_confidence=0.5)
    assert image.result.metrics.pixel_accuracy == 0.75
    assert image.result.metrics.iou == {"sky": 1.0, "building": 0.5}
    assert job_metrics(job)["ground_truth"]["miou"] == 0.75


def test_against_ground_truth_the_coverage_is_of_pixels_whose_truth_is_known(doubtful):
    unknown = np.array([[VOID, VOID, 1, 1], [VOID, VOID, 1, 1]], np.uint8)
    job, image = done(doubtful, truth=mask(unknown), min_confidence=0.5)
    told = job_metrics(job)
    assert (told["coverage"], told["ground_truth"]["coverage"], told["ground_truth"]["pixel_accuracy"]) == (
        0.75,
        0.5,
        0.5,
    )
    assert metrics_view(image.result.metrics).model_dump()["ground_truth"]["coverage"] == 0.5
    job, image = done(doubtful, truth=mask(unknown))
    assert "coverage" not in job_metrics(job)["ground_truth"]
    assert "coverage" not in metrics_view(image.result.metrics).model_dump()["ground_truth"]


def test_how_sure_the_model_was_is_told_of_all_pixels(doubtful):
    _, whole = done(doubtful, artifacts=("confidence",), reuse=False)
    _, some = done(doubtful, artifacts=("confidence",), min_confidence=0.5)
    assert some.result.metrics.mean_confidence == whole.result.metrics.mean_confidence
    assert (pixels(doubtful, some, "confidence") == pixels(doubtful, whole, "confidence")).all()


@pytest.mark.parametrize(("least", "kept"), [(0.4, 8), (0.41, 6), (0.8, 6), (0.81, 0), (1.0, 0)])
def test_who_is_as_certain_as_asked_for_keeps_its_class(doubtful, least, kept):
    _, image = done(doubtful, min_confidence=least)
    assert image.result.metrics.coverage == kept / 8


def test_without_it_nothing_is_said_of_coverage(doubtful):
    job, image = done(doubtful)
    assert image.result.metrics.coverage is None
    assert "coverage" not in job_metrics(job)
    assert b"coverage" not in MetricsTable(job).head()


def test_a_picture_by_rows_is_left_undecided_at_the_same_places(doubtful):
    data = encoded(np.random.default_rng(5).integers(0, 256, (30, 24, 3), np.uint8), "PNG")
    chosen = {"min_confidence": 0.5, "tile": TileOptions(size=64, overlap=16), "artifacts": ("mask",), "reuse": False}
    found = []
    for most in (100, 10**6):
        doubtful.decoder.max_pixels = most
        job = doubtful.submit(data, **chosen)
        doubtful.work()
        found.append(doubtful.reading.image(job.id, 0))
    masks = [pixels(doubtful, image, "mask") for image in found]
    assert found[0].result.metrics == found[1].result.metrics
    np.testing.assert_array_equal(*masks)
    assert (masks[0][:, -1] == VOID).all()


def test_a_model_that_cannot_say_how_sure_it_is_has_no_such_result(service, monkeypatch):
    unsure = staticmethod(lambda picture, **chosen: replace(FakeSegmenter().segment(picture, **chosen), certainty=none))
    monkeypatch.setattr(service.segmenter, "segment", unsure)
    _, image = done(service, min_confidence=0.5)
    assert image.status is not ImageStatus.SUCCEEDED


def none():
    return None, DOUBTS


def test_results_with_another_least_confidence_are_others(doubtful):
    done(doubtful, min_confidence=0.5)
    assert done(doubtful)[0].reused == 0
    assert done(doubtful, min_confidence=0.3)[0].reused == 0
    again, image = done(doubtful, min_confidence=0.5, truth=TRUTH)
    assert again.reused == 1
    assert (image.result.metrics.coverage, image.result.metrics.pixel_accuracy) == (0.75, 0.75)


def test_who_chooses_nothing_has_the_recipe_of_this_reading_and_the_kinds_of_before():
    job = make_job(label_space="camvid-11")
    identity = ModelIdentity("m", "1", "ab" * 32, "fp32", "fake")
    assert recipe_of(job, identity).hex() == "0d932c17e84be46d0a306b7650c667ed044181e5b20468bb339ef752c04a8312"
    assert recipe_of(replace(job, options=JobOptions(min_confidence=0.5)), identity) != recipe_of(job, identity)
    assert kinds_of(JobOptions(artifacts=("overlay", "mask", "confidence", "polygons", "coco"))) == {
        "overlay": "overlay/0.5/jpeg/False",
        "mask": "mask/False/place",
        "confidence": "confidence",
        "polygons": "polygons/place",
        "coco": "coco/place",
    }
