"""Hosts whose clocks are five minutes apart: the database says what time it is, so nobody frees another's images early.

The other host is a process of its own in which every clock of Python is wrong. A SQLite file has one host; there, what
the use cases ask must not come from a clock of theirs either.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.job import ImageStatus, Priority, Slice
from jobs.processing.lease import Lease
from jobs.processing.leftovers import Leftovers
from jobs.processing.processing import ProcessingRules
from jobs.processing.retry import RetryPolicy
from jobs.upkeep import Upkeep, UpkeepRules
from storage.settings import StorageSettings
from storage.unit_of_work import Database
from tests.databases import opened
from tests.factories import make_images, make_job
from tests.fakes import FakeDispatcher, MemoryObjects

ROOT = Path(__file__).parents[2]
PIECE = Slice(job_id="job_1", first=0, last=0, priority=Priority.INTERACTIVE)

LEASE_S = 280.0  # shorter than the clocks are apart, and longer than a busy machine takes to start a program

ELSEWHERE = """
import datetime, sys, time
seconds, url = float(sys.argv[1]), sys.argv[2]
true_time, true_time_ns = time.time, time.time_ns
time.time = lambda: true_time() + seconds
time.time_ns = lambda: true_time_ns() + int(seconds * 1e9)
class Wrong(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(time.time(), tz)
true_datetime, datetime.datetime = datetime.datetime, Wrong
from jobs.processing.leftovers import Leftovers
from jobs.processing.retry import RetryPolicy
from jobs.upkeep import Upkeep, UpkeepRules
from storage.settings import StorageSettings
from storage.unit_of_work import open_database
from tests.fakes import FakeDispatcher, MemoryObjects
database, objects = open_database(StorageSettings(database_url=url)), MemoryObjects()
report = Upkeep(database.unit, objects, Leftovers(objects), FakeDispatcher(), RetryPolicy(), UpkeepRules()).run()
print(report.freed, report.resent, report.deleted)
database.close()
"""


@pytest.fixture
def database(settings: StorageSettings) -> Iterator[Database]:
    with opened(settings) as database:
        with database.unit() as unit:
            unit.jobs.add(make_job(1, created_at=unit.now), make_images(1))
            unit.drafts.open("job_2", prefix="default/jobs/job_2/")
            unit.commit()
        yield database


def upkeep_elsewhere(settings: StorageSettings, *, seconds: float) -> str:
    command = [sys.executable, "-c", ELSEWHERE, str(seconds), settings.resolved_database_url]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("seconds", [300.0, -300.0, 2 * 86400.0])
def test_a_host_whose_clock_is_wrong_frees_no_lease_early(migrated_postgres_url: str, seconds: float):
    settings = StorageSettings(database_url=migrated_postgres_url)
    with opened(settings) as database:
        with database.unit() as unit:
            unit.jobs.add(make_job(1, created_at=unit.now), make_images(1))
            unit.drafts.open("job_2", prefix="default/jobs/job_2/")
            assert unit.images.claim(PIECE, worker="w", lease_s=LEASE_S) is not None
            unit.commit()
        assert upkeep_elsewhere(settings, seconds=seconds) == "0 0 0"
        with database.unit() as unit:
            assert unit.images.get("job_1", 0).status is ImageStatus.RUNNING
            assert unit.idempotency.begin("k", holder="h", patience_s=1) is None


def test_a_lease_that_has_run_out_is_freed_whatever_a_hosts_clock_says(migrated_postgres_url: str):
    settings = StorageSettings(database_url=migrated_postgres_url)
    with opened(settings) as database:
        with database.unit() as unit:
            unit.jobs.add(make_job(1, created_at=unit.now), make_images(1))
            unit.images.claim(PIECE, worker="w", lease_s=0)
            unit.commit()
        assert upkeep_elsewhere(settings, seconds=-300.0).startswith("1 ")


def test_no_use_case_has_a_wall_clock_of_its_own(
    database: Database, settings: StorageSettings, monkeypatch: pytest.MonkeyPatch
):
    """On this host `time` is five minutes ahead; the database, or for a file its host, is not asked through it."""
    true_time = time.time
    monkeypatch.setattr(time, "time", lambda: true_time() + 300)
    with database.unit() as unit:
        claim = unit.images.claim(PIECE, worker="w", lease_s=LEASE_S)
        unit.commit()
    assert claim is not None
    objects = MemoryObjects()
    upkeep = Upkeep(database.unit, objects, Leftovers(objects), FakeDispatcher(), RetryPolicy(), UpkeepRules())
    report = upkeep.run()
    assert (report.freed, report.resent, report.deleted) == (0, 0, 0)


def test_a_worker_holds_its_images_until_the_database_says_otherwise(database: Database):
    with database.unit() as unit:
        claim = unit.images.claim(PIECE, worker="w", lease_s=0)
        unit.commit()
    assert claim is not None
    lease = Lease(database.unit, ProcessingRules(worker="w", lease_s=0), claim)
    lease.renew()
    assert lease.holds(0)  # it ran out, and nobody else has it
    with database.unit() as unit:
        unit.images.free_expired(losses=5, limit=1)
        unit.commit()
    lease.renew()
    assert not lease.holds(0)
