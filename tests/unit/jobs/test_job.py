"""Statuses, transitions, slices, totals, ids and keys."""

import itertools
import time
from dataclasses import replace
from functools import reduce
from types import SimpleNamespace

import pytest

from jobs.callers import Caller
from jobs.job import (
    Counts,
    ImageMetrics,
    JobStatus,
    JobTotals,
    ModelIdentity,
    Priority,
    Slice,
)
from jobs.keys import artifact_key, input_key, job_prefix, new_job_id, sample_mask, truth_key
from jobs.submitting.sending import default_priority, slice_size
from tests.factories import make_job, make_result


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
    older, newer = make_result(), make_result(identity=ModelIdentity("tiny", "2", "cd" * 32))
    totals = reduce(JobTotals.plus, [older, newer, older], JobTotals())
    assert totals.made_by == {("tiny", "1", "ab" * 32): 2, ("tiny", "2", "cd" * 32): 1}


@pytest.mark.parametrize("step_ns", [0, 1_000_000, -1_000_000])
def test_job_ids_grow_within_a_millisecond_and_when_the_clock_is_set_back(
    step_ns: int, monkeypatch: pytest.MonkeyPatch
):
    clock = itertools.count(time.time_ns(), step_ns) if step_ns else itertools.repeat(time.time_ns())
    monkeypatch.setattr("jobs.keys.time", SimpleNamespace(time_ns=lambda: next(clock)))
    ids = [new_job_id() for _ in range(1000)]
    assert ids == sorted(set(ids))
    assert {len(each) for each in ids} == {len("job_") + 26}


def test_keys_stay_below_the_job_and_the_job_below_its_tenant():
    job = make_job(prefix=job_prefix("acme", "job_1"))
    assert input_key(job.prefix, 3) == "acme/jobs/job_1/inputs/000003"
    assert truth_key(job.prefix, 3) == "acme/jobs/job_1/truth/000003"
    assert artifact_key(job, "mask", 3, attempt=2) == "acme/jobs/job_1/mask/000003.2"


def test_keys_tell_the_model_where_there_are_several():
    job = make_job(models=("a", "b"), totals=(JobTotals(), JobTotals()))
    assert artifact_key(job, "mask", 3, attempt=1, model=1) == "default/jobs/job_1/1/mask/000003.1"


@pytest.mark.parametrize(("models", "totals"), [((), ()), (("a", "b"), (JobTotals(),))])
def test_a_job_has_as_many_totals_as_models(models, totals):
    with pytest.raises(ValueError, match="as many totals as models"):
        make_job(models=models, totals=totals)


@pytest.mark.parametrize(("tenant", "scope"), [("", "admin"), ("A", "admin"), ("a/b", "admin"), ("a", "root")])
def test_a_caller_has_a_plain_tenant_and_a_known_scope(tenant, scope):
    with pytest.raises(ValueError, match=r"a tenant has|a scope is"):
        Caller(tenant, scope)


def test_a_samples_picture_and_its_truth_are_told_apart():
    assert sample_mask("day-01") != "day-01"
