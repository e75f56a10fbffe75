"""Who listens is told what was published, over a real broker and over the fake."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import redis

from broker.wakeups import CHANNEL, OWED, Tell, WakeUps, listen
from jobs.watching.hints import Hint
from tests.fakes import MemoryChannel
from tests.services.processes import free_port
from tests.services.valkey import MortalValkey

Publish = Callable[[Hint], None]
Listen = Callable[[Tell], Awaitable[None]]


@pytest.fixture(params=["memory", "broker"])
def channel(request: pytest.FixtureRequest) -> Iterator[tuple[Publish, Listen]]:
    if request.param == "memory":
        memory = MemoryChannel()
        yield memory.publish, memory.listen
        return
    url = request.getfixturevalue("valkey_url")
    wake_ups = WakeUps(url)
    yield wake_ups.publish, partial(listen, url)
    wake_ups.close()


@asynccontextmanager
async def listening(listen: Listen) -> AsyncIterator[asyncio.Queue[Hint]]:
    told: asyncio.Queue[Hint] = asyncio.Queue()
    task = asyncio.ensure_future(listen(told.put_nowait))
    try:
        yield told
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def heard(told: asyncio.Queue[Hint], wanted: set[str], say: Callable[[], None]) -> None:
    """Say it again and again until it is heard: nobody promises that the first listener is there already."""
    found: set[str] = set()
    async with asyncio.timeout(60):
        while not wanted <= found:
            say()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    found |= (await told.get()).jobs


def test_what_is_published_is_heard(channel: tuple[Publish, Listen]):
    publish, listen_to = channel

    async def scene() -> None:
        async with listening(listen_to) as told:
            await heard(told, {"job_1", "job_2"}, lambda: publish(Hint(frozenset({"job_1", "job_2"}))))

    asyncio.run(scene())


def test_all_who_listen_are_told(channel: tuple[Publish, Listen]):
    publish, listen_to = channel

    async def scene() -> None:
        async with listening(listen_to) as one, listening(listen_to) as other:
            for told in (one, other):
                await heard(told, {"job_1"}, lambda: publish(Hint(frozenset({"job_1"}))))

    asyncio.run(scene())


def test_what_ended_and_whether_something_is_owed_is_heard_too(channel: tuple[Publish, Listen]):
    publish, listen_to = channel
    hint = Hint(frozenset({"job_1", "job_2"}), ended=frozenset({"job_2"}), owes=True)

    async def scene() -> None:
        async with listening(listen_to) as told:
            await heard(told, {"job_1"}, lambda: publish(Hint(frozenset({"job_1"}))))
            publish(hint)
            async with asyncio.timeout(60):
                while (found := await told.get()).owes is False:
                    pass
            assert found == hint

    asyncio.run(scene())


def test_who_listens_for_what_is_owed_is_woken_by_nothing_else(valkey_url: str):
    wake_ups = WakeUps(valkey_url)

    def say() -> None:
        wake_ups.publish(Hint(frozenset({"job_1"})))
        wake_ups.publish(Hint(frozenset({"job_2"}), owes=True))

    async def scene() -> None:
        async with listening(partial(listen, valkey_url, channel=OWED)) as told:
            await heard(told, {"job_2"}, say)
            say()
            async with asyncio.timeout(60):
                assert await told.get() == Hint(frozenset({"job_2"}), owes=True)

    asyncio.run(scene())
    wake_ups.close()


def test_a_listener_comes_back_after_the_broker_does(tmp_path: Path):
    broker = MortalValkey(tmp_path)
    wake_ups = WakeUps(broker.server.url)

    async def scene() -> None:
        async with listening(partial(listen, broker.server.url)) as told:
            await heard(told, {"job_1"}, lambda: wake_ups.publish(Hint(frozenset({"job_1"}))))
            await asyncio.to_thread(broker.rise_empty)
            await heard(told, {"job_2"}, lambda: wake_ups.publish(Hint(frozenset({"job_2"}))))

    try:
        asyncio.run(scene())
    finally:
        wake_ups.close()
        broker.close()


def test_a_message_that_is_none_of_ours_ends_no_listening(valkey_url: str):
    wake_ups = WakeUps(valkey_url)

    async def scene() -> None:
        with redis.Redis.from_url(valkey_url) as stranger:
            async with listening(partial(listen, valkey_url)) as told:
                await heard(told, {"job_1"}, lambda: wake_ups.publish(Hint(frozenset({"job_1"}))))
                stranger.publish(CHANNEL, b"\xff")
                await heard(told, {"job_2"}, lambda: wake_ups.publish(Hint(frozenset({"job_2"}))))

    try:
        asyncio.run(scene())
    finally:
        wake_ups.close()


def test_a_connection_that_died_without_a_word_is_given_up():
    """A server that accepts, confirms the subscription and then says nothing more."""
    subscribed: list[int] = []

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError):
                while data := await reader.read(4096):
                    commands = data.upper().count(b"*") - data.upper().count(b"SUBSCRIBE") - data.upper().count(b"PING")
                    writer.write(b"+OK\r\n" * max(0, commands))
                    if b"SUBSCRIBE" in data.upper():
                        subscribed.append(1)
                        writer.write(b"*3\r\n$9\r\nsubscribe\r\n$%d\r\n%s\r\n:1\r\n" % (len(CHANNEL), CHANNEL.encode()))
        finally:
            writer.close()

    async def scene() -> None:
        server = await asyncio.start_server(mute, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        url = f"redis://127.0.0.1:{port}/0?protocol=2"
        async with server, listening(partial(listen, url, silence_s=0.1)):
            async with asyncio.timeout(60):
                while len(subscribed) < 2:  # noqa: ASYNC110 it is another task's doing
                    await asyncio.sleep(0.05)

    asyncio.run(scene())


def test_a_broker_that_is_away_holds_nobody_up():
    wake_ups = WakeUps(f"redis://127.0.0.1:{free_port()}/0")
    for number in range(1000):
        wake_ups.publish(Hint(frozenset({f"job_{number}"})))
    wake_ups.close()
    assert not any(thread.name == "wake-ups" for thread in threading.enumerate())


def test_what_changes_meanwhile_goes_out_together(valkey_url: str):
    wake_ups = WakeUps(valkey_url)
    with redis.Redis.from_url(valkey_url) as client, client.pubsub() as heard_by:
        heard_by.subscribe(CHANNEL)
        assert heard_by.get_message(timeout=60)
        client.client_pause(300)  # milliseconds in which no message goes out
        for number in range(2000):
            wake_ups.publish(Hint(frozenset({f"job_{number}"})))
        wake_ups.close()
        messages = _until_heard(heard_by, {f"job_{number}" for number in range(2000)})
    assert len(messages) < 2000


def test_after_the_end_nothing_is_sent_and_nothing_breaks(valkey_url: str):
    wake_ups = WakeUps(valkey_url)
    wake_ups.close()
    wake_ups.publish(Hint(frozenset({"job_1"})))


def _until_heard(channel: redis.client.PubSub, wanted: set[str]) -> list[str]:
    """The messages until all that is wanted came."""
    deadline = time.monotonic() + 60
    found: list[str] = []
    while not wanted <= {each for message in found for each in message.split()}:
        assert time.monotonic() < deadline
        message = channel.get_message(timeout=5)
        if message is not None:
            found.append(message["data"].decode())
    return found
