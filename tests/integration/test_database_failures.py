"""A PostgreSQL server that drops its connections: the call fails as ours to try again, and the next one works."""

from __future__ import annotations

import random

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import OperationalError

from jobs.deliveries.endpoint import URL_LENGTH, Endpoint
from jobs.deliveries.message import ping
from jobs.errors import DatabaseUnavailable, JobNotFound
from jobs.job import Priority, Slice
from jobs.listing.filters import JobFilter
from storage.drivers.postgresql import ALIVE
from storage.settings import StorageSettings
from storage.unit_of_work import Database, make_engine, translated
from tests.databases import opened
from tests.factories import NOON, make_images, make_job
from tests.services.relay import Relay

ALL = Slice(job_id="job_1", first=0, last=2, priority=Priority.BULK)


@pytest.fixture
def settings(migrated_postgres_url: str) -> StorageSettings:
    return StorageSettings(database_url=migrated_postgres_url, database_wait_s=0.5)


def drop_connections(settings: StorageSettings) -> None:
    engine = make_engine(settings)
    with engine.connect() as connection:
        others = "pid <> pg_backend_pid() AND datname = current_database()"
        connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))  # noqa: S608
    engine.dispose()


def add(database: Database) -> None:
    with database.unit() as unit:
        unit.jobs.add(make_job(), make_images(3))
        unit.commit()


def test_a_connection_that_is_dropped_in_between_is_replaced(settings: StorageSettings):
    with opened(settings) as database:
        add(database)
        drop_connections(settings)
        with database.unit() as unit:
            assert len(unit.jobs.page(JobFilter(), limit=9, before=None)) == 1


def test_a_connection_that_is_dropped_within_a_unit_undoes_it(settings: StorageSettings):
    with opened(settings) as database:
        with pytest.raises(DatabaseUnavailable), database.unit() as unit:
            unit.jobs.add(make_job(), make_images(3))
            drop_connections(settings)
            unit.commit()
        with database.unit() as unit, pytest.raises(JobNotFound):
            unit.jobs.get("job_1")


def test_a_connection_that_is_dropped_within_a_bulk_insert_undoes_it(settings: StorageSettings):
    def images():
        yield from make_images(3)
        drop_connections(settings)
        yield from make_images(20_000)

    with opened(settings) as database:
        with pytest.raises(DatabaseUnavailable), database.unit() as unit:
            unit.jobs.add(make_job(20_003), images())
        with database.unit() as unit, pytest.raises(JobNotFound):
            unit.jobs.get("job_1")


def test_a_lock_is_not_waited_for_without_end(settings: StorageSettings):
    with opened(settings) as database:
        add(database)
        with database.unit() as first:
            first.jobs.request_cancel("job_1")
            with pytest.raises(DatabaseUnavailable), database.unit() as second:
                second.jobs.request_cancel("job_1")


def test_what_is_too_large_for_the_server_is_not_waited_for(settings: StorageSettings):
    """Whoever tried it again and again, as if the server were away, would do nothing else any more."""
    chance = random.Random(1)
    longest = "https://example.org/" + "".join(chr(chance.randrange(0x4E00, 0x9FA5)) for _ in range(2000))
    with opened(settings) as database:
        add(database)
        with pytest.raises(OperationalError, match="index row size"), database.unit() as unit:
            unit.deliveries.add(ping("default", Endpoint(url=longest), now=NOON))
        with database.unit() as unit:
            url = longest.encode()[:URL_LENGTH].decode("utf-8", "ignore")  # which a job may name
            unit.deliveries.add(ping("default", Endpoint(url=url), now=NOON))
            unit.commit()


def test_a_server_without_tables_says_how_to_make_them(postgres_url: str):
    with (
        opened(StorageSettings(database_url=postgres_url)) as database,
        pytest.raises(DatabaseUnavailable, match=r"python -m storage\.migrate"),
    ):
        database.check()


def test_a_server_that_vanished_with_its_network_is_given_up(settings: StorageSettings):
    engine = make_engine(settings)
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        assert driver.info.get_parameters().items() >= {name: str(value) for name, value in ALIVE.items()}.items()
    engine.dispose()


def test_a_server_that_says_nothing_more_is_given_up(settings: StorageSettings):
    url = make_url(settings.resolved_database_url)
    with Relay(url.port or 5432).running() as relay:
        behind = url.set(host="127.0.0.1", port=relay.port).render_as_string(hide_password=False)
        patience = {"database_url": behind, "database_answer_s": 2.0}
        with opened(settings.model_copy(update=patience)) as database:
            add(database)
            with database.unit() as unit:
                unit.jobs.get("job_1")
                relay.freeze()
                with pytest.raises(DatabaseUnavailable), translated(make_engine(settings)):
                    unit.jobs.get("job_1")
            with pytest.raises(DatabaseUnavailable), database.unit() as unit:
                unit.jobs.get("job_1")
            relay.thaw()
            with database.unit() as unit:
                assert unit.jobs.get("job_1").counts.queued == 3


def test_who_is_out_of_reach_keeps_no_lock(settings: StorageSettings):
    """A wire that is cut in the middle of a transaction: the server hears of no end."""
    url = make_url(settings.resolved_database_url)
    patient = settings.model_copy(update={"database_wait_s": 30.0})
    with Relay(url.port or 5432).running() as relay, opened(patient) as database:
        add(database)
        behind = url.set(host="127.0.0.1", port=relay.port).render_as_string(hide_password=False)
        impatient = settings.model_copy(update={"database_url": behind, "database_answer_s": 2.0})
        with opened(impatient) as cut_off, pytest.raises(DatabaseUnavailable), cut_off.unit() as lost:
            assert lost.images.claim(ALL, worker="lost", lease_s=30) is not None
            relay.abandon()
            with database.unit() as unit:  # waits for the lock
                claim = unit.images.claim(ALL, worker="other", lease_s=30)
                unit.commit()
            lost.commit()
        assert claim is not None
        assert {image.worker for image in claim.images} == {"other"}
