"""What `jobs.ports.ImageRepository` promises to workers and to clients who change their minds, on every database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.errors import NotAllowed
from jobs.job import Counts, ImageMetrics, ImageStatus, JobStatus
from jobs.ports import Outcome
from tests.factories import NOON, make_result
from tests.job_steps import (
    FAILURE,
    LEASE,
    Units,
    add,
    again,
    cancel,
    canceled,
    claim,
    claimed,
    ended_job,
    failed,
    finish,
    get,
    hold_up,
    image,
    succeeded,
)


class TestClaiming:
    def test_a_claim_holds_the_images_of_the_slice(self, open_unit: Units):
        add(open_unit, 5)
        found = claimed(open_unit, 1, 3)
        assert [each.index for each in found.images] == [1, 2, 3]
        one = found.images[0]
        assert (one.status, one.attempt, one.worker, one.lease_until) == (ImageStatus.RUNNING, 1, "w1", LEASE)
        assert image(open_unit, 1) == one
        assert found.job.counts == Counts(queued=2, running=3)
        assert get(open_unit) == found.job

    def test_the_first_claim_starts_the_job(self, open_unit: Units):
        add(open_unit, 2)
        assert get(open_unit).status is JobStatus.QUEUED
        claimed(open_unit, 0, 0)
        claimed(open_unit, 1, 1, now=NOON + timedelta(seconds=5))
        job = get(open_unit)
        assert (job.status, job.started_at, job.version) == (JobStatus.RUNNING, NOON, 3)

    def test_a_second_message_claims_nothing(self, open_unit: Units):
        add(open_unit)
        claimed(open_unit)
        assert claim(open_unit) is None
        assert get(open_unit).version == 2

    def test_slices_that_overlap_share_the_images(self, open_unit: Units):
        add(open_unit, 6)
        claimed(open_unit, 0, 3)
        assert [each.index for each in claimed(open_unit, 2, 5).images] == [4, 5]

    def test_an_image_that_waits_for_its_next_try_is_claimed_when_it_is_due(self, open_unit: Units):
        add(open_unit, 1)
        claimed(open_unit)
        due = NOON + timedelta(seconds=10)
        finish(open_unit, again(0, in_s=10))
        waiting = image(open_unit)
        assert (waiting.status, waiting.retry_at, waiting.failure) == (ImageStatus.QUEUED, due, FAILURE)
        assert claim(open_unit, now=due - timedelta(seconds=1)) is None
        found = claimed(open_unit, now=due)
        assert (found.images[0].attempt, found.images[0].retry_at, found.images[0].failure) == (2, None, None)

    def test_a_lease_is_renewed_for_images_that_are_still_held(self, open_unit: Units):
        add(open_unit, 4)
        claimed(open_unit, 0, 2)
        finish(open_unit, succeeded(0))
        later = LEASE + timedelta(seconds=60)
        with open_unit() as unit:
            held, stop = unit.images.renew("job_1", {0: 1, 1: 1, 2: 7, 3: 1}, lease_s=90)
            unit.commit()
        assert (held, stop) == (frozenset({1}), False)
        assert [image(open_unit, index).lease_until for index in (1, 2)] == [later, LEASE]

    def test_a_heartbeat_learns_of_a_cancel(self, open_unit: Units):
        add(open_unit, 2)
        claimed(open_unit, 0, 0)
        cancel(open_unit)
        with open_unit() as unit:
            assert unit.images.renew("job_1", {0: 1}, lease_s=30) == (frozenset({0}), True)


class TestFinishing:
    def test_a_result_is_kept(self, open_unit: Units):
        metrics = ImageMetrics(
            class_fractions={"sky": 0.1, "road": 0.9},
            mean_confidence=0.123456789012345,
            mean_entropy=0.5,
            low_confidence=0.125,
            coverage=0.75,
            confusion=((1, 2), (3, 2**40)),
            pixel_accuracy=0.5,
            miou=0.25,
            mean_dice=0.75,
            iou={"sky": 0.1},
        )
        result = make_result(metrics=metrics, timings_ms={"decode": 1.5})
        add(open_unit, 1)
        claimed(open_unit)
        assert finish(open_unit, Outcome(index=0, attempt=1, results=(result,))) == [0]
        ended = image(open_unit)
        assert (ended.status, ended.result, ended.finished_at) == (ImageStatus.SUCCEEDED, result, NOON)
        assert ended.failure is None

    def test_outcomes_of_all_kinds_are_written_at_once(self, open_unit: Units):
        add(open_unit, 5)
        claimed(open_unit, 0, 3)
        outcomes = [succeeded(0), failed(1), canceled(2), again(3, in_s=0)]
        assert finish(open_unit, *outcomes) == [0, 1, 2, 3]
        job = get(open_unit)
        assert job.counts == Counts(queued=2, succeeded=1, failed=1, canceled=1)
        assert (job.version, job.finished_at) == (3, None)
        assert image(open_unit, 1).failure == FAILURE

    def test_the_last_outcome_finishes_the_job(self, open_unit: Units):
        add(open_unit, 2)
        claimed(open_unit)
        finish(open_unit, succeeded(0))
        assert get(open_unit).finished_at is None
        late = NOON + timedelta(seconds=3)
        finish(open_unit, succeeded(1), now=late)
        job = get(open_unit)
        assert (job.status, job.finished_at, job.started_at) == (JobStatus.SUCCEEDED, late, NOON)

    def test_only_the_attempt_that_holds_the_image_can_end_it(self, open_unit: Units):
        add(open_unit, 3)
        claimed(open_unit, 0, 1)
        before = get(open_unit)
        assert finish(open_unit, succeeded(0, attempt=2), succeeded(1, attempt=0), succeeded(2), succeeded(9)) == []
        assert get(open_unit) == before
        assert finish(open_unit, succeeded(0), succeeded(1, attempt=2)) == [0]

    def test_a_second_result_for_one_attempt_changes_nothing(self, open_unit: Units):
        add(open_unit, 1)
        claimed(open_unit)
        finish(open_unit, succeeded(0))
        before = get(open_unit)
        assert finish(open_unit, failed(0)) == []
        assert get(open_unit) == before

    def test_no_outcome_changes_nothing(self, open_unit: Units):
        before = add(open_unit, 1)
        assert finish(open_unit) == []
        assert get(open_unit) == before

    def test_totals_are_sums_over_succeeded_images(self, open_unit: Units):
        add(open_unit, 4)
        claimed(open_unit)
        truth = ImageMetrics(class_fractions={"sky": 1.0}, mean_confidence=0.75, confusion=((1, 2), (3, 4)))
        blank = ImageMetrics(class_fractions={"road": 0.5}, mean_confidence=None)
        finish(open_unit, succeeded(0, metrics=truth), failed(1))
        finish(open_unit, succeeded(2, metrics=truth), succeeded(3, metrics=blank))
        (totals,) = get(open_unit).totals
        assert totals.class_pixels == {"sky": 200, "road": 50}
        assert (totals.confidence_sum, totals.confidence_images) == (1.5, 2)
        assert (totals.confusion, totals.truth_images) == (((2, 4), (6, 8)), 2)
        assert totals.made_by == {make_result().identity.weights: 3}


class TestFinishingByClaim:
    def test_what_the_claim_says_ends_as_if_it_were_read_again(self, open_unit: Units):
        add(open_unit, 2)
        mine = claimed(open_unit)
        assert mine.is_of_all_at_work
        assert finish(open_unit, succeeded(0), failed(1), by=mine) == [0, 1]
        job = get(open_unit)
        assert (job.counts, job.version) == (Counts(succeeded=1, failed=1), mine.job.version + 1)
        assert job == get(open_unit)
        assert [image(open_unit, each).version for each in range(2)] == [job.version, job.version]

    def test_a_claim_is_not_believed_once_the_job_has_changed(self, open_unit: Units):
        add(open_unit, 2)
        mine = claimed(open_unit)
        assert finish(open_unit, succeeded(0), by=mine) == [0]
        assert finish(open_unit, succeeded(0), succeeded(1), by=mine) == [1]
        assert get(open_unit).counts == Counts(succeeded=2)

    def test_a_cancel_since_the_claim_is_seen(self, open_unit: Units):
        add(open_unit, 1)
        mine = claimed(open_unit)
        cancel(open_unit)
        finish(open_unit, again(0), by=mine)
        assert get(open_unit).status is JobStatus.CANCELED

    def test_who_lost_the_image_since_the_claim_is_told(self, open_unit: Units):
        add(open_unit, 1)
        mine = claimed(open_unit)
        later = LEASE + timedelta(seconds=1)
        with open_unit.at(later) as unit:
            unit.images.free_expired(losses=3, limit=9)
            unit.commit()
        theirs = claimed(open_unit, now=later)
        assert finish(open_unit, succeeded(0), by=mine, now=later) == []
        assert finish(open_unit, succeeded(0, attempt=2), by=theirs, now=later) == [0]

    def test_a_deleted_job_has_nothing_to_end(self, open_unit: Units):
        add(open_unit, 1)
        mine = claimed(open_unit)
        finish(open_unit, succeeded(0), by=mine)
        with open_unit() as unit:
            unit.jobs.mark_deleted("job_1")
            unit.commit()
        assert finish(open_unit, succeeded(0), by=mine) == []


class TestHoldingUp:
    def test_a_job_says_what_it_waits_for_until_an_image_of_it_ends(self, open_unit: Units):
        before = add(open_unit)
        for job_id in ("job_1", "job_1", "job_gone"):
            hold_up(open_unit, job_id)
        held = get(open_unit)
        assert (held.waiting_for, held.version, held.counts) == ("storage", before.version + 1, before.counts)
        claimed(open_unit)
        finish(open_unit, succeeded(0))
        assert get(open_unit).waiting_for is None

    def test_one_that_has_ended_waits_for_nothing(self, open_unit: Units):
        job = ended_job(open_unit, succeeded(0))
        hold_up(open_unit)
        assert get(open_unit) == job


class TestCanceling:
    def test_queued_images_are_canceled_at_once(self, open_unit: Units):
        add(open_unit, 3)
        claimed(open_unit, 0, 0)
        job = cancel(open_unit)
        assert job == get(open_unit)
        assert (job.counts, job.cancel_requested_at) == (Counts(running=1, canceled=2), NOON)
        assert (image(open_unit, 1).status, image(open_unit, 1).finished_at) == (ImageStatus.CANCELED, NOON)
        assert claim(open_unit) is None

    def test_a_job_that_nobody_works_on_ends_with_the_cancel(self, open_unit: Units):
        add(open_unit, 3)
        job = cancel(open_unit)
        assert (job.status, job.finished_at) == (JobStatus.CANCELED, NOON)

    def test_a_finished_job_is_returned_unchanged(self, open_unit: Units):
        before = ended_job(open_unit, succeeded(0), failed(1))
        assert cancel(open_unit) == before
        assert get(open_unit) == before

    def test_no_image_of_a_canceled_job_waits_for_a_next_try(self, open_unit: Units):
        add(open_unit, 2)
        claimed(open_unit)
        cancel(open_unit)
        finish(open_unit, again(0, in_s=0), succeeded(1))
        job = get(open_unit)
        assert (job.counts, job.status) == (Counts(succeeded=1, canceled=1), JobStatus.CANCELED)
        assert image(open_unit, 0).failure is None


class TestRetrying:
    def test_failed_images_alone_wait_again(self, open_unit: Units):
        ended_job(open_unit, succeeded(0), failed(1), failed(2))
        with open_unit() as unit:
            job = unit.jobs.requeue_failed("job_1")
            assert list(unit.images.waiting("job_1")) == [1, 2]
            unit.commit()
        assert job == get(open_unit)
        assert (job.counts, job.started_at, job.finished_at) == (Counts(queued=2, succeeded=1), None, None)
        assert job.finished_before == 1
        waiting = image(open_unit, 1)
        assert (waiting.status, waiting.attempts, waiting.lost) == (ImageStatus.QUEUED, 0, 0)
        assert waiting.attempt == 1  # a worker that still tries the first time must not be taken for the next one
        assert (waiting.failure, waiting.finished_at) == (None, None)
        assert [each.index for each in claimed(open_unit).images] == [1, 2]

    def test_a_retried_job_can_succeed(self, open_unit: Units):
        ended_job(open_unit, succeeded(0), failed(1))
        with open_unit() as unit:
            unit.jobs.requeue_failed("job_1")
            unit.commit()
        claimed(open_unit)
        assert finish(open_unit, succeeded(1)) == []
        assert finish(open_unit, succeeded(1, attempt=2)) == [1]
        assert get(open_unit).status is JobStatus.SUCCEEDED

    def test_a_retry_outlives_an_old_cancel(self, open_unit: Units):
        add(open_unit, 1)
        claimed(open_unit)
        cancel(open_unit)
        finish(open_unit, failed(0))
        with open_unit() as unit:
            job = unit.jobs.requeue_failed("job_1")
            unit.commit()
        assert (job.status, job.cancel_requested_at) == (JobStatus.QUEUED, None)

    @pytest.mark.parametrize("outcomes", [[], [succeeded(0)], [succeeded(0), canceled(1)]])
    def test_a_job_without_failures_or_still_at_work_is_refused(self, open_unit: Units, outcomes: list[Outcome]):
        add(open_unit, max(1, len(outcomes)))
        claimed(open_unit)
        finish(open_unit, *outcomes)
        before = get(open_unit)
        with pytest.raises(NotAllowed), open_unit() as unit:
            unit.jobs.requeue_failed("job_1")
        assert get(open_unit) == before
