"""A job's version is the clock of what happens to it: which images ended since, and what else a job tells, on every
database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from jobs.errors import JobNotFound
from jobs.job import (
    Counts,
    ImageStatus,
    ImageWarning,
    JobImage,
    JobTotals,
    NewImage,
    Skipped,
    Source,
    SourceKind,
)
from jobs.ports import Finished, Outcome
from tests.factories import NOON, make_images, make_job, make_result
from tests.job_steps import (
    LEASE,
    Units,
    add,
    cancel,
    claimed,
    ended_job,
    failed,
    finish,
    finished,
    free_expired,
    get,
    image,
    outage,
    requeue,
    succeeded,
)


def since(open_unit: Units, version: int, *, limit: int = 99, after: int | None = None) -> list[JobImage]:
    with open_unit() as unit:
        return list(unit.images.since("job_1", version, limit=limit, after=after))


def ended(open_unit: Units, version: int, *, limit: int = 99, after: int | None = None) -> list[tuple[int, int | None]]:
    return [(each.index, each.version) for each in since(open_unit, version, limit=limit, after=after)]


class TestVersions:
    def test_images_are_told_in_the_order_in_which_they_ended(self, open_unit: Units):
        add(open_unit, 5)
        claimed(open_unit, 0, 3)
        finish(open_unit, succeeded(2), succeeded(1))
        finish(open_unit, failed(0))
        assert ended(open_unit, 0) == [(1, 3), (2, 3), (0, 4)]
        assert ended(open_unit, 3) == [(0, 4)]
        assert ended(open_unit, get(open_unit).version) == []
        assert since(open_unit, 3)[0] == image(open_unit, 0)

    def test_many_that_end_in_one_version_are_read_in_pieces(self, open_unit: Units):
        add(open_unit, 5)
        cancel(open_unit)
        assert ended(open_unit, 1, limit=2) == [(0, 2), (1, 2)]
        assert ended(open_unit, 2, after=1, limit=2) == [(2, 2), (3, 2)]
        assert ended(open_unit, 2, after=3) == [(4, 2)]
        assert ended(open_unit, 2) == []

    def test_what_is_tried_again_has_not_ended_and_ends_anew(self, open_unit: Units):
        ended_job(open_unit, succeeded(0), failed(1))
        requeue(open_unit)
        assert ended(open_unit, 0) == [(0, 3)]
        claimed(open_unit)
        finish(open_unit, failed(1, attempt=2))
        assert ended(open_unit, 3) == [(1, 6)]

    def test_images_that_were_given_up_have_ended(self, open_unit: Units):
        add(open_unit, 1)
        claimed(open_unit)
        free_expired(open_unit, now=LEASE, losses=1)
        assert ended(open_unit, 0) == [(0, 3)]

    def test_an_unknown_job_is_not_found(self, open_unit: Units):
        with pytest.raises(JobNotFound):
            since(open_unit, 0)


class TestOutages:
    def test_an_outage_is_told_and_counts_as_no_attempt(self, open_unit: Units):
        add(open_unit, 2)
        claimed(open_unit)
        finish(open_unit, outage(0, in_s=5))
        waiting = image(open_unit)
        assert (waiting.status, waiting.attempt, waiting.excused) == (ImageStatus.QUEUED, 1, 1)
        assert (waiting.waiting_for, waiting.retry_at) == ("storage", NOON + timedelta(seconds=5))
        assert get(open_unit).waiting_for == "storage"
        claimed(open_unit, now=NOON + timedelta(seconds=5))
        assert image(open_unit).waiting_for is None
        assert get(open_unit).waiting_for == "storage"  # nobody knows yet
        finish(open_unit, succeeded(0, attempt=2))
        assert get(open_unit).waiting_for is None

    def test_a_retry_forgives_what_was_tried(self, open_unit: Units):
        ended_job(open_unit, failed(0))
        requeue(open_unit)
        assert (image(open_unit).attempt, image(open_unit).excused, image(open_unit).attempts) == (1, 1, 0)


class TestResults:
    def test_warnings_are_kept_and_counted_by_code(self, open_unit: Units):
        add(open_unit, 3)
        claimed(open_unit)
        told = (ImageWarning("mask_unknown_ids", "id 255: 3 %\0"), ImageWarning("mask_unknown_ids", "id 7"))
        finish(open_unit, replace(succeeded(0), warnings=told), succeeded(1))
        finish(open_unit, replace(succeeded(2), warnings=told[1:]))
        assert [each.code for each in image(open_unit, 0).warnings] == ["mask_unknown_ids"] * 2
        assert image(open_unit, 2).warnings == told[1:]
        assert image(open_unit, 1).warnings == ()
        assert get(open_unit).warnings == {"mask_unknown_ids": 2}

    def test_results_and_sums_are_by_model(self, open_unit: Units):
        add(open_unit, 2, models=("a", "b"), totals=(JobTotals(), JobTotals()))
        claimed(open_unit)
        one, other = make_result(), make_result(width=20)
        finish(open_unit, Outcome(index=0, attempt=1, results=(one, other)), failed(1))
        assert image(open_unit).results == (one, other)
        job = get(open_unit)
        assert (job.models, job.model) == (("a", "b"), "a")
        assert job.totals == (JobTotals().plus(one), JobTotals().plus(other))

    def test_what_came_packed_and_is_no_picture_is_told(self, open_unit: Units):
        job = make_job(1, skipped=Skipped(3, ("notes.txt", "a\0b")))
        with open_unit() as unit:
            unit.jobs.add(job, make_images(1))
            unit.commit()
        found = get(open_unit).skipped
        assert found is not None
        assert (found.count, found.examples[0]) == (3, "notes.txt")

    def test_hashes_of_the_contents_are_kept(self, open_unit: Units):
        source = Source(SourceKind.OBJECT, "x")
        known = NewImage(source, "a.jpg", mask=source, input_sha256="ab" * 32, mask_sha256="cd" * 32)
        with open_unit() as unit:
            unit.jobs.add(make_job(2), [known, NewImage(Source(SourceKind.URL, "https://x/1"), "b.jpg")])
            unit.commit()
        claimed(open_unit)
        finish(open_unit, succeeded(0), replace(succeeded(1), input_sha256="ef" * 32))
        assert (image(open_unit, 0).input_sha256, image(open_unit, 0).mask_sha256) == ("ab" * 32, "cd" * 32)
        assert (image(open_unit, 1).input_sha256, image(open_unit, 1).mask_sha256) == ("ef" * 32, None)


class TestLosers:
    def test_who_lost_an_image_is_told(self, open_unit: Units):
        add(open_unit, 3)
        claimed(open_unit)
        free_expired(open_unit, now=LEASE)
        claimed(open_unit, 0, 0, now=LEASE)
        answer = finished(open_unit, succeeded(0), succeeded(1), succeeded(9), now=LEASE)
        assert answer == Finished((), frozenset({0, 1, 9}))
        assert finished(open_unit, succeeded(0, attempt=2), now=LEASE) == Finished((0,), frozenset())

    def test_a_call_that_is_made_twice_makes_no_loser_of_itself(self, open_unit: Units):
        add(open_unit, 1)
        claimed(open_unit)
        assert finished(open_unit, succeeded(0)) == Finished((0,), frozenset())
        assert finished(open_unit, succeeded(0)) == Finished((), frozenset())
        assert finished(open_unit, failed(0)) == Finished((), frozenset({0}))

    def test_a_worker_from_before_a_retry_is_not_taken_for_one_after_it(self, open_unit: Units):
        add(open_unit, 1)
        claimed(open_unit)
        free_expired(open_unit, now=LEASE, losses=1)
        requeue(open_unit)
        claimed(open_unit, now=LEASE)
        assert finished(open_unit, succeeded(0), now=LEASE) == Finished((), frozenset({0}))
        assert get(open_unit).counts == Counts(running=1)


class TestTime:
    def test_a_transaction_has_one_time(self, open_unit: Units):
        with open_unit.at(NOON) as unit:
            assert unit.now == NOON
            open_unit.clock.advance(5)
            assert unit.now == NOON
