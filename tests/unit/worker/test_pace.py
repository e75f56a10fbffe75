"""Short calls follow one another; all others go side by side."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from tests.services.processes import wait_for
from worker import fair_executor
from worker.fair_executor import PATIENCE_S, SHORT_S, TRIED_AFTER, FairExecutor, Pace


class Clock:
    """Stands still unless a test says otherwise. spent_s: of processor time, by each call."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.spent_s = self._worked = 0.0
        monkeypatch.setattr(fair_executor, "time", SimpleNamespace(monotonic=lambda: self.now, thread_time=self._work))

    def _work(self) -> float:
        self._worked += self.spent_s
        return self._worked


class Gated:
    """Calls of which each goes on until it is let go."""

    def __init__(self, count: int) -> None:
        self.begun = [threading.Event() for _ in range(count)]
        self._gates = [threading.Event() for _ in range(count)]

    def call(self, number: int) -> None:
        self.begun[number].set()
        assert self._gates[number].wait(60)

    def let_go(self, *numbers: int) -> None:
        for each in numbers or range(len(self._gates)):
            self._gates[each].set()


@pytest.fixture
def paced() -> Iterator[FairExecutor]:
    executor = FairExecutor(4, name="test", processors=2, pace=Pace())
    yield executor
    executor.shutdown()


def test_short_calls_follow_one_another(paced: FairExecutor, monkeypatch: pytest.MonkeyPatch):
    Clock(monkeypatch)
    gated = Gated(3)
    calls = [paced.submit(gated.call, number) for number in range(3)]
    for number, call in enumerate(calls):
        assert gated.begun[number].wait(60)
        assert not any(later.wait(0.02) for later in gated.begun[number + 1 :])
        gated.let_go(number)
        call.result(60)


def test_a_short_call_that_waits_for_something_keeps_no_other_waiting(
    paced: FairExecutor, monkeypatch: pytest.MonkeyPatch
):
    clock, gated = Clock(monkeypatch), Gated(4)
    for number in range(4):
        paced.submit(gated.call, number)
    for number in range(4):
        assert gated.begun[number].wait(60)
        clock.now += PATIENCE_S
    gated.let_go()


def test_long_calls_go_side_by_side(paced: FairExecutor, monkeypatch: pytest.MonkeyPatch):
    clock, gated = Clock(monkeypatch), Gated(4)
    clock.spent_s = 1.0
    paced.submit(int, "1").result(60)
    paced.submit(int, "1").result(60)  # now the first one has been counted
    for number in range(4):
        paced.submit(gated.call, number)
    assert all(begun.wait(60) for begun in gated.begun)
    gated.let_go()


def test_calls_that_have_become_short_follow_one_another_again():
    pace, call = Pace(), Future[None]()
    pace.begin(call)
    pace.spent(3600, took=3600)
    assert not pace.pause_s
    for _ in range(32):
        pace.spent(SHORT_S / 8, took=SHORT_S / 4)
    pace.begin(call)
    assert pace.pause_s
    pace.end(call)
    assert not pace.pause_s


def test_calls_that_only_seem_long_beside_each_other_are_tried_one_after_another():
    pace, call = Pace(), Future[None]()
    for _ in range(TRIED_AFTER - 1):
        pace.spent(2 * SHORT_S, took=4 * SHORT_S)
    pace.begin(call)
    assert not pace.pause_s
    pace.spent(2 * SHORT_S, took=4 * SHORT_S)
    assert pace.pause_s


def test_calls_that_wait_for_a_slow_disk_go_side_by_side():
    pace, call = Pace(), Future[None]()
    pace.begin(call)
    for _ in range(8):
        pace.spent(SHORT_S / 2, took=2 * SHORT_S)
        assert pace.pause_s
    pace.spent(SHORT_S / 2, took=20 * SHORT_S)
    assert not pace.pause_s


def test_what_is_urgent_waits_for_no_short_call(paced: FairExecutor, monkeypatch: pytest.MonkeyPatch):
    Clock(monkeypatch)
    gated = Gated(2)
    for number in range(2):
        paced.submit(gated.call, number)
    assert gated.begun[0].wait(60)
    assert paced.submit_first(int, "7").result(60) == 7
    assert not gated.begun[1].is_set()
    gated.let_go()


def test_a_call_that_was_left_behind_keeps_no_short_one_waiting(paced: FairExecutor, monkeypatch: pytest.MonkeyPatch):
    Clock(monkeypatch)
    gated = Gated(2)
    stuck, _ = [paced.submit(gated.call, number) for number in range(2)]
    assert gated.begun[0].wait(60)
    paced.leave_behind(stuck)
    assert gated.begun[1].wait(60)
    gated.let_go()


def test_hundreds_of_short_calls_of_several_submitters_all_end(paced: FairExecutor):
    def run_slice() -> None:
        for answer in [paced.submit(time.sleep, 0.0001) for _ in range(100)]:
            answer.result(60)

    threads = [threading.Thread(target=run_slice) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


def test_who_has_others_waiting_does_all_of_its_work_itself(paced: FairExecutor, monkeypatch: pytest.MonkeyPatch):
    Clock(monkeypatch)
    gate = threading.Event()

    def work() -> bool:
        assert gate.wait(60)
        return paced.aside(threading.current_thread)() is threading.current_thread()

    first, _ = paced.submit(work), paced.submit(int, "2")
    gate.set()
    assert first.result(60)


def test_short_calls_wait_for_a_block_that_is_as_short(paced: FairExecutor, monkeypatch: pytest.MonkeyPatch):
    Clock(monkeypatch)
    gated = Gated(1)
    with paced.as_short():
        answer = paced.submit(gated.call, 0)
        assert not gated.begun[0].wait(0.02)
    assert gated.begun[0].wait(60)
    gated.let_go()
    answer.result(60)


def test_a_block_waits_for_the_short_call_that_is_at_work_and_for_no_other(
    paced: FairExecutor, monkeypatch: pytest.MonkeyPatch
):
    Clock(monkeypatch)
    gated, ended = Gated(2), []

    def write() -> None:
        with paced.as_short():
            ended.append((calls[0].done(), calls[1].done()))

    calls = [paced.submit(gated.call, number) for number in range(2)]
    assert gated.begun[0].wait(60)
    writer = threading.Thread(target=write)
    writer.start()
    wait_for(lambda: paced._coming_back > 0, what="the block")
    assert not ended
    gated.let_go()
    writer.join(60)
    assert ended == [(True, False)]


@pytest.mark.parametrize("is_urgent", [True, False])
def test_a_block_in_a_call_waits_for_nobody(paced: FairExecutor, is_urgent: bool, monkeypatch: pytest.MonkeyPatch):
    Clock(monkeypatch)
    gated = Gated(1)

    def write() -> str:
        with paced.as_short():
            return "written"

    at_work = paced.submit(gated.call, 0) if is_urgent else None
    assert at_work is None or gated.begun[0].wait(60)
    assert (paced.submit_first if is_urgent else paced.submit)(write).result(60) == "written"
    gated.let_go()


def test_a_block_that_waits_for_something_keeps_no_short_call_waiting(
    paced: FairExecutor, monkeypatch: pytest.MonkeyPatch
):
    clock = Clock(monkeypatch)
    with paced.as_short():
        answer = paced.submit(int, "1")
        clock.now += PATIENCE_S
        assert answer.result(60) == 1


def test_a_block_that_fails_keeps_nobody_waiting(paced: FairExecutor, monkeypatch: pytest.MonkeyPatch):
    Clock(monkeypatch)
    with pytest.raises(OSError, match="full"), paced.as_short():
        answer = paced.submit(int, "1")
        raise OSError("full")
    assert answer.result(60) == 1


def test_without_a_pace_a_block_keeps_nobody_waiting():
    executor = FairExecutor(1, name="test")
    with executor.as_short():
        assert executor.submit(int, "1").result(60) == 1
    executor.shutdown()


def test_short_calls_go_on_while_one_waits_for_something_far_away(paced: FairExecutor, monkeypatch: pytest.MonkeyPatch):
    Clock(monkeypatch)
    gated, there = Gated(1), threading.Event()

    def far_away() -> str:
        with paced.waiting():
            assert there.wait(60)
        return "back"

    waits = paced.submit(far_away)
    between = paced.submit(gated.call, 0)
    after = paced.submit(waits.done)
    assert gated.begun[0].wait(60)
    there.set()
    wait_for(lambda: paced._coming_back > 0, what="its return")
    assert not any(each.done() for each in (waits, after))
    gated.let_go()
    between.result(60)
    assert waits.result(60) == "back"
    assert after.result(60), "who comes back goes before those that have not begun"


def test_to_wait_for_something_far_away_is_not_to_be_slow(paced: FairExecutor, monkeypatch: pytest.MonkeyPatch):
    clock, gated = Clock(monkeypatch), Gated(2)
    clock.spent_s = 0.001

    def far_away() -> None:
        with paced.waiting():
            clock.now += 60

    for _ in range(10):
        paced.submit(far_away).result(60)
    calls = [paced.submit(gated.call, number) for number in range(2)]
    assert gated.begun[0].wait(60)
    assert not gated.begun[1].wait(0.02)
    gated.let_go()
    for each in calls:
        each.result(60)


def test_what_waits_outside_of_short_calls_keeps_nobody_waiting(paced: FairExecutor, monkeypatch: pytest.MonkeyPatch):
    Clock(monkeypatch)
    gated = Gated(2)

    def urgent() -> None:
        with paced.waiting():
            gated.call(1)

    at_work = paced.submit(gated.call, 0)
    with paced.waiting():
        assert gated.begun[0].wait(60)
    answer = paced.submit_first(urgent)
    gated.let_go(1)
    answer.result(60)
    gated.let_go()
    at_work.result(60)


def test_one_moment_in_which_others_had_the_processor_is_no_slow_disk():
    pace = Pace()
    for _ in range(10):
        pace.spent(0.001, took=0.001)
    pace.spent(0.001, took=60)
    pace.begin("call")
    assert pace.pause_s
