"""One try at one image, while it runs."""

from __future__ import annotations

import pytest

from jobs.errors import StorageUnavailable, TookTooLong
from jobs.job import Source, SourceKind
from jobs.processing.attempt import Attempt, AttemptCanceled, AttemptLost
from tests.factories import make_image, make_job


class ToyLease:
    held = True
    canceled = False

    def holds(self, index: int) -> bool:
        return self.held


def attempt(lease: ToyLease | None = None, *, url: bool = False) -> Attempt:
    source = Source(SourceKind.URL, "https://example.org/a.jpg") if url else make_image().source
    return Attempt(make_job(), make_image(source=source), lease or ToyLease(), limit_s=10)


def test_steps_are_timed_and_add_up():
    one = attempt()
    with one.step("decode"):
        pass
    first = one.take_timings()["decode"]
    assert first >= 0
    for _ in range(2):
        with one.step("encode"):
            pass
    assert list(one.take_timings()) == ["encode"]


def test_a_cancel_is_seen_before_the_next_step():
    lease = ToyLease()
    one = attempt(lease)
    with one.step("decode"):
        lease.canceled = True
    with pytest.raises(AttemptCanceled), one.step("segment"):
        pytest.fail("began")


def test_a_lost_lease_is_seen_before_the_next_step():
    lease = ToyLease()
    lease.held = False
    with pytest.raises(AttemptLost):
        attempt(lease).check()


def test_it_ends_once():
    one = attempt()
    assert [one.end(), one.end()] == [True, False]
    with pytest.raises(AttemptLost):
        one.check()


def test_only_time_within_steps_counts():
    one = attempt()
    assert one.spend(1000) is None
    with one.step("decode"):
        assert one.spend(6) is None
        error = one.spend(6)
    assert isinstance(error, TookTooLong)
    assert str(error) == "the image took longer than 10 s (in the step 'decode')"


@pytest.mark.parametrize(
    ("step", "url", "kind"),
    [("fetch", False, StorageUnavailable), ("store", True, StorageUnavailable), ("fetch", True, TookTooLong)],
)
def test_a_store_that_does_not_answer_is_an_outage_and_no_fault_of_the_image(step: str, url: bool, kind: type):
    one = attempt(url=url)
    with one.step(step):
        assert isinstance(one.spend(11), kind)


def test_what_the_store_takes_is_not_the_images_time_and_what_the_image_takes_not_the_stores():
    one = attempt()
    with one.step("fetch"):
        assert one.spend(9) is None
    with one.step("segment"):
        assert one.spend(9) is None
    with one.step("store"):
        assert one.spend(0.5) is None
    with one.step("encode"):
        assert isinstance(one.spend(2), TookTooLong)
    with one.step("store"):
        assert isinstance(one.spend(1), StorageUnavailable)
