"""Several processes that send: each delivery is delivered once, in order, whoever takes it, on both databases."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, text

from jobs.deliveries.delivery import Delivery, DeliveryStatus, Reply
from jobs.deliveries.endpoint import EVENTS, Endpoint
from jobs.deliveries.ports import AtOnce
from jobs.deliveries.schedule import after_try
from jobs.errors import DatabaseUnavailable
from jobs.options import JobOptions
from storage.settings import StorageSettings
from storage.unit_of_work import Database, make_engine
from tests.databases import opened
from tests.fakes import FakeClock
from tests.job_steps import Units, ended_job, succeeded
from tests.services.processes import wait_for

JOBS = [f"job_{number:02}" for number in range(12)]
SENDERS = 4


@pytest.fixture
def database(settings: StorageSettings) -> Iterator[Database]:
    """With two deliveries owed for each job."""
    with opened(settings, clock=(clock := FakeClock())) as preparing:
        for number, job_id in enumerate(JOBS):
            hook = Endpoint(url=f"https://{number % 3}.example/hook", events=EVENTS)
            options = JobOptions(model="tiny", label_space="camvid-11", webhook=hook)
            ended_job(Units(preparing.unit, clock), succeeded(0), job_id=job_id, options=options)
    with opened(settings) as database:
        yield database


class Senders:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.sent: list[tuple[str | None, str]] = []
        self.lock = threading.Lock()

    def work(self, seed: int) -> None:
        chance = random.Random(seed)
        while self.pending():
            try:
                self.send_some(chance)
            except DatabaseUnavailable:
                continue  # SQLite lets one write at a time, and not all wait for ever

    def pending(self) -> int:
        with self.database.unit() as unit:
            return unit.deliveries.backlog().pending

    def send_some(self, chance: random.Random) -> None:
        with self.database.unit() as unit:
            found = unit.deliveries.claim(limit=chance.randrange(1, 5), at_once=AtOnce(per_host=3), lease_s=3600)
            unit.commit()
        for each in found:
            with self.lock:
                self.sent.append((each.job_id, each.event))
            with self.database.unit() as unit:
                assert unit.deliveries.end_try(after_try(each, Reply(status_code=204), now=unit.now, chance=0.5))
                unit.commit()


def test_every_delivery_is_sent_once_and_in_order(database: Database):
    senders = Senders(database)
    with ThreadPoolExecutor(SENDERS) as threads:
        list(threads.map(senders.work, range(SENDERS)))
    for job_id in JOBS:
        assert [event for of, event in senders.sent if of == job_id] == ["job.started", "job.completed"]
        with database.unit() as unit:
            assert {each.status for each in unit.deliveries.page(job_id, limit=9)} == {DeliveryStatus.DELIVERED}


def test_tries_that_give_up_the_same_address_wait_for_each_other_in_one_order(migrated_postgres_url: str) -> None:
    """Each has a delivery of its own, and ends those of the others."""
    settings = StorageSettings(database_url=migrated_postgres_url)
    with opened(settings, clock=(clock := FakeClock())) as preparing:
        for job_id in JOBS[:3]:
            hook = Endpoint(url="https://gone.example/hook", events=EVENTS)
            options = JobOptions(model="tiny", label_space="camvid-11", webhook=hook)
            ended_job(Units(preparing.unit, clock), succeeded(0), job_id=job_id, options=options)
    with opened(settings) as database, ThreadPoolExecutor(2) as threads:
        with database.unit() as unit:
            claimed = unit.deliveries.claim(limit=3, at_once=AtOnce(per_host=3, per_tenant=3), lease_s=3600)
            unit.commit()

        def end(delivery: Delivery) -> None:
            with database.unit() as unit:
                unit.deliveries.end_try(after_try(delivery, Reply(status_code=410), now=unit.now, chance=0.5))
                unit.commit()

        engine = make_engine(settings)
        with engine.connect() as holder:
            ending = [each.id for each in claimed[1:]]
            holder.execute(text("SELECT id FROM deliveries WHERE id <> ALL(:ending) FOR UPDATE"), {"ending": ending})
            waiting = [threads.submit(end, each) for each in claimed[1:]]
            wait_for(lambda: _blocked(holder) >= 2, what="both wait", pause_s=0.01)
            holder.rollback()
        engine.dispose()
        for each in waiting:
            each.result()
        with database.unit() as unit:
            ended = unit.deliveries.page(claimed[0].job_id or "", limit=9)
            assert {each.status for each in ended} == {DeliveryStatus.GONE}


def _blocked(connection: Connection) -> int:
    return int(connection.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one())
