"""What a process remembers of keys, and what becomes of those who still listen when theirs is revoked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi import Request

from api.edge.gate import Gate
from api.edge.known_keys import KEPT, KnownKeys
from api.edge.server import main
from api.errors import Unauthorized
from jobs.callers import DEFAULT, Caller, Limits
from jobs.errors import DatabaseUnavailable
from jobs.tenants.keyring import Keyring
from tests.memory_database import MemoryDatabase

Run = Callable[[Awaitable[Any]], Any]


class Reads:
    """A database that counts how often it is read, and can be away."""

    def __init__(self) -> None:
        self.database = MemoryDatabase()
        self.count = 0
        self.is_away = False

    def unit(self, tenant: str | None = None) -> Any:
        self.count += 1
        if self.is_away:
            raise DatabaseUnavailable("away")
        return self.database.unit(tenant)


@pytest.fixture
def reads() -> Reads:
    return Reads()


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def gate(reads: Reads, now: list[float]) -> Gate:
    return Gate(KnownKeys(reads.unit, keep_s=2.0, clock=lambda: now[0]), reads.unit, is_open=False)


def request_of(caller: Caller) -> Request:
    return cast(Request, SimpleNamespace(state=SimpleNamespace(caller=caller)))


def test_a_key_is_read_once_for_all_who_show_it_at_the_same_time_and_again_after_a_while(
    gate: Gate, reads: Reads, now: list[float]
) -> None:
    made, _ = Keyring(reads.database.unit).create("acme", "read", Limits())

    async def story() -> None:
        found = await asyncio.gather(*(gate.known.find(made.id) for _ in range(50)))
        assert found == [made] * 50
        assert reads.count == 1
        now[0] = 1.9
        await gate.known.find(made.id)
        assert reads.count == 1
        now[0] = 2.0
        await gate.known.find(made.id)
        assert reads.count == 2

    asyncio.run(story())


def test_a_database_that_was_away_is_asked_again_at_once(gate: Gate, reads: Reads) -> None:
    async def story() -> None:
        reads.is_away = True
        with pytest.raises(DatabaseUnavailable):
            await gate.known.are_there()
        reads.is_away = False
        assert not await gate.known.are_there()

    asyncio.run(story())


def test_invented_keys_neither_fill_the_memory_nor_push_good_ones_out(gate: Gate, reads: Reads) -> None:
    async def story() -> None:
        made, _ = Keyring(reads.database.unit).create("acme", "read", Limits())
        await gate.known.find(made.id)
        await asyncio.gather(*(gate.known.find(f"key_{number}") for number in range(KEPT + 50)))
        assert len(gate.known._unknown) == KEPT
        before = reads.count
        assert await gate.known.find(made.id) == made
        assert reads.count == before

    asyncio.run(story())


def test_invented_keys_that_come_together_cost_one_read(gate: Gate, reads: Reads) -> None:
    async def story() -> None:
        made, _ = Keyring(reads.database.unit).create("acme", "read", Limits())
        reads.count = 0
        await gate.known.find("key_first")
        found = await asyncio.gather(
            *(gate.known.find(f"key_{number}") for number in range(200)), gate.known.find(made.id)
        )
        assert [each for each in found if each] == [made]
        assert reads.count == 2
        await gate.known.find("key_7")
        assert reads.count == 2

    asyncio.run(story())


def test_a_database_that_was_away_while_a_key_was_shown_is_asked_again(gate: Gate, reads: Reads) -> None:
    made, _ = Keyring(reads.database.unit).create("acme", "read", Limits())

    async def story() -> None:
        reads.is_away = True
        with pytest.raises(DatabaseUnavailable):
            await gate.known.find(made.id)
        reads.is_away = False
        assert await gate.known.find(made.id) == made

    asyncio.run(story())


def test_a_stream_tells_nothing_more_once_its_key_is_revoked(gate: Gate, reads: Reads, now: list[float]) -> None:
    keyring = Keyring(reads.database.unit)
    made, _ = keyring.create("acme", "read", Limits())
    is_closed = []

    async def pieces() -> AsyncGenerator[bytes]:
        try:
            yield b"one"
            keyring.revoke(made.id)
            yield b"two"  # within the time for which a key is remembered
            now[0] += 2
            yield b"three"
        finally:
            is_closed.append(True)

    async def story() -> list[bytes]:
        return [piece async for piece in gate.while_good(request_of(made.caller), pieces())]

    assert asyncio.run(story()) == [b"one", b"two"]
    assert is_closed


def test_who_waits_without_a_key_has_to_show_one_once_there_are_some(
    gate: Gate, reads: Reads, now: list[float]
) -> None:
    async def story() -> None:
        await gate.check_again(request_of(DEFAULT))
        Keyring(reads.database.unit).create("acme", "read", Limits())
        now[0] += 2
        with pytest.raises(Unauthorized):
            await gate.check_again(request_of(DEFAULT))

    asyncio.run(story())


def test_who_waits_goes_on_while_nobody_can_tell_whether_the_key_is_good(gate: Gate, reads: Reads) -> None:
    reads.is_away = True
    asyncio.run(gate.check_again(request_of(DEFAULT)))


class NoKeys(MemoryDatabase):
    def has_keys(self) -> bool:
        return False

    def close(self) -> None: ...


def test_the_server_does_not_start_for_others_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MASKMILL_API_TRUST_NETWORK", raising=False)
    monkeypatch.setattr("api.edge.server.open_database", lambda settings: NoKeys())
    with pytest.raises(SystemExit, match="maskmill keys create"):
        main(["--host", "0.0.0.0"])  # noqa: S104


@pytest.mark.parametrize("case", ["here", "open", "keys", "away"])
def test_the_server_starts_where_that_does_no_harm(monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    class Keys(NoKeys):
        def has_keys(self) -> bool:
            if case == "away":
                raise DatabaseUnavailable("away")
            return True

    started: list[str] = []
    monkeypatch.setenv("MASKMILL_API_TRUST_NETWORK", str(case == "open"))
    monkeypatch.setattr("api.edge.server.open_database", lambda settings: Keys() if case != "open" else NoKeys())
    monkeypatch.setattr("uvicorn.run", lambda *_, **options: started.append(options["host"]))
    host = "127.0.0.1" if case == "here" else "0.0.0.0"  # noqa: S104
    main(["--host", host])
    assert started == [host]
