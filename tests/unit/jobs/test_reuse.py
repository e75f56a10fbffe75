"""Results that are known: who is answered by them, what is still measured and made, and what must never be."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest

from jobs.errors import DatabaseUnavailable, ModelNotFound, ObjectNotFound
from jobs.job import ImageStatus, JobStatus, JobTotals, Slice
from jobs.options import JobOptions
from jobs.reuse.known import is_reused
from jobs.reuse.recalling import Recollection
from segmentation.formats.outlines import Outlines
from tests.factories import make_card, make_images, make_job, mask, picture

RIGHT = mask(np.array([[0, 0, 1, 1], [0, 0, 1, 1]], np.uint8))
WRONG = mask(np.array([[1, 1, 0, 0], [1, 1, 0, 0]], np.uint8))


@pytest.fixture
def pictures():
    return [picture(4, 2, seed=seed) for seed in range(5)]


def done(service, *pictures, **options):
    job = service.submit(*pictures, **options)
    service.work()
    return service.reading.job(job.id)


def with_truth(service, *truths, **options):
    with service.submitting.open_draft() as draft:
        for index, truth in enumerate(truths):
            draft.add_file(f"{index}.jpg", BytesIO(picture(4, 2, seed=index)), media_type=None)
            if truth is not None:
                draft.add_mask(f"{index}.png", BytesIO(truth))
        job = service.submitting.submit(draft, JobOptions(**options))
    service.work()
    return service.reading.job(job.id)


def unhashed(service, pictures, images=None, worker=None, **changes):
    """A job whose inputs nobody has read yet, worked off as one slice."""
    news = make_images(images or len(pictures))
    for new, data in zip(news, pictures, strict=False):
        service.objects.put(new.source.location, data, media_type="image/jpeg")
    job = make_job(len(news), **changes)
    with service.database.unit() as unit:
        unit.jobs.add(job, news)
        unit.commit()
    (worker or service.worker()).run(whole(job))


def whole(job):
    return Slice(job_id=job.id, first=0, last=job.counts.total - 1, priority=job.priority)


def bytes_of(service, job, index=0):
    result = service.reading.image(job.id, index).result
    return {each.name: service.objects.get(each.key) for each in result.artifacts}


def test_a_picture_that_was_answered_before_needs_no_forward_and_no_decoding(service, pictures):
    first = done(service, *pictures[:3])
    again = done(service, *pictures)
    assert (service.segmenter.runs, service.decoder.decoded) == (5, 5)
    assert (first.reused, again.reused, again.status) == (0, 3, JobStatus.SUCCEEDED)
    assert [is_reused(service.reading.image(again.id, at).results) for at in range(5)] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert [bytes_of(service, again, at) for at in range(3)] == [bytes_of(service, first, at) for at in range(3)]


def test_the_sums_of_a_reusing_job_are_those_of_one_that_computes(service, pictures):
    computed = done(service, *pictures, reuse=False)
    reused = done(service, *pictures)
    assert reused.reused == 5
    assert reused.totals == computed.totals


def test_who_wants_none_of_it_has_everything_computed(service, pictures):
    done(service, *pictures)
    assert done(service, *pictures, reuse=False).reused == 0
    assert service.segmenter.runs == 10


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_both_jobs_can_be_deleted_in_either_order_and_the_other_stays_whole(service, pictures, order):
    jobs = [done(service, *pictures), done(service, *pictures)]
    before = bytes_of(service, jobs[order[1]])
    service.changing.delete(jobs[order[0]].id)
    service.upkeep.run()
    assert bytes_of(service, jobs[order[1]]) == before
    assert {each.rpartition("jobs/")[2].partition("/")[0] for each in service.objects.keys("")} == {jobs[order[1]].id}
    assert done(service, *pictures).reused == 5
    service.changing.delete(jobs[order[1]].id)


def test_other_weights_under_the_same_name_compute_anew(service, pictures):
    done(service, *pictures)
    service.segmenter.weights = "cd" * 32
    assert done(service, *pictures).reused == 0


def test_the_same_weights_under_another_version_answer_and_are_called_what_they_are_now(service, pictures):
    done(service, *pictures)
    service.segmenter.version = "2"
    again = done(service, *pictures)
    assert again.reused == 5
    assert service.reading.image(again.id, 0).result.identity.version == "2"
    assert [each.version for each in again.totals[0].made_by] == ["2"]


@pytest.mark.parametrize("other", [{"label_space": "cityscapes-8"}, {"bit_depth": 12}, {"model": "other"}])
def test_what_decides_class_ids_has_to_be_the_same(service, pictures, other):
    done(service, *pictures)
    assert done(service, *pictures, **other).reused == 0


def test_another_tenant_is_answered_by_nobody_elses_results(service, pictures):
    done(service, *pictures)
    unhashed(service, pictures[:1], tenant="acme")
    with service.database.unit("acme") as unit:
        assert (unit.jobs.get("job_1").counts.succeeded, unit.jobs.get("job_1").reused) == (1, 0)
    assert service.segmenter.runs == 6


def test_artifacts_that_the_earlier_job_lacks_are_made_from_its_mask(service, pictures):
    done(service, pictures[0], artifacts=("mask",))
    wanted = ("mask", "overlay", "polygons", "coco")
    again = done(service, pictures[0], artifacts=wanted)
    assert (service.segmenter.runs, service.decoder.decoded, again.reused) == (1, 2, 1)
    anew = done(service, pictures[0], artifacts=wanted, reuse=False)
    assert bytes_of(service, again) == bytes_of(service, anew)


@pytest.mark.parametrize("chosen", [{"polygons": Outlines(min_area=5)}, {"classes": ("car",)}])
def test_polygons_that_hold_something_else_are_made_from_the_mask(service, pictures, chosen):
    wanted = {"artifacts": ("mask", "polygons"), **chosen}
    exact = done(service, pictures[0], artifacts=("mask", "polygons"))
    again, third = done(service, pictures[0], **wanted), done(service, pictures[0], **wanted)
    assert (service.segmenter.runs, again.reused, third.reused) == (1, 1, 1)
    assert bytes_of(service, exact)["polygons"] != bytes_of(service, again)["polygons"]
    assert bytes_of(service, third) == bytes_of(service, again)
    assert b'"features":[]' in bytes_of(service, again)["polygons"]


@pytest.mark.parametrize(
    ("earlier", "wanted"), [(("mask",), ("mask", "confidence")), (("overlay",), ("overlay", "mask"))]
)
def test_what_no_mask_tells_is_computed(service, pictures, earlier, wanted):
    done(service, pictures[0], artifacts=earlier)
    assert done(service, pictures[0], artifacts=wanted).reused == 0
    assert service.segmenter.runs == 2


def test_of_several_jobs_the_one_answers_that_has_all(service, pictures):
    done(service, pictures[0], artifacts=("mask", "overlay", "confidence"))
    done(service, pictures[0], artifacts=("mask",))
    assert done(service, pictures[0], artifacts=("overlay", "confidence")).reused == 1
    assert (service.segmenter.runs, service.decoder.decoded) == (1, 1)


def test_annotations_that_name_their_picture_are_written_anew_for_another_name(service, pictures):
    done(service, pictures[0], artifacts=("mask", "coco"))
    again = done(service, pictures[1], pictures[0], artifacts=("mask", "coco"))  # second now
    assert (service.segmenter.runs, again.reused) == (2, 1)
    assert b'"1.jpg"' in bytes_of(service, again, 1)["coco"]


def test_ground_truth_is_this_jobs_own(service):
    plain = with_truth(service, None)
    right = with_truth(service, RIGHT)
    wrong = with_truth(service, WRONG)
    none = with_truth(service, None)
    assert service.segmenter.runs == 1
    assert [each.reused for each in (plain, right, wrong, none)] == [0, 1, 1, 1]
    scores = [service.reading.image(each.id, 0).result.metrics.miou for each in (plain, right, wrong, none)]
    assert scores == [None, 1.0, 0.0, None]
    anew = with_truth(service, WRONG, reuse=False)
    assert anew.totals == wrong.totals


def test_without_a_mask_of_it_a_prediction_cannot_be_scored_and_is_made_again(service):
    with_truth(service, None, artifacts=("overlay",))
    again = with_truth(service, RIGHT, artifacts=("overlay",))
    assert (again.reused, again.totals[0].truth_images) == (0, 1)


def test_what_was_noticed_of_the_picture_is_told_again_and_what_was_said_of_the_mask_is_not(service):
    cut = picture(form="JPEG")[:-2]
    with service.submitting.open_draft() as draft:
        draft.add_file("0.jpg", BytesIO(cut), media_type=None)
        draft.add_mask("0.png", BytesIO(RIGHT))  # of another size
        job = service.submitting.submit(draft, JobOptions())
    service.work()
    again = done(service, cut)
    assert service.reading.job(job.id).warnings == {"truncated_tail": 1, "mask_mismatch": 1}
    assert (again.reused, again.warnings) == (1, {"truncated_tail": 1})


def test_pictures_whose_hash_nobody_knows_are_read_for_it_when_there_is_a_point(service, pictures):
    done(service, *pictures)
    unhashed(service, pictures)
    assert service.reading.job("job_1").reused == 5
    assert service.segmenter.runs == 5


def test_who_wants_no_known_result_has_no_picture_read_for_its_hash(service, pictures):
    done(service, *pictures[:2])
    unhashed(service, pictures[:2], options=replace(make_job().options, reuse=False))
    assert service.segmenter.runs == 4


def test_of_large_ones_no_more_is_held_than_a_slice_may_hold(service, pictures, monkeypatch):
    monkeypatch.setattr("jobs.processing.processing.HELD_BYTES", 0)
    done(service, pictures[0])
    unhashed(service, pictures[:2])
    assert (service.reading.job("job_1").counts.succeeded, service.reading.job("job_1").reused) == (2, 1)


def test_one_of_them_that_cannot_be_read_fails_alone(service, pictures):
    done(service, *pictures)
    unhashed(service, pictures[:1], images=2)
    found = service.reading.job("job_1")
    assert (found.counts.succeeded, found.reused) == (1, 1)
    assert service.reading.image("job_1", 1).status is not ImageStatus.SUCCEEDED


def test_a_worker_that_stops_reads_none_of_them(service, pictures):
    done(service, *pictures)
    worker, reads = service.worker(), []

    class Stopping:
        def read(self, source, *, tenant, check):
            reads.append(source)
            worker.stop()
            return pictures[0]

    worker = replace(worker, work=replace(worker.work, sources=Stopping()))
    unhashed(service, pictures, images=40, worker=worker)
    assert 0 < len(reads) <= 8
    assert service.reading.job("job_1").counts.running == 0


def test_a_result_that_is_deleted_between_question_and_answer_is_computed(service, pictures, monkeypatch):
    done(service, *pictures)

    def gone(key, target, *, size=None):
        raise ObjectNotFound(key)

    monkeypatch.setattr(service.objects, "copy", gone)
    again = done(service, *pictures)
    assert (again.status, again.reused, service.segmenter.runs) == (JobStatus.SUCCEEDED, 0, 10)


def test_a_result_that_was_cut_since_is_not_handed_on(service, pictures):
    first = done(service, pictures[0])
    for each in service.reading.image(first.id, 0).result.artifacts:
        service.objects.put(each.key, b"", media_type=each.media_type)  # as a disk leaves it that lost its power
    again = done(service, pictures[0])
    assert (again.status, again.reused) == (JobStatus.SUCCEEDED, 0)
    assert all(bytes_of(service, again).values())


def test_a_mask_that_was_damaged_since_scores_nothing(service):
    first = with_truth(service, None)
    (artifact,) = [each for each in service.reading.image(first.id, 0).result.artifacts if each.name == "mask"]
    service.objects.put(artifact.key, WRONG, media_type="image/png")
    again = with_truth(service, RIGHT)
    assert (again.reused, service.reading.image(again.id, 0).result.metrics.miou) == (0, 1.0)


def test_a_model_that_is_gone_is_told_by_its_images(service, pictures, monkeypatch):
    done(service, *pictures)

    def gone(*_, **__):
        raise ModelNotFound("unknown model 'tiny'")

    monkeypatch.setattr(type(service.segmenter), "identity", gone)
    job = done(service, pictures[0])
    assert job.reused == 0


def test_a_database_that_is_away_for_the_question_costs_a_forward(service, pictures, monkeypatch):
    done(service, *pictures)

    def away(*_):
        raise DatabaseUnavailable("away")

    monkeypatch.setattr(Recollection, "is_any", away)
    monkeypatch.setattr(Recollection, "find", away)
    assert done(service, *pictures).counts.succeeded == 5
    assert service.segmenter.runs == 10
    unhashed(service, pictures)
    assert service.reading.job("job_1").counts.succeeded == 5
    assert service.segmenter.runs == 15


def test_of_several_models_each_is_asked_for_what_it_did(service, pictures):
    kinds = ("overlay", "mask", "confidence")
    done(service, *pictures[:2], artifacts=kinds)  # by one of them
    unhashed(service, pictures[:1], models=("tiny", "other"), totals=(JobTotals(), JobTotals()))
    image = service.reading.image("job_1", 0)
    assert [each.reused for each in image.results] == [True, False]
    assert (is_reused(image.results), service.reading.job("job_1").reused, service.segmenter.runs) == (False, 0, 3)
    assert len({artifact.key for result in image.results for artifact in result.artifacts}) == 4


@pytest.mark.parametrize("models", [("tiny", "other"), ("tiny", "other", "third")])
def test_a_comparison_of_known_results_is_the_same_comparison(service, pictures, models):
    service.catalog.cards = [*service.catalog.cards, make_card("third")]
    options = {"models": models, "artifacts": ("mask", "confidence") if len(models) == 2 else ("mask",)}
    first, again = done(service, *pictures, **options), done(service, *pictures, **options)
    assert (again.reused, service.segmenter.runs, service.decoder.decoded) == (5, 5 * len(models), 5)
    assert again.agreement == first.agreement
    sides = [[service.reading.image(job.id, at).comparison for at in range(5)] for job in (first, again)]
    assert [each.agreement for each in sides[0]] == [each.agreement for each in sides[1]]
    assert [each.artifacts[0].crc32 for each in sides[0]] == [each.artifacts[0].crc32 for each in sides[1]]


def test_how_strongly_two_models_differ_no_mask_tells(service, pictures):
    done(service, *pictures, models=("tiny", "other"))
    assert done(service, *pictures, models=("tiny", "other")).reused == 0
