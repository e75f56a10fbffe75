"""From an error to a decision."""

import pytest

from jobs.errors import (
    DatabaseUnavailable,
    DownloadFailed,
    ModelFailed,
    ObjectNotFound,
    OutOfMemory,
    QueueUnavailable,
    StorageUnavailable,
    TimedOut,
    TookTooLong,
)
from jobs.processing.retry import RetryPolicy, failure_of, may_pass, part_away
from segmentation.errors import MaskMismatch, UnreadableImage

POLICY = RetryPolicy(attempts=3, base_delay_s=2, longest_delay_s=5, jitter=lambda: 1.0)


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (StorageUnavailable(""), True),
        (DownloadFailed("", retryable=True), True),
        (DownloadFailed("", retryable=False), False),
        (OutOfMemory(""), True),
        (ModelFailed(""), True),
        (TimedOut(""), True),
        (TookTooLong(""), False),
        (UnreadableImage(""), False),
        (MaskMismatch(""), False),
        (ObjectNotFound(""), False),
        (ValueError(""), False),
    ],
)
def test_only_what_may_pass_is_tried_again(error, passes):
    assert may_pass(error) is passes
    assert (POLICY.retry_after_s(error, attempt=1) is not None) is passes


def test_the_delay_doubles_up_to_a_bound_and_ends_with_the_attempts():
    error = StorageUnavailable("")
    assert [POLICY.retry_after_s(error, attempt=n) for n in (1, 2, 3)] == [2.0, 4.0, None]
    assert POLICY.delay_s(9) == 5


def test_jitter_takes_away_half_of_the_delay_at_most():
    assert RetryPolicy(base_delay_s=2, jitter=lambda: 0.0).delay_s(1) == 1.0


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (StorageUnavailable(""), "storage"),
        (DatabaseUnavailable(""), "database"),
        (QueueUnavailable(""), "broker"),
        (ModelFailed(""), None),
    ],
)
def test_an_outage_is_told_from_a_failure(error, part):
    assert part_away(error) == part


def test_who_waits_for_a_part_asks_more_and_more_seldom_but_never_gives_up():
    assert [POLICY.wait_for_part_s(excused) for excused in (0, 1, 2, 3, 4, 10_000)] == [1, 2, 4, 8, 15, 15]
    assert RetryPolicy(jitter=lambda: 0.0).wait_for_part_s(0) == 0.5


def test_images_of_a_large_job_ask_for_a_newer_worker_over_minutes():
    assert [POLICY.wait_for_newer_s(excused, unfinished=3) for excused in (0, 1, 10_000)] == [1, 2, 15]
    assert [POLICY.wait_for_newer_s(excused, unfinished=100_000) for excused in (0, 10_000)] == [200, 200]


def test_slices_shrink_until_an_image_stands_alone():
    assert [POLICY.slice_size_after(n, largest=32) for n in range(5)] == [32, 8, 2, 1, 1]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnreadableImage("no picture"), "unreadable_image"),
        (OutOfMemory("full"), "out_of_memory"),
        (ObjectNotFound("secret/key"), "download_failed"),
        (StorageUnavailable("host 10.0.0.1"), "download_failed"),
        (DatabaseUnavailable("host 10.0.0.1"), "model_failed"),
        (ValueError("/home/secret"), "model_failed"),
    ],
)
def test_a_failure_has_a_stable_code_and_tells_no_secrets(error, code):
    failure = failure_of(error)
    assert failure.code == code
    assert "secret" not in failure.message
    assert "10.0" not in failure.message
