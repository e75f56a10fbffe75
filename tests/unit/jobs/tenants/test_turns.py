"""Turns: who comes next when several tenants wait, and that no turn is lost."""

from __future__ import annotations

from collections import Counter
from functools import partial
from random import Random

import pytest

from jobs.job import Priority, Slice
from jobs.ports import Claim
from jobs.processing.retry import RetryPolicy
from jobs.tenants.turns import LOOK_EVERY_S, Turns
from tests.factories import make_images, make_job
from tests.job_steps import again
from tests.memory_database import MemoryDatabase

SMALL = Priority.INTERACTIVE


@pytest.fixture
def database() -> MemoryDatabase:
    return MemoryDatabase()


@pytest.fixture
def turns() -> Turns:
    return Turns(RetryPolicy(), clock=lambda: 0.0, chance=lambda: 0.5)


def add(database: MemoryDatabase, tenant: str, images: int, *, job_id: str, slice_size: int = 1) -> list[Slice]:
    job = make_job(images, job_id=job_id, tenant=tenant, slice_size=slice_size)
    with database.unit() as unit:
        unit.jobs.add(job, make_images(images, job_id=job_id))
        unit.commit()
    return list(job.slices())


def take(database: MemoryDatabase, turns: Turns, named: Slice) -> Claim | None:
    with database.unit() as unit:
        claim = turns.take(unit, named, partial(unit.images.claim, worker="w", lease_s=60))
        unit.commit()
    return claim


def taken(claim: Claim | None) -> tuple[str, list[int]]:
    assert claim is not None
    return claim.job.id, [image.index for image in claim.images]


def test_while_one_tenant_waits_each_turn_is_for_what_its_message_names(database: MemoryDatabase, turns: Turns) -> None:
    pieces = add(database, "acme", 6, job_id="job_1", slice_size=2)
    assert [taken(take(database, turns, piece)) for piece in reversed(pieces)] == [
        ("job_1", [4, 5]),
        ("job_1", [2, 3]),
        ("job_1", [0, 1]),
    ]


def test_who_has_the_fewest_images_running_comes_next(database: MemoryDatabase, turns: Turns) -> None:
    pieces = add(database, "acme", 100, job_id="job_1", slice_size=4)
    add(database, "zeta", 5, job_id="job_2")
    first = [taken(take(database, turns, piece)) for piece in pieces[:7]]
    assert first == [("job_1", [0, 1, 2, 3]), *(("job_2", [index]) for index in range(4)), *first[5:]]
    assert Counter(job_id for job_id, _ in first) == {"job_1": 2, "job_2": 5}


def test_every_image_is_taken_although_turns_went_to_others(database: MemoryDatabase, turns: Turns) -> None:
    """There are as many messages as slices: who finds what its message names done takes something else."""
    messages = add(database, "acme", 40, job_id="job_1", slice_size=4) + add(database, "zeta", 9, job_id="job_2")
    done: Counter[str] = Counter()
    for message in messages:
        job_id, images = taken(take(database, turns, message))
        done[job_id] += len(images)
    assert done == {"job_1": 40, "job_2": 9}
    assert take(database, turns, messages[0]) is None


def test_a_message_of_a_canceled_job_is_a_turn_for_another(database: MemoryDatabase, turns: Turns) -> None:
    (gone,) = add(database, "acme", 1, job_id="job_1")
    add(database, "acme", 1, job_id="job_2")
    with database.unit() as unit:
        unit.jobs.request_cancel("job_1")
        unit.commit()
    assert taken(take(database, turns, gone)) == ("job_2", [0])


def test_that_another_tenant_has_come_is_noticed_after_a_while(database: MemoryDatabase) -> None:
    now = [0.0]
    turns = Turns(RetryPolicy(), clock=lambda: now[0])
    pieces = add(database, "acme", 9, job_id="job_1")
    assert taken(take(database, turns, pieces[0])) == ("job_1", [0])
    add(database, "zeta", 1, job_id="job_2")
    assert taken(take(database, turns, pieces[1])) == ("job_1", [1])
    now[0] = LOOK_EVERY_S
    assert taken(take(database, turns, pieces[2])) == ("job_2", [0])


def test_who_has_nothing_due_is_passed_over(database: MemoryDatabase, turns: Turns) -> None:
    pieces = add(database, "acme", 2, job_id="job_1")
    add(database, "zeta", 1, job_id="job_2")
    assert taken(take(database, turns, pieces[0]))
    with database.unit() as unit:
        unit.images.claim(Slice(job_id="job_2", first=0, last=0, priority=SMALL), worker="w", lease_s=60)
        unit.images.finish("job_2", [again(0, in_s=60)])
        unit.commit()
    assert taken(take(database, turns, pieces[0]))[0] == "job_1"
    assert take(database, turns, pieces[0]) is None


def test_a_failed_image_has_its_turn_although_its_tenant_keeps_submitting(database: MemoryDatabase) -> None:
    turns = Turns(RetryPolicy(), clock=lambda: 0.0, chance=Random(7).random)
    add(database, "acme", 1, job_id="job_0")
    named = add(database, "zeta", 1, job_id="job_1")[0]
    with database.unit() as unit:
        unit.images.claim(Slice(job_id="job_0", first=0, last=0, priority=SMALL), worker="w", lease_s=60)
        unit.images.finish("job_0", [again(0, in_s=0)])
        unit.commit()
    seen = []
    for job in range(2, 60):
        add(database, "acme", 1, job_id=f"job_{job}")
        seen.append(taken(take(database, turns, named))[0])
    assert "job_0" in seen


def test_images_that_took_their_worker_along_come_in_smaller_slices(database: MemoryDatabase, turns: Turns) -> None:
    add(database, "acme", 8, job_id="job_1", slice_size=8)
    named = add(database, "zeta", 1, job_id="job_2")[0]
    with database.unit() as unit:
        unit.images.claim(Slice(job_id="job_1", first=0, last=7, priority=SMALL), worker="w", lease_s=-1)
        unit.images.free_expired(losses=9, limit=9)
        unit.commit()
    found = [take(database, turns, named) for _ in range(2)]
    assert sorted(len(claim.images) for claim in found if claim) == [1, 2]


def test_who_is_always_too_late_falls_back_on_its_message(database: MemoryDatabase, turns: Turns) -> None:
    named = add(database, "acme", 1, job_id="job_1")[0]
    add(database, "zeta", 1, job_id="job_2")
    asked: list[Slice] = []
    with database.unit() as unit:
        assert turns.take(unit, named, asked.append) is None
    assert asked[-1] == named
