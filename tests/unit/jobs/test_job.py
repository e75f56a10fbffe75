"""Statuses, transitions, slices, totals, ids and keys."""

from dataclasses import replace
from functools import reduce

import pytest

from jobs.errors import IllegalTransition
from jobs.job import (
    NEXT,
    Counts,
    Failure,
    ImageMetrics,
    ImageStatus,
    JobStatus,
    JobTotals,
    Priority,
    Slice,
    default_priority,
    slice_size,
)
from jobs.keys import artifact_key, input_key, job_prefix, new_job_id, sample_mask, truth_key
from tests.factories import make_image, make_job, make_result


@pytest.mark.parametrize("status", ImageStatus)
@pytest.mark.parametrize("target", ImageStatus)
def test_an_image_changes_only_along_the_legal_transitions(status, target):
    image = make_image(status=status)
    if target in NEXT[status]:
        assert image.become(target).status is target
    else:
        with pytest.raises(IllegalTransition, match="is not possible"):
            image.become(target)


@pytest.mark.parametrize("target", ImageStatus)
def test_a_succeeded_image_never_changes(target):
    with pytest.raises(IllegalTransition):
        make_image(status=ImageStatus.SUCCEEDED).become(target)


def test_a_new_status_replaces_the_failure():
    failed = make_image(status=ImageStatus.RUNNING).become(ImageStatus.FAILED, failure=Failure("x", "y"))
    assert failed.failure == Failure("x", "y")
    assert failed.become(ImageStatus.QUEUED).failure is None


@pytest.mark.parametrize(
    ("counts", "started", "status"),
    [
        (Counts(queued=2), False, JobStatus.QUEUED),
        (Counts(queued=2), True, JobStatus.RUNNING),
        (Counts(queued=1, succeeded=1), False, JobStatus.QUEUED),  # a retry that no worker has begun
        (Counts(running=1), False, JobStatus.RUNNING),
        (Counts(succeeded=2), True, JobStatus.SUCCEEDED),
        (Counts(succeeded=1, failed=1), True, JobStatus.PARTIAL),
        (Counts(failed=2), True, JobStatus.FAILED),
        (Counts(succeeded=1, canceled=1), True, JobStatus.CANCELED),
        (Counts(failed=1, canceled=1), True, JobStatus.CANCELED),
    ],
)
def test_the_status_of_a_job_follows_from_its_images(counts, started, status):
    assert counts.status(started=started) is status


def test_a_job_knows_whether_it_is_finished():
    job = make_job(2)
    assert not job.is_finished
    assert replace(job, counts=Counts(succeeded=2)).is_finished


def test_slices_cover_every_image_once():
    job = make_job(7, slice_size=3)
    assert [(piece.first, piece.last) for piece in job.slices()] == [(0, 2), (3, 5), (6, 6)]


@pytest.mark.parametrize(("first", "last"), [(-1, 0), (2, 1)])
def test_a_slice_refuses_impossible_bounds(first, last):
    with pytest.raises(ValueError, match="0 <= first <= last"):
        Slice(job_id="job_1", first=first, last=last, priority=Priority.BULK)


@pytest.mark.parametrize(("images", "size"), [(1, 1), (15, 1), (16, 2), (200, 25), (100_000, 32)])
def test_small_jobs_spread_and_large_ones_travel_in_slices(images, size):
    assert slice_size(images, largest=32) == size


def test_small_jobs_are_interactive_and_large_ones_bulk():
    assert default_priority(16) is Priority.INTERACTIVE
    assert default_priority(17) is Priority.BULK


def test_totals_add_pixels_confidence_and_confusion():
    scored = make_result(metrics=ImageMetrics(class_fractions={"sky": 1.0}, confusion=((1, 2), (3, 4))))
    totals = JobTotals().plus(make_result()).plus(scored).plus(scored).plus(make_result())
    assert totals.class_pixels == {"sky": 25 + 100 + 100 + 25, "road": 150}
    assert (totals.confidence_sum, totals.confidence_images) == (1.0, 2)
    assert totals.confusion == ((2, 4), (6, 8))
    assert totals.truth_images == 2


def test_totals_count_the_images_of_each_version():
    older, newer = make_result(), make_result(model_version="2", model_sha256="cd" * 32)
    totals = reduce(JobTotals.plus, [older, newer, older], JobTotals())
    assert totals.made_by == {("tiny", "1", "ab" * 32): 2, ("tiny", "2", "cd" * 32): 1}


def test_job_ids_sort_by_time_and_never_repeat():
    ids = [new_job_id(now_ms=1000), new_job_id(now_ms=1001)]
    assert ids == sorted(ids)
    assert len({new_job_id() for _ in range(1000)}) == 1000
    assert len(new_job_id()) == len("job_") + 26


def test_keys_stay_below_the_job():
    for key in (input_key("job_1", 3), truth_key("job_1", 3), artifact_key("job_1", 3, "mask")):
        assert key.startswith(job_prefix("job_1"))
        assert key.endswith("000003")


def test_a_samples_picture_and_its_truth_are_told_apart():
    assert sample_mask("day-01") != "day-01"
