"""What the process that sends webhooks holds, on a real broker, a database in a file and a real receiver."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from standardwebhooks import Webhook

from broker.app import make_app
from broker.dispatch import CeleryDispatcher
from broker.settings import BrokerSettings
from broker.wakeups import WakeUps
from jobs.deliveries.endpoint import EVENTS, Endpoint
from jobs.deliveries.webhooks import Webhooks
from jobs.options import JobOptions
from storage.settings import StorageSettings
from storage.unit_of_work import Database
from tests.databases import opened, sqlite_settings, sqlite_template
from tests.fakes import FakeClock
from tests.job_steps import Units, add, claimed, finish, succeeded
from tests.receiver import Receiver
from tests.services.processes import wait_for
from worker.settings import WorkerSettings
from worker.web import webhook_tasks


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, valkey_url: str) -> StorageSettings:
    home = tmp_path / "home"
    settings = sqlite_settings(sqlite_template(tmp_path / "template"), home)
    monkeypatch.setenv("MASKMILL_HOME", str(home))
    monkeypatch.setenv("MASKMILL_BROKER_URL", valkey_url)
    monkeypatch.setenv("MASKMILL_WORKER_ALLOW_PRIVATE_ADDRESSES", "true")
    return settings


@pytest.fixture
def database(storage: StorageSettings, valkey_url: str) -> Iterator[Database]:
    wake_ups = WakeUps(valkey_url)
    with opened(storage, on_commit=wake_ups.publish) as database:
        yield database
    wake_ups.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def process(storage: StorageSettings) -> Iterator[None]:
    """As Celery starts and ends it."""
    queues = SimpleNamespace(consume_from={"webhooks": None})
    sender = SimpleNamespace(hostname="webhooks@here", app=SimpleNamespace(amqp=SimpleNamespace(queues=queues)))
    webhook_tasks._open(sender)
    yield
    webhook_tasks._close()


def job_of(database: Database, receiver: Receiver) -> None:
    units = Units(database.unit, FakeClock())
    hook = Endpoint(url=receiver.url, events=EVENTS)
    add(units, 1, options=JobOptions(model="tiny", label_space="camvid-11", webhook=hook))
    claimed(units)
    finish(units, succeeded(0))


def test_what_happens_to_a_job_is_sent(database: Database, receiver: Receiver, process: None) -> None:
    job_of(database, receiver)
    wait_for(lambda: len(receiver.arrived) == 2, what="both events")
    assert receiver.events("job_1") == ["job.started", "job.completed"]
    with database.unit() as unit:
        verifier = Webhook(unit.webhooks.lock("default").secrets.current)
    for each in receiver.arrived:
        verifier.verify(each.body, each.headers)


def test_what_was_owed_before_it_started_is_sent_too(
    database: Database, receiver: Receiver, request: pytest.FixtureRequest, storage: StorageSettings
) -> None:
    job_of(database, receiver)
    request.getfixturevalue("process")
    wait_for(lambda: len(receiver.arrived) == 2, what="both events")
    assert (storage.home / "run" / "webhooks@here.alive").exists()


def test_a_message_of_the_queue_wakes_it(
    database: Database, receiver: Receiver, process: None, valkey_url: str
) -> None:
    dispatcher = CeleryDispatcher(make_app(BrokerSettings(url=valkey_url)))
    Webhooks(database.unit, dispatcher, private_allowed=True).ping(Endpoint(url=receiver.url))
    webhook_tasks.deliver_webhooks()
    wait_for(lambda: len(receiver.arrived) == 1, what="the ping")
    dispatcher.close()


def test_a_worker_of_other_queues_sends_nothing() -> None:
    queues = SimpleNamespace(consume_from={"bulk": None})
    webhook_tasks._open(SimpleNamespace(app=SimpleNamespace(amqp=SimpleNamespace(queues=queues))))
    assert webhook_tasks._Process.office is None
    webhook_tasks.deliver_webhooks()
    webhook_tasks._close()


def test_a_lease_must_outlast_a_try() -> None:
    with pytest.raises(ValueError, match="longer than webhook_timeout_s"):
        WorkerSettings(webhook_timeout_s=10, webhook_lease_s=10)
