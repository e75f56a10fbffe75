"""How much may be asked with a key, and what is said when it was enough."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from random import Random

import pytest

from jobs.callers import DEFAULT, Caller, Limits
from jobs.errors import OverLimit, QuotaExceeded, RateLimited, TooManyImages
from jobs.tenants.quotas import admit, count_request, refuse_if_used_up, standings
from tests.factories import make_images, make_job
from tests.fakes import FakeClock
from tests.memory_database import MemoryDatabase


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def database(clock: FakeClock) -> MemoryDatabase:
    return MemoryDatabase(clock)


def caller(**limits: int) -> Caller:
    return Caller("acme", "submit", "key_1", Limits(**limits))


def submit(database: MemoryDatabase, who: Caller, images: int, job_id: str = "job_1") -> None:
    with database.unit(who.tenant) as unit:
        unit.jobs.add(
            make_job(images, job_id=job_id, tenant=who.tenant, credential=who.credential),
            make_images(images, job_id=job_id),
        )
        admit(unit, who, images)
        unit.commit()


def test_so_many_requests_are_taken_and_the_next_when_the_minute_is_over(
    database: MemoryDatabase, clock: FakeClock
) -> None:
    who = caller(requests_per_minute=2)
    assert [standing.remaining for _ in range(2) if (standing := count_request(database.unit, who))] == [1, 0]
    clock.now += timedelta(seconds=15.5)
    for _ in range(3):  # what is refused does not count: who keeps asking comes in at last
        with pytest.raises(RateLimited, match="2 requests per minute") as caught:
            count_request(database.unit, who)
        assert (caught.value.standing.remaining, caught.value.standing.retry_after_s) == (0, 47)
    clock.now += timedelta(seconds=47)
    assert count_request(database.unit, who) is not None


def test_no_day_lets_more_than_its_limit_through_wherever_it_begins(database: MemoryDatabase, clock: FakeClock) -> None:
    who, taken, chance = caller(images_per_day=10), [], Random(3)
    for number in range(400):
        clock.now += timedelta(hours=chance.choice([0.1, 0.5, 3, 11]))
        with suppress(QuotaExceeded):
            submit(database, who, 2, f"job_{number}")
            taken.append(clock.now)
    for begin in taken:
        assert sum(begin <= at < begin + timedelta(days=1) for at in taken) <= 5
    assert len(taken) > 100


def test_what_a_wrong_clock_counted_is_forgotten_and_what_one_that_was_put_back_did_is_not(
    database: MemoryDatabase, clock: FakeClock
) -> None:
    who, right = caller(images_per_day=4), clock.now
    clock.now = right + timedelta(days=3000)
    submit(database, who, 4)
    clock.now -= timedelta(hours=1)
    with pytest.raises(QuotaExceeded):
        submit(database, who, 1, "job_2")
    clock.now = right
    submit(database, who, 4, "job_3")


@pytest.mark.parametrize("who", [DEFAULT, caller(images_per_day=1)])
def test_without_such_a_limit_requests_are_not_counted(database: MemoryDatabase, who: Caller) -> None:
    assert count_request(database.unit, who) is None


def test_images_of_a_day_are_counted_and_what_is_refused_is_not(database: MemoryDatabase, clock: FakeClock) -> None:
    who = caller(images_per_day=5)
    submit(database, who, 3)
    with pytest.raises(QuotaExceeded, match=r"5 images within 24 hours; there are 3, and 3 more") as caught:
        submit(database, who, 3, "job_2")
    assert (caught.value.standing.remaining, caught.value.standing.retry_after_s) == (2, 25 * 3600)
    submit(database, who, 2, "job_3")
    clock.now += timedelta(hours=25)
    submit(database, who, 5, "job_4")


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"images_per_day": 5}, "5 images within 24 hours, and 6 come at once"),
        ({"images_per_day": 9, "queued_images": 5}, "5 images waiting at the same time, and 6 come at once"),
    ],
)
def test_what_never_fits_is_no_matter_of_waiting(database: MemoryDatabase, limits: dict[str, int], said: str) -> None:
    who = caller(**limits)
    for count in (0, 4):  # nor is it while others of the key's images count
        if count:
            submit(database, who, count)
        with pytest.raises(TooManyImages, match=said):
            submit(database, who, 6, "job_2")
    submit(database, who, 1, "job_3")


def test_images_that_wait_are_counted_as_they_are(database: MemoryDatabase) -> None:
    who = caller(queued_images=4)
    submit(database, who, 3)
    with pytest.raises(QuotaExceeded, match="waiting at the same time") as caught:
        submit(database, who, 2, "job_2")
    assert (caught.value.standing.remaining, caught.value.standing.retry_after_s) == (1, 10)
    with database.unit() as unit:
        unit.jobs.request_cancel("job_1")
        unit.commit()
    submit(database, who, 4, "job_2")


def test_images_that_join_the_queue_of_another_key_are_counted_beside_the_own_ones(database: MemoryDatabase) -> None:
    who = caller(queued_images=4)
    submit(database, who, 3)
    with database.unit("acme") as unit:
        admit(unit, who, 1, others=True)
        with pytest.raises(QuotaExceeded, match="there are 3, and 2 more come"):
            admit(unit, who, 2, others=True)


@pytest.mark.parametrize("limits", [{"images_per_day": 2}, {"queued_images": 2}])
def test_nothing_is_read_that_could_not_be_taken(database: MemoryDatabase, limits: dict[str, int]) -> None:
    who = caller(**limits)
    with database.unit("acme") as unit:
        refuse_if_used_up(unit, who)
    submit(database, who, 2)
    with database.unit("acme") as unit, pytest.raises(OverLimit):
        refuse_if_used_up(unit, who)


@pytest.mark.parametrize("who", [DEFAULT, caller(requests_per_minute=1)])
def test_without_limits_all_is_admitted(database: MemoryDatabase, who: Caller) -> None:
    submit(database, who, 100)
    with database.unit(who.tenant) as unit:
        refuse_if_used_up(unit, who)


def test_a_caller_is_told_where_each_limit_stands(database: MemoryDatabase) -> None:
    who = caller(requests_per_minute=10, images_per_day=20, queued_images=30)
    with database.unit("acme") as unit:
        assert [(each.name, each.used, each.left_s) for each in standings(unit, who)] == [
            ("requests", 0, 60),
            ("images", 0, 86400),
            ("queued-images", 0, 0),
        ]
    submit(database, who, 3)
    with database.unit("acme") as unit:
        assert [each.remaining for each in standings(unit, who)] == [10, 17, 27]
        assert standings(unit, DEFAULT) == []
        assert standings(unit, caller()) == []
