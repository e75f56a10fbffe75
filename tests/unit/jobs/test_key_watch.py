"""A request that is being read keeps its idempotency key; one that died does not."""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from itertools import islice

import pytest

from jobs.errors import DatabaseUnavailable, IdempotencyInProgress
from jobs.key_watch import KeyWatch
from jobs.ports import OpenUnit, UnitOfWork
from tests.fakes import FakeClock
from tests.memory_database import MemoryDatabase


def reserve(database: MemoryDatabase, clock: FakeClock) -> None:
    with database.unit() as unit:
        assert unit.idempotency.begin("key", now=clock()) is None
        unit.commit()


def renewed_at(database: MemoryDatabase, clock: FakeClock) -> datetime:
    with database.unit() as unit:
        found = unit.idempotency.begin("key", now=clock())
    assert found is not None
    return found.created_at


def telling(open_unit: OpenUnit, tell: threading.Semaphore) -> OpenUnit:
    """The same units, and word of each that is opened."""

    def open_one():
        tell.release()
        return open_unit()

    return open_one


def pause() -> bool:
    time.sleep(0.01)
    return True


def beats(tell: threading.Semaphore, count: int) -> None:
    """`count` more are begun from now on, so one fewer from its beginning to its end."""
    while tell.acquire(blocking=False):
        pass
    assert all(tell.acquire(timeout=10) for _ in range(count))


def test_a_watched_key_is_renewed_until_the_block_ends():
    database, clock, tell = MemoryDatabase(), FakeClock(), threading.Semaphore(0)
    reserve(database, clock)
    with KeyWatch(telling(database.unit, tell), clock, "key", every_s=0.01):
        clock.advance(50)
        beats(tell, 3)
        assert renewed_at(database, clock) == clock()
    clock.advance(50)
    assert renewed_at(database, clock) < clock()


def test_a_database_that_is_away_costs_a_heartbeat_and_nothing_else():
    database, clock, tell = MemoryDatabase(), FakeClock(), threading.Semaphore(0)
    reserve(database, clock)
    is_away = True

    def open_unit() -> AbstractContextManager[UnitOfWork]:
        if is_away:
            raise DatabaseUnavailable("away")
        return database.unit()

    with KeyWatch(telling(open_unit, tell), clock, "key", every_s=0.01):
        clock.advance(50)
        beats(tell, 2)
        assert renewed_at(database, clock) < clock()
        is_away = False
        beats(tell, 3)
        assert renewed_at(database, clock) == clock()


def test_a_request_that_is_read_for_long_keeps_its_key(service):
    service.rules = replace(service.rules, key_heartbeat_s=0.01)
    with service.intake.open_draft("key"):
        service.clock.advance(61)
        renewed = (renewed_at(service.database, service.clock) == service.clock() for _ in iter(pause, None))
        assert any(islice(renewed, 1000))
        with pytest.raises(IdempotencyInProgress), service.intake.open_draft("key"):
            pass
