"""What `jobs.ports.Dispatcher` promises, on a real broker."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest
import redis

from broker.app import make_app
from broker.dispatch import CeleryDispatcher
from broker.settings import BrokerSettings
from jobs.errors import QueueUnavailable
from jobs.job import Priority, Slice
from tests.services.processes import free_port
from tests.services.valkey import ValkeyServer


@pytest.fixture
def dispatcher(valkey_url: str) -> Iterator[CeleryDispatcher]:
    dispatcher = CeleryDispatcher(make_app(BrokerSettings(url=valkey_url)))
    yield dispatcher
    dispatcher.close()


def pieces(count: int, priority: Priority = Priority.BULK) -> list[Slice]:
    return [Slice(job_id="job_1", first=n * 32, last=n * 32 + 31, priority=priority) for n in range(count)]


def test_nothing_waits_on_a_fresh_broker(dispatcher: CeleryDispatcher):
    assert [dispatcher.waiting(priority) for priority in Priority] == [0, 0]


@pytest.mark.parametrize("priority", Priority)
def test_what_was_sent_waits_under_its_own_priority(dispatcher: CeleryDispatcher, priority: Priority):
    dispatcher.dispatch(pieces(3, priority))
    assert {each: dispatcher.waiting(each) for each in Priority} == {
        each: 3 if each is priority else 0 for each in Priority
    }


def test_sending_nothing_is_allowed(dispatcher: CeleryDispatcher):
    dispatcher.dispatch([])
    assert dispatcher.waiting(Priority.BULK) == 0


def test_a_hundred_thousand_images_are_sent_in_a_moment(dispatcher: CeleryDispatcher):
    began = time.monotonic()
    dispatcher.dispatch(iter(pieces(3125)))
    assert time.monotonic() - began < 10
    assert dispatcher.waiting(Priority.BULK) == 3125


def test_a_message_names_its_job_for_those_who_watch(dispatcher: CeleryDispatcher, valkey_url: str):
    dispatcher.dispatch(pieces(1))
    with redis.Redis.from_url(valkey_url) as client:
        (message,) = client.lrange("bulk:6", 0, -1)
    assert b'"argsrepr": "job_1 images 0 to 31"' in message


def test_who_sends_webhooks_is_called_by_a_message_of_its_own(dispatcher: CeleryDispatcher, valkey_url: str):
    dispatcher.call_webhooks()
    with redis.Redis.from_url(valkey_url) as client:
        (message,) = client.lrange("webhooks:6", 0, -1)
    assert b"maskmill.deliver_webhooks" in message
    assert [dispatcher.waiting(priority) for priority in Priority] == [0, 0]


def test_messages_survive_that_the_broker_forgot_everything(dispatcher: CeleryDispatcher, valkey_server: ValkeyServer):
    dispatcher.dispatch(pieces(1))
    valkey_server.flush()
    dispatcher.dispatch(pieces(2))
    assert dispatcher.waiting(Priority.BULK) == 2


def test_a_frozen_broker_holds_nobody_for_long(dispatcher: CeleryDispatcher, valkey_server: ValkeyServer):
    dispatcher.dispatch(pieces(1))
    os.kill(valkey_server.pid, signal.SIGSTOP)
    try:
        calls = (
            lambda: dispatcher.dispatch(pieces(1)),
            lambda: dispatcher.waiting(Priority.BULK),
            dispatcher.call_webhooks,
        )
        for call in calls:
            began = time.monotonic()
            with pytest.raises(QueueUnavailable):
                call()
            assert time.monotonic() - began < 5
    finally:
        os.kill(valkey_server.pid, signal.SIGCONT)
    dispatcher.dispatch(pieces(1))


def test_an_absent_broker_is_an_error_of_ours():
    dispatcher = CeleryDispatcher(make_app(BrokerSettings(url=f"redis://127.0.0.1:{free_port()}/0")))
    with pytest.raises(QueueUnavailable):
        dispatcher.dispatch(pieces(1))
    with pytest.raises(QueueUnavailable):
        dispatcher.waiting(Priority.INTERACTIVE)
    with pytest.raises(QueueUnavailable):
        dispatcher.call_webhooks()


def test_a_wrong_password_is_an_error_of_ours(valkey_server: ValkeyServer):
    dispatcher = CeleryDispatcher(make_app(BrokerSettings(url=f"redis://:wrong@127.0.0.1:{valkey_server.port}/0")))
    with pytest.raises(QueueUnavailable):
        dispatcher.dispatch(pieces(1))
