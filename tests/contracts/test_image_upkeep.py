"""What `jobs.ports.ImageRepository` promises to upkeep, on every database."""

from __future__ import annotations

from datetime import timedelta

from jobs.job import Counts, ImageStatus, JobStatus, Priority, Slice
from jobs.processing.retry import WORKER_LOST
from tests.factories import NOON
from tests.job_steps import (
    LEASE,
    Units,
    add,
    again,
    cancel,
    claimed,
    ended_job,
    failed,
    finish,
    free_expired,
    get,
    image,
    requeue,
    resend_due,
    succeeded,
)


class TestLostWorkers:
    def test_an_image_whose_lease_ran_out_waits_again(self, open_unit: Units):
        add(open_unit, 3)
        claimed(open_unit, 0, 1)
        assert free_expired(open_unit, now=LEASE - timedelta(seconds=1)) == []
        (found,) = free_expired(open_unit, now=LEASE + timedelta(seconds=1))
        assert (found.job.id, dict(found.losses)) == ("job_1", {0: 1, 1: 1})
        assert get(open_unit).counts == Counts(queued=3)
        freed = image(open_unit)
        assert (freed.status, freed.lost, freed.attempt) == (ImageStatus.QUEUED, 1, 1)

    def test_a_late_worker_changes_nothing(self, open_unit: Units):
        add(open_unit, 1)
        claimed(open_unit)
        free_expired(open_unit, now=LEASE + timedelta(seconds=1))
        assert finish(open_unit, succeeded(0)) == []
        claimed(open_unit, now=LEASE + timedelta(seconds=2))
        assert finish(open_unit, succeeded(0, attempt=1)) == []
        assert finish(open_unit, succeeded(0, attempt=2)) == [0]

    def test_an_image_that_was_lost_too_often_fails(self, open_unit: Units):
        add(open_unit, 1)
        for _ in range(2):
            claimed(open_unit)
            free_expired(open_unit, now=LEASE + timedelta(seconds=1), losses=3)
        claimed(open_unit)
        assert free_expired(open_unit, now=LEASE + timedelta(seconds=1), losses=3) == []
        given_up = image(open_unit)
        assert (given_up.status, given_up.lost, given_up.failure) == (ImageStatus.FAILED, 3, WORKER_LOST)
        assert get(open_unit).status is JobStatus.FAILED

    def test_a_lost_image_of_a_canceled_job_is_canceled(self, open_unit: Units):
        add(open_unit, 2)
        claimed(open_unit, 0, 0)
        cancel(open_unit)
        assert free_expired(open_unit, now=LEASE + timedelta(seconds=1)) == []
        assert get(open_unit).status is JobStatus.CANCELED

    def test_the_attempt_that_was_lost_is_told_of_every_image_whatever_becomes_of_it(self, open_unit: Units):
        add(open_unit, 3)
        claimed(open_unit, 0, 0)
        free_expired(open_unit, now=LEASE + timedelta(seconds=1))
        claimed(open_unit, 0, 1)
        with open_unit.at(LEASE + timedelta(seconds=1)) as unit:
            (found,) = unit.images.free_expired(losses=2, limit=10)
            unit.commit()
        assert dict(found.waiting.losses) == {1: 1}
        assert dict(found.attempts) == {0: 2, 1: 1}

    def test_images_of_several_jobs_are_freed(self, open_unit: Units):
        for job_id in ("job_1", "job_2"):
            add(open_unit, 2, job_id=job_id)
            claimed(open_unit, job_id=job_id)
        found = free_expired(open_unit, now=LEASE + timedelta(seconds=1))
        assert {each.job.id: dict(each.losses) for each in found} == {"job_1": {0: 1, 1: 1}, "job_2": {0: 1, 1: 1}}


class TestResending:
    LATER = NOON + timedelta(seconds=60)

    def test_what_was_just_sent_is_not_sent_again(self, open_unit: Units):
        add(open_unit)
        assert resend_due(open_unit, now=NOON + timedelta(seconds=10)) == {}

    def test_silent_images_are_sent_once(self, open_unit: Units):
        add(open_unit)
        claimed(open_unit, 1, 1)
        assert resend_due(open_unit, now=self.LATER) == {"job_1": {0: 0, 2: 0}}
        assert resend_due(open_unit, now=self.LATER + timedelta(seconds=1)) == {}

    def test_what_was_sent_before_the_clock_was_set_back_is_sent_once(self, open_unit: Units):
        add(open_unit)
        assert resend_due(open_unit, now=NOON - timedelta(seconds=30)) == {}
        back = NOON - timedelta(hours=1)
        assert resend_due(open_unit, now=back) == {"job_1": {0: 0, 1: 0, 2: 0}}
        assert resend_due(open_unit, now=back + timedelta(seconds=1)) == {}

    def test_the_oldest_jobs_go_first(self, open_unit: Units):
        for job_id in ("job_2", "job_1"):
            add(open_unit, 2, job_id=job_id)
        found = resend_due(open_unit, now=self.LATER)
        assert list(found) == ["job_1", "job_2"]

    def test_no_more_than_the_limit_of_a_job_are_sent(self, open_unit: Units):
        add(open_unit, 5)
        assert resend_due(open_unit, now=self.LATER, limit=3) == {"job_1": {0: 0, 1: 0, 2: 0}}

    def test_only_the_wanted_priorities_are_sent(self, open_unit: Units):
        add(open_unit, 1, job_id="job_1", priority=Priority.BULK)
        add(open_unit, 1, job_id="job_2", priority=Priority.INTERACTIVE)
        assert list(resend_due(open_unit, now=self.LATER, only=Priority.INTERACTIVE)) == ["job_2"]

    def test_an_image_is_not_sent_before_it_is_due(self, open_unit: Units):
        add(open_unit, 1)
        claimed(open_unit)
        finish(open_unit, again(0, in_s=60))
        assert resend_due(open_unit, now=self.LATER - timedelta(seconds=1)) == {}
        assert resend_due(open_unit, now=self.LATER) == {"job_1": {0: 0}}

    def test_retried_images_were_sent_at_their_retry(self, open_unit: Units):
        ended_job(open_unit, failed(0))
        requeue(open_unit, now=self.LATER)
        assert resend_due(open_unit, now=self.LATER + timedelta(seconds=1)) == {}
        assert resend_due(open_unit, now=self.LATER + timedelta(seconds=60)) == {"job_1": {0: 0}}

    def test_what_was_not_sent_after_all_goes_out_at_once(self, open_unit: Units):
        job = add(open_unit, 4, slice_size=2)
        claimed(open_unit, 0, 0)
        with open_unit() as unit:
            unit.images.unsend([*job.slices(), Slice(job_id="job_gone", first=0, last=0, priority=job.priority)])
            unit.commit()
        with open_unit() as unit:
            assert unit.images.newest_running_s(job.priority) in (0, None)
        assert resend_due(open_unit, now=NOON + timedelta(seconds=1)) == {"job_1": {1: 0, 2: 0, 3: 0}}
        assert get(open_unit).counts == Counts(queued=3, running=1)

    def test_the_newest_message_at_work_is_known_by_priority(self, open_unit: Units):
        add(open_unit, 2, job_id="job_1", created_at=NOON)
        add(open_unit, 2, job_id="job_2", created_at=self.LATER)
        add(open_unit, 1, job_id="job_3", created_at=self.LATER, priority=Priority.BULK)
        with open_unit() as unit:
            assert unit.images.newest_running_s(Priority.INTERACTIVE) is None
        claimed(open_unit, 0, 0, job_id="job_1")
        with open_unit.at(self.LATER) as unit:
            assert unit.images.newest_running_s(Priority.INTERACTIVE) == 60
        claimed(open_unit, 0, 0, job_id="job_2")
        with open_unit.at(self.LATER) as unit:
            assert unit.images.newest_running_s(Priority.INTERACTIVE) == 0
            assert unit.images.newest_running_s(Priority.BULK) is None
