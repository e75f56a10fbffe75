"""Jobs of models that bring their own label space, and of models that cannot give every class."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest

from jobs.corrections.correcting import Correcting
from jobs.errors import InvalidOptions
from jobs.job import ImageStatus
from jobs.options import JobOptions, TileOptions
from jobs.processing.measuring import LeftOut, left_out
from jobs.reporting.archive import Archives
from jobs.reporting.reports import metrics_document
from jobs.reporting.summary import job_metrics
from jobs.spaces import JobSpaces
from segmentation.label_space import LabelClass, LabelSpace, load_label_space
from segmentation.label_spaces import LabelSpaces, get_label_space
from tests.factories import make_card, mask, picture
from tests.fakes import FakeCatalog

BLOB = LabelSpace(
    "blob",
    (LabelClass(0, "bg", (0, 0, 0), "ground"), LabelClass(1, "blob", (200, 0, 0), "thing")),
    mappings={"cityscapes-8": {0: 1}},
)


@pytest.fixture
def blobs(service):
    """A service whose model has classes of its own."""
    service.catalog = FakeCatalog([make_card("tiny", label_space="blob")], LabelSpaces((BLOB,)))
    service.segmenter.label_space, service.segmenter.spaces = "blob", LabelSpaces((BLOB,))
    return service


def with_truth(service, truth, **options):
    with service.submitting.open_draft() as draft:
        draft.add_file("a.jpg", BytesIO(picture(4, 2)), media_type=None)
        draft.add_mask("a.png", BytesIO(truth))
        return service.submitting.submit(draft, JobOptions(**options))


def test_a_job_of_own_classes_is_done_and_measured(blobs):
    truth = np.array([[0, 0, 0, 1], [0, 0, 1, 1]], np.uint8)
    job = with_truth(blobs, mask(truth), artifacts=("overlay", "mask", "polygons", "coco"))
    blobs.work()
    done = blobs.reading.job(job.id)
    assert blobs.reading.image(job.id, 0).status is ImageStatus.SUCCEEDED
    assert done.label_space == "blob"
    metrics = job_metrics(done)
    assert metrics["class_fractions"] == {"bg": 0.5, "blob": 0.5}
    assert metrics["ground_truth"]["iou"] == {"bg": pytest.approx(0.8), "blob": pytest.approx(0.75)}
    assert "impossible_classes" not in metrics


def test_its_archive_is_readable_when_the_model_is_gone(blobs):
    job = blobs.submit()
    blobs.work()
    blobs.catalog = FakeCatalog([])
    archive = Archives(blobs.database.unit, blobs.inputs, blobs.catalog, "maskmill").open(job.id)
    assert "metrics.csv" in [entry.name for entry in archive.entries]
    assert b'"blob"' in metrics_document(blobs.reading.job(job.id))


def names_of(service, job, *kinds):
    archive = Archives(service.database.unit, service.inputs, service.catalog, "maskmill").open(job.id, kinds or None)
    return archive, [entry.name for entry in archive.entries]


def test_whoever_has_its_masks_can_tell_what_their_ids_mean(blobs, tmp_path):
    job = blobs.submit()
    blobs.work()
    archive, names = names_of(blobs, job, "mask")
    assert names == ["manifest.json", "label_space.json", "mask/0.png"]
    (tmp_path / "told.json").write_bytes(b"".join(archive.read(archive.entries.written[1])))
    assert load_label_space(tmp_path / "told.json") == BLOB


def test_an_archive_in_published_classes_needs_no_file_that_tells_them(blobs):
    job = blobs.submit(label_space="cityscapes-8")
    blobs.work()
    assert "label_space.json" not in names_of(blobs, job)[1]


def test_the_archive_of_an_earlier_job_holds_what_it_held(blobs):
    job = blobs.submit()
    blobs.work()
    stored = {"models": [], "own": [BLOB.to_dict()]}  # as it was written before archives told
    jobs = blobs.database._state.jobs
    jobs[job.id] = replace(jobs[job.id], spaces=JobSpaces.from_dict(stored))
    assert names_of(blobs, job, "mask")[1] == ["manifest.json", "mask/0.png"]


def test_a_model_that_came_to_other_classes_fails_the_image_and_does_not_mix_them(blobs):
    job = blobs.submit()
    other = replace(BLOB, classes=(LabelClass(0, "drop", (0, 0, 9), "thing"), BLOB.classes[1]))
    blobs.segmenter.spaces = LabelSpaces((other,))
    blobs.work()
    image = blobs.reading.image(job.id, 0)
    assert (image.status, image.failure.code) == (ImageStatus.FAILED, "no_remapping")
    assert "two label spaces called blob" in image.failure.message


def test_own_classes_are_remapped_where_their_space_says_how(blobs):
    job = blobs.submit(label_space="cityscapes-8")
    assert (job.spaces.models, job.spaces.own) == (("blob",), (BLOB,))
    blobs.work()
    assert job_metrics(blobs.reading.job(job.id))["impossible_classes"][0] == "construction"


def test_a_job_is_read_though_its_classes_lead_to_ids_that_do_not_exist(blobs):
    """It was submitted when such a mapping was taken."""
    job = blobs.submit(label_space="cityscapes-8")
    blobs.work()
    astray = replace(BLOB, mappings={"cityscapes-8": {0: 99}})
    jobs = blobs.database._state.jobs
    jobs[job.id] = replace(jobs[job.id], spaces=JobSpaces(models=("blob",), own=(astray,)))
    assert {"flat", "construction"} <= set(job_metrics(blobs.reading.job(job.id))["impossible_classes"])


@pytest.mark.parametrize("options", [{"label_space": "camvid-11"}, {"label_space": "none"}])
def test_a_space_that_own_classes_do_not_lead_to_is_a_field_fault(blobs, options):
    with pytest.raises(InvalidOptions) as caught:
        blobs.submit(**options)
    assert caught.value.faults[0].field == "label_space"


def test_a_job_names_the_classes_that_its_model_cannot_give_and_takes_the_means_without_them(service):
    truth = np.array([[10, 10, 2, 3], [10, 10, 2, 2]], np.uint8)  # sky, building, and one pixel of a wall
    job = with_truth(service, mask(truth), label_space="cityscapes-19")
    service.work()
    metrics = job_metrics(service.reading.job(job.id))
    assert metrics["impossible_classes"] == [
        *("wall", "traffic light", "terrain", "truck", "bus", "train", "motorcycle", "bicycle"),
    ]
    scores = metrics["ground_truth"]
    assert scores["iou"] == {"sky": 1.0, "building": 0.75, "wall": 0.0}
    assert scores["miou"] == pytest.approx(0.875)
    assert scores["mean_dice"] == pytest.approx((1 + 6 / 7) / 2)
    assert scores["pixel_accuracy"] == pytest.approx(7 / 8)
    image = service.reading.image(job.id, 0)
    assert image.result.metrics.miou == pytest.approx(0.875)
    assert [(each.code, each.detail) for each in image.warnings] == [
        ("classes_impossible", "tiny has no way to give wall (12.5 % of the mask); `miou` is taken without them")
    ]
    assert service.reading.job(job.id).warnings == {"classes_impossible": 1}


def test_classes_that_the_masks_cannot_show_are_told_where_a_model_gives_them(service):
    """The model says bg and blob; masks of another space have the first alone."""
    plain = LabelSpace("plain", BLOB.classes[:1], mappings={"blob": {0: 0}})
    spaces = LabelSpaces((BLOB, plain))
    service.catalog = FakeCatalog([make_card("tiny", label_space="blob")], spaces)
    service.segmenter.label_space, service.segmenter.spaces = "blob", spaces
    job = with_truth(service, mask(np.zeros((2, 4), np.uint8)), mask_label_space="plain")
    service.work()
    image = service.reading.image(job.id, 0)
    assert image.result.metrics.miou == 0.5  # an IoU of 0 for blob would tell of the masks
    truth = job_metrics(service.reading.job(job.id))["ground_truth"]
    assert (truth["miou"], truth["mean_dice"], truth["iou"]) == (0.5, pytest.approx(2 / 3), {"bg": 0.5, "blob": 0.0})
    assert (truth["pixel_accuracy"], truth["unmarked_classes"]) == (0.5, ["blob"])
    ((code, detail),) = [(each.code, each.detail) for each in image.warnings]
    assert code == "mask_lacks_classes"
    assert detail.startswith("masks in plain cannot show blob, which tiny gives to 50.0 % of the picture")
    correcting = Correcting(service.database.unit, service.objects)
    correcting.put(job.id, 0, mask(np.zeros((2, 4), np.uint8)))  # it could have shown blob
    assert service.reading.image(job.id, 0).result.metrics.miou == 0.25
    truth = job_metrics(service.reading.job(job.id))["ground_truth"]
    assert (truth["miou"], truth["corrections"], "unmarked_classes" in truth) == (0.25, 1, False)


def test_of_an_older_job_the_means_stay_as_they_were_told(service):
    options = {"label_space": "cityscapes-19", "mask_label_space": "camvid-11"}
    job = with_truth(service, mask(np.zeros((2, 4), np.uint8)), **options)
    assert {job.space.name_of(each) for each in left_out(job, 0).unmarked} >= {"bus", "wall"}
    older = replace(job, spaces=replace(job.spaces, unmarked=False))
    assert left_out(older, 0) == LeftOut(impossible=left_out(job, 0).impossible)
    assert not service.submit(**options).spaces.unmarked  # without masks there are corrections alone, in its own space


def test_a_class_counts_as_soon_as_a_correction_shows_it():
    without_blob = LeftOut(unmarked=frozenset({1}))
    assert without_blob.of(np.array([[3, 1], [0, 0]])) == {1}
    assert without_blob.of(np.array([[3, 1], [1, 0]])) == frozenset()


def test_ground_truth_without_impossible_classes_needs_no_word(service):
    job = with_truth(service, mask(np.full((2, 4), 10, np.uint8)), label_space="cityscapes-19")
    service.work()
    assert service.reading.image(job.id, 0).warnings == ()


@pytest.mark.parametrize(("size", "codes"), [(64, ["tile_magnified"]), (128, []), (None, [])])
def test_tiles_that_magnify_too_much_are_told(service, size, codes):
    job = service.submit(picture(128, 96), tile=None if size is None else TileOptions(size=size, overlap=8))
    service.work()
    assert [each.code for each in service.reading.image(job.id, 0).warnings] == codes


def test_where_every_class_can_be_given_nothing_changes(service):
    job = service.submit(label_space="cityscapes-8")
    assert job.impossible_classes() == ()
    assert service.submit().spaces == JobSpaces()


def test_what_ids_mean_survives_being_stored():
    spaces = JobSpaces(models=("blob",), own=(BLOB,))
    for each in (spaces, replace(spaces, archived=True), replace(spaces, leaves_out=True), JobSpaces(unmarked=True)):
        assert JobSpaces.from_dict(each.to_dict()) == each
    assert JobSpaces().to_dict() is None
    assert JobSpaces.from_dict(None) == JobSpaces()
    assert spaces.get("blob") == BLOB
    assert spaces.get("camvid-11") == get_label_space("camvid-11")
    assert JobSpaces().missing_from("camvid-11", 0) == ()


def test_truth_in_ids_of_ones_own_is_scored_also_when_nobody_tells_of_them_any_more(service):
    mine = LabelSpace(
        "mine",
        (LabelClass(10, "up", (0, 0, 0), "sky"), LabelClass(20, "down", (9, 9, 9), "flat")),
        mappings={"camvid-11": {10: 0, 20: 1}},
    )
    service.catalog = FakeCatalog(service.catalog.cards, LabelSpaces((mine,)))
    truth = np.array([[10, 10, 20, 20], [10, 10, 20, 20]], np.uint8)
    job = with_truth(service, mask(truth), mask_label_space="mine")
    service.catalog = FakeCatalog(service.catalog.cards)
    service.work()
    done = service.reading.job(job.id)
    assert (done.spaces.own, done.totals[0].truth_images) == ((mine,), 1)
    assert job_metrics(done)["ground_truth"]["pixel_accuracy"] == 1
    with pytest.raises(InvalidOptions, match="mask_label_space"):
        with_truth(service, mask(truth), mask_label_space="mine")
