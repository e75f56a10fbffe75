"""How images and their job go from one state to the next: the table, and each step on it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from jobs.errors import IllegalTransition, JobNotFinished, NotAllowed
from jobs.job import Counts, Failure, ImageStatus, ImageWarning, JobStatus, JobTotals
from jobs.ports import Finished, Outcome
from jobs.processing.retry import WORKER_LOST
from jobs.transitions import NEXT, Held, Move, Transition, cancel, claim, finish, lose, requeue, taking
from tests.factories import NOON, make_image, make_job, make_result

LATER = NOON + timedelta(seconds=30)
FAILURE = Failure("model_failed", "x")
RUNNING = make_image(status=ImageStatus.RUNNING, attempt=3, worker="w", lease_until=NOON)


def sure(step: Transition | None) -> Transition:
    assert step is not None
    return step


def running(images=3, **changes):
    return make_job(counts=Counts(running=images), started_at=NOON, **changes)


def held(*attempts):
    return {index: Held(ImageStatus.RUNNING, attempt) for index, attempt in enumerate(attempts)}


def ended(outcome, job=None, image=RUNNING):
    """The image and the job after one attempt."""
    at = {0: Held(image.status, image.attempt, image.input_sha256)}
    step, _ = finish(job or running(1), at, [outcome], now=LATER)
    ((move, _),) = sure(step).moves
    return move.apply(image), sure(step).job


@pytest.mark.parametrize("source", ImageStatus)
@pytest.mark.parametrize("target", ImageStatus)
def test_images_go_only_the_ways_of_the_table(source, target):
    if target in NEXT[source]:
        move = Move(source=source, target=target, put={"worker": None})
        assert move.apply(make_image(status=source)).status is target
    else:
        with pytest.raises(IllegalTransition, match="does not go from"):
            Move(source=source, target=target)


def test_a_succeeded_or_canceled_image_never_changes():
    assert not NEXT[ImageStatus.SUCCEEDED] | NEXT[ImageStatus.CANCELED]


def test_a_way_begins_where_it_says():
    move = Move(source=ImageStatus.QUEUED, target=ImageStatus.RUNNING)
    with pytest.raises(IllegalTransition, match=r"job_1/0 is running, not queued"):
        move.apply(RUNNING)


def test_a_way_puts_adds_and_copies():
    move = Move(
        source=ImageStatus.RUNNING,
        target=ImageStatus.QUEUED,
        put={"worker": None},
        add={"attempt": 1},
        copy={"excused": "attempt"},
    )
    after = move.apply(RUNNING)
    assert (after.worker, after.attempt, after.excused, after.lease_until) == (None, 4, 3, NOON)


TAKING = taking(worker="w", now=LATER, lease_s=30)


def test_a_claim_holds_images_and_starts_the_job():
    waiting = make_image(1, retry_at=NOON, failure=FAILURE, waiting_for="storage", attempt=1)
    job, ((move, indices),), _ = sure(claim(make_job(3), [1], TAKING, now=LATER))
    taken = move.apply(waiting)
    assert (taken.attempt, taken.worker, taken.lease_until) == (2, "w", LATER + timedelta(seconds=30))
    assert (taken.retry_at, taken.failure, taken.waiting_for) == (None, None, None)
    assert (indices, job.counts, job.started_at, job.version) == ([1], Counts(queued=2, running=1), LATER, 2)
    again, *_ = sure(claim(job, [0], TAKING, now=LATER + timedelta(1)))
    assert again.started_at == LATER
    assert claim(job, [], TAKING, now=LATER) is None


def test_a_cancel_ends_what_waits_and_leaves_what_runs():
    job, ((move, indices),), _ = sure(cancel(make_job(counts=Counts(queued=2, running=1)), now=LATER))
    image = move.apply(make_image(retry_at=NOON, failure=FAILURE, waiting_for="storage"))
    assert (image.status, image.finished_at, image.version) == (ImageStatus.CANCELED, LATER, job.version)
    assert (image.retry_at, image.failure, image.waiting_for) == (None, None, None)
    assert indices is None
    assert (job.counts, job.cancel_requested_at, job.finished_at) == (Counts(running=1, canceled=2), LATER, None)
    assert cancel(job, now=LATER) is None
    assert cancel(make_job(counts=Counts(succeeded=1)), now=LATER) is None


def test_a_cancel_of_what_nobody_works_on_ends_the_job():
    job, *_ = sure(cancel(make_job(waiting_for="storage"), now=LATER))
    assert (job.status, job.finished_at, job.waiting_for) == (JobStatus.CANCELED, LATER, None)


def test_failed_images_are_queued_anew_and_their_tries_forgiven():
    before = make_job(counts=Counts(succeeded=1, failed=2), started_at=NOON, finished_at=NOON, cancel_requested_at=NOON)
    job, ((move, indices),), _ = requeue(before, now=LATER)
    failed = make_image(status=ImageStatus.FAILED, attempt=4, lost=2, failure=FAILURE, version=5, finished_at=NOON)
    image = move.apply(failed)
    assert (image.attempt, image.attempts, image.lost, image.failure) == (4, 0, 0, None)
    assert (image.version, image.finished_at, image.sent_at) == (None, None, LATER)
    assert (indices, job.counts, job.status) == (None, Counts(queued=2, succeeded=1), JobStatus.QUEUED)
    assert (job.finished_before, job.finished_at, job.cancel_requested_at) == (1, None, None)


@pytest.mark.parametrize(
    ("counts", "error"),
    [
        (Counts(queued=1), JobNotFinished),
        (Counts(running=1, failed=1), JobNotFinished),
        (Counts(succeeded=1), NotAllowed),
        (Counts(failed=1, canceled=1), NotAllowed),
    ],
)
def test_what_did_not_fail_is_not_tried_again(counts, error):
    with pytest.raises(error):
        requeue(make_job(counts=counts), now=NOON)


def test_lost_images_wait_again_or_are_given_up():
    job, moves, _ = sure(lose(running(3), {0: 0, 1: 2, 2: 1}, losses=3, now=LATER))
    by_target = {move.target: (move, set(indices or ())) for move, indices in moves}
    assert by_target[ImageStatus.FAILED][1] == {1}
    assert by_target[ImageStatus.QUEUED][1] == {0, 2}
    given_up = by_target[ImageStatus.FAILED][0].apply(RUNNING)
    assert (given_up.failure, given_up.lost, given_up.lease_until) == (WORKER_LOST, 1, None)
    assert (given_up.version, given_up.finished_at) == (job.version, LATER)
    waits = by_target[ImageStatus.QUEUED][0].apply(RUNNING)
    assert (waits.lost, waits.worker, waits.lease_until, waits.sent_at) == (1, None, None, LATER)
    assert job.counts == Counts(queued=2, failed=1)
    assert lose(job, {}, losses=3, now=LATER) is None


def test_lost_images_of_a_canceled_job_are_canceled():
    job, ((move, indices),), _ = sure(lose(running(2, cancel_requested_at=NOON), {0: 9, 1: 0}, losses=3, now=LATER))
    assert (move.target, indices, job.status) == (ImageStatus.CANCELED, {0, 1}, JobStatus.CANCELED)


def test_only_the_attempt_that_holds_an_image_ends_it():
    images = {**held(1, 2, 1), 3: Held(ImageStatus.SUCCEEDED, 1), 4: Held(ImageStatus.QUEUED, 1)}
    outcomes = [Outcome(index=index, attempt=1, results=(make_result(),)) for index in (5, 4, 3, 2, 1, 0)]
    step, answer = finish(running(3), images, outcomes, now=NOON)
    assert answer == Finished((0, 2), frozenset({1, 4, 5}))  # 3 was written by this attempt before
    assert sure(step).job.counts == Counts(running=1, succeeded=2)
    assert finish(running(3), held(2), [Outcome(index=0, attempt=1, failure=FAILURE)], now=NOON) == (
        None,
        Finished((), frozenset({0})),
    )


def test_a_result_ends_an_image_and_adds_to_the_sums():
    warnings = (ImageWarning("low_bit_depth", "a"), ImageWarning("low_bit_depth", "b"), ImageWarning("x", "c"))
    outcome = Outcome(index=0, attempt=3, results=(make_result(),), warnings=warnings, input_sha256="ab")
    image, job = ended(outcome, running(1, warnings={"low_bit_depth": 2}))
    assert (image.status, image.results, image.warnings) == (ImageStatus.SUCCEEDED, outcome.results, warnings)
    assert (image.version, image.finished_at, image.input_sha256) == (job.version, LATER, "ab")
    assert job.totals == (JobTotals().plus(make_result()),)
    assert job.warnings == {"low_bit_depth": 3, "x": 1}
    assert (job.status, job.finished_at) == (JobStatus.SUCCEEDED, LATER)


def test_each_model_has_sums_of_its_own():
    job = running(1, models=("a", "b"), totals=(JobTotals(), JobTotals()))
    one, other = make_result(), make_result(width=20)
    _, after = ended(Outcome(index=0, attempt=3, results=(one, other)), job)
    assert after.totals == (JobTotals().plus(one), JobTotals().plus(other))
    with pytest.raises(ValueError, match="zip"):
        ended(Outcome(index=0, attempt=3, results=(one,)), job)


def test_a_failure_ends_an_image_and_its_warnings_are_not_counted():
    image, job = ended(Outcome(index=0, attempt=3, failure=FAILURE, warnings=(ImageWarning("x", "y"),)))
    assert (image.status, image.failure, image.warnings) == (ImageStatus.FAILED, FAILURE, ())
    assert (job.warnings, job.totals) == ({}, (JobTotals(),))


def test_a_known_hash_of_the_input_stays():
    image, _ = ended(Outcome(index=0, attempt=3, failure=FAILURE), image=replace(RUNNING, input_sha256="cd"))
    assert image.input_sha256 == "cd"


def test_a_failure_that_may_pass_waits_for_its_next_try():
    image, job = ended(Outcome(index=0, attempt=3, failure=FAILURE, retry_in_s=5))
    assert (image.status, image.retry_at, image.failure) == (ImageStatus.QUEUED, LATER + timedelta(seconds=5), FAILURE)
    assert (image.attempts, image.sent_at, image.finished_at, image.version) == (3, None, None, None)
    assert (job.finished_at, job.version) == (None, 2)


def test_an_outage_is_nobodys_attempt_and_the_job_says_what_it_waits_for():
    outage = Outcome(index=0, attempt=3, failure=FAILURE, retry_in_s=5, waiting_for="storage")
    image, job = ended(outage, running(2))
    assert (image.status, image.attempts, image.waiting_for) == (ImageStatus.QUEUED, 2, "storage")
    assert job.waiting_for == "storage"
    for outcome in (Outcome(index=0, attempt=3, results=(make_result(),)), replace(outage, retry_in_s=None)):
        assert ended(replace(outcome, waiting_for=None), running(2, waiting_for="storage"))[1].waiting_for is None
    again = Outcome(index=0, attempt=3, failure=FAILURE, retry_in_s=5)
    assert ended(again, running(2, waiting_for="storage"))[1].waiting_for == "storage"


def test_what_was_given_back_untried_is_nobodys_attempt():
    image, _ = ended(Outcome(index=0, attempt=3, retry_in_s=0))
    assert (image.status, image.attempts) == (ImageStatus.QUEUED, 2)


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(index=0, attempt=3, canceled=True),
        Outcome(index=0, attempt=3, failure=FAILURE, retry_in_s=5),
        Outcome(index=0, attempt=3, failure=FAILURE, retry_in_s=5, waiting_for="storage"),
    ],
)
def test_nothing_of_a_canceled_job_waits_again(outcome):
    image, job = ended(outcome, running(1, cancel_requested_at=NOON))
    assert (image.status, image.failure, image.retry_at) == (ImageStatus.CANCELED, None, None)
    assert (image.attempts, image.waiting_for, job.waiting_for) == (3, None, None)
    assert job.status is JobStatus.CANCELED


def test_what_came_too_late_for_a_cancel_still_counts():
    image, _ = ended(Outcome(index=0, attempt=3, results=(make_result(),)), running(2, cancel_requested_at=NOON))
    assert image.status is ImageStatus.SUCCEEDED
