"""A request that is being read keeps its idempotency key; one that died does not."""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import islice

import pytest

from jobs.errors import DatabaseUnavailable, IdempotencyInProgress
from jobs.ports import OpenUnit, UnitOfWork
from jobs.submitting.key_watch import KeyWatch
from tests.memory_database import MemoryDatabase


def reserve(database: MemoryDatabase) -> None:
    with database.unit() as unit:
        assert unit.idempotency.begin("key", holder="me", patience_s=1) is None
        unit.commit()


def is_held(database: MemoryDatabase) -> bool:
    """Whether the holder gave a sign of life within the last second."""
    with database.unit() as unit:
        return unit.idempotency.begin("key", holder="another", patience_s=1) is not None


def telling(open_unit: OpenUnit, tell: threading.Semaphore) -> OpenUnit:
    """The same units, and word of each that is opened."""

    def open_one(tenant: str | None = None) -> AbstractContextManager[UnitOfWork]:
        tell.release()
        return open_unit(tenant)

    return open_one


def pause() -> bool:
    time.sleep(0.01)
    return True


def beats(tell: threading.Semaphore, count: int) -> None:
    """`count` more are begun from now on, so one fewer from its beginning to its end."""
    while tell.acquire(blocking=False):
        pass
    assert all(tell.acquire(timeout=60) for _ in range(count))


def test_a_watched_key_is_renewed_until_the_block_ends():
    database, tell = MemoryDatabase(), threading.Semaphore(0)
    reserve(database)
    with KeyWatch(telling(database.unit, tell), "key", "me", every_s=0.01):
        database.clock.advance(50)
        beats(tell, 3)
        assert is_held(database)
    database.clock.advance(50)
    assert not is_held(database)


def test_a_database_that_is_away_costs_a_heartbeat_and_nothing_else():
    database, tell = MemoryDatabase(), threading.Semaphore(0)
    reserve(database)
    is_away = True

    def open_unit(tenant: str | None = None) -> AbstractContextManager[UnitOfWork]:
        if is_away:
            raise DatabaseUnavailable("away")
        return database.unit(tenant)

    with KeyWatch(telling(open_unit, tell), "key", "me", every_s=0.01):
        database.clock.advance(50)
        beats(tell, 2)
        assert not is_held(database)
        is_away = False
        beats(tell, 3)
        assert is_held(database)


def test_a_request_that_is_read_for_long_keeps_its_key(service):
    service.rules = replace(service.rules, key_heartbeat_s=0.01)
    with service.submitting.open_draft("key"):
        service.clock.advance(61)
        renewed = (is_held(service.database) for _ in iter(pause, None))
        assert any(islice(renewed, 1000))
        with pytest.raises(IdempotencyInProgress), service.submitting.open_draft("key"):
            pass
