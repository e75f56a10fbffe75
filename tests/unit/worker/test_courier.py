"""Sending several at a time: woken by hints, by the ends of tries, and by the clock; and a clean end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from broker.wakeups import Tell
from jobs.deliveries.delivering import Claimed
from jobs.deliveries.endpoint import Endpoint
from jobs.deliveries.message import ping
from jobs.errors import DatabaseUnavailable
from jobs.watching.hints import Hint
from tests.factories import NOON
from tests.services.processes import wait_for
from worker.web.courier import Courier, Hearing, rest_s


class FakeDelivering:
    """What is `due` can be claimed; `deliver` does what a test says."""

    def __init__(self) -> None:
        self.due: list[str] = []
        self.rooms: list[int] = []
        self.sent: list[str] = []
        self.before: Callable[[str], object] = lambda url: None
        self.fails: list[Exception] = []

    def claim(self, room: int) -> Sequence[Claimed]:
        self.rooms.append(room)
        if self.fails:
            raise self.fails.pop()
        taken, self.due = self.due[:room], self.due[room:]
        return [Claimed(ping("default", Endpoint(url=url), now=NOON), {}) for url in taken]

    def deliver(self, claimed: Claimed) -> None:
        self.before(claimed.delivery.url)
        self.sent.append(claimed.delivery.url)


@pytest.fixture
def delivering() -> FakeDelivering:
    return FakeDelivering()


@pytest.fixture
def couriers(delivering: FakeDelivering, tmp_path: Path) -> Iterator[Callable[..., Courier]]:
    opened: list[Courier] = []

    def start(*, threads: int = 2, poll_s: float = 60) -> Courier:
        opened.append(Courier(delivering, tmp_path / "run" / "w.alive", threads=threads, poll_s=poll_s))  # type: ignore[arg-type]
        opened[-1].start()
        return opened[-1]

    yield start
    for courier in opened:
        courier.close()


def sent(delivering: FakeDelivering, *urls: str) -> None:
    wait_for(lambda: sorted(delivering.sent) == sorted(urls), what=f"{urls}, not {delivering.sent}")


def test_what_is_due_at_the_start_is_sent(delivering: FakeDelivering, couriers: Callable[..., Courier]) -> None:
    delivering.due = ["a", "b", "c"]
    couriers()
    sent(delivering, "a", "b", "c")


def test_a_hint_is_enough(delivering: FakeDelivering, couriers: Callable[..., Courier]) -> None:
    courier = couriers()
    wait_for(lambda: bool(delivering.rooms), what="the first look")
    delivering.due.append("a")
    courier.wake()
    sent(delivering, "a")


def test_without_a_hint_the_clock_is(delivering: FakeDelivering, couriers: Callable[..., Courier]) -> None:
    couriers(poll_s=0.05)
    wait_for(lambda: bool(delivering.rooms), what="the first look")
    delivering.due.append("a")
    sent(delivering, "a")


@pytest.mark.parametrize(("look_s", "pause_s"), [(0.001, 0.1), (0.2, 0.8), (5.0, 2.0)])
def test_a_look_that_waited_for_the_database_is_not_followed_by_a_long_rest(look_s: float, pause_s: float) -> None:
    assert rest_s(look_s) == pytest.approx(pause_s)


def test_one_that_takes_long_takes_one_place(delivering: FakeDelivering, couriers: Callable[..., Courier]) -> None:
    over = threading.Event()
    delivering.before = lambda url: url != "slow" or over.wait(60)
    delivering.due = ["slow", "a", "b", "c"]
    couriers(threads=2)
    sent(delivering, "a", "b", "c")
    assert max(delivering.rooms) == 2
    over.set()
    sent(delivering, "a", "b", "c", "slow")


def test_no_more_are_taken_than_can_be_sent(delivering: FakeDelivering, couriers: Callable[..., Courier]) -> None:
    over = threading.Event()
    delivering.before = lambda url: over.wait(60)
    delivering.due = ["a", "b", "c"]
    couriers(threads=2)
    wait_for(lambda: delivering.due == ["c"], what="two that are under way")
    over.set()
    sent(delivering, "a", "b", "c")


@pytest.mark.parametrize("error", [DatabaseUnavailable("away"), RuntimeError("a fault of ours")])
def test_a_look_that_fails_is_followed_by_another(
    delivering: FakeDelivering, couriers: Callable[..., Courier], error: Exception
) -> None:
    delivering.fails, delivering.due = [error], ["a"]
    couriers(poll_s=0.05)
    sent(delivering, "a")


def test_a_try_that_fails_is_none_of_the_others(delivering: FakeDelivering, couriers: Callable[..., Courier]) -> None:
    def fail(url: str) -> None:
        if url == "bad":
            raise RuntimeError("a fault of ours")

    delivering.before, delivering.due = fail, ["bad", "a", "b"]
    couriers(threads=1)
    sent(delivering, "a", "b")


def test_the_end_waits_for_what_is_under_way(
    delivering: FakeDelivering, couriers: Callable[..., Courier], tmp_path: Path
) -> None:
    begun, over = threading.Event(), threading.Event()

    def wait(url: str) -> None:
        begun.set()
        over.wait(60)

    delivering.before = wait
    delivering.due = ["a"]
    courier = couriers()
    assert begun.wait(60)
    assert (tmp_path / "run" / "w.alive").exists()
    ending = threading.Thread(target=courier.close)
    ending.start()
    over.set()
    ending.join(60)
    assert delivering.sent == ["a"]
    assert not (tmp_path / "run" / "w.alive").exists()


def test_whoever_hears_of_something_owed_is_called_until_the_end() -> None:
    called = threading.Event()
    ended = threading.Event()

    async def listen(tell: Tell) -> NoReturn:
        try:
            while True:
                tell(Hint(frozenset({"job_1"}), owes=True))
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    hearing = Hearing(listen, called.set)
    hearing.start()
    assert called.wait(60)
    hearing.close()
    assert ended.is_set()


def test_who_hears_of_a_change_that_nobody_is_to_be_told_of_calls_nobody() -> None:
    called, heard = threading.Event(), threading.Event()

    async def listen(tell: Tell) -> NoReturn:
        while True:
            tell(Hint(frozenset({"job_1"})))
            heard.set()
            await asyncio.sleep(0.01)

    hearing = Hearing(listen, called.set)
    hearing.start()
    assert heard.wait(60)
    hearing.close()
    assert not called.is_set()


def test_what_never_began_to_hear_can_be_closed() -> None:
    async def listen(tell: Tell) -> NoReturn:
        raise AssertionError

    Hearing(listen, lambda: None).close()
