"""Threads that take turns between those who submit."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.processing.picture_ports import Aside
from tests.services.processes import wait_for
from worker import fair_executor
from worker.fair_executor import PATIENCE_S, SHORT_S, FairExecutor, Pace


@pytest.fixture
def executor() -> Iterator[FairExecutor]:
    executor = FairExecutor(1, name="test")
    yield executor
    executor.shutdown()


def test_a_small_job_does_not_wait_for_all_of_a_big_one(executor: FairExecutor):
    gate, done = threading.Event(), list[str]()
    executor.submit(gate.wait, 60)
    leave = threading.Event()

    def run_slice(names: list[str], submitted: threading.Event) -> None:
        futures = [executor.submit(done.append, name) for name in names]
        submitted.set()
        leave.wait(60)
        assert all(future.done() for future in futures)

    for names in (["a1", "a2", "a3", "a4"], ["b1", "b2"]):
        submitted = threading.Event()
        threading.Thread(target=run_slice, args=(names, submitted)).start()
        assert submitted.wait(60)
    gate.set()
    executor.shutdown()
    leave.set()
    assert done == ["a1", "b1", "a2", "b2", "a3", "a4"]


class Large:
    """What a call holds."""


def test_what_a_call_held_when_it_failed_is_gone_with_its_error(executor: FairExecutor):
    held: list[weakref.ref[Large]] = []

    def fail() -> None:
        large = Large()
        held.append(weakref.ref(large))
        try:
            raise OSError("in the middle")
        except OSError as error:
            raise ValueError("said otherwise") from error

    gc.disable()  # which would find it sooner or later
    try:
        assert isinstance(executor.submit(fail).exception(60), ValueError)
        wait_for(lambda: held[0]() is None, what="its end")
    finally:
        gc.enable()


def test_a_thread_that_waits_holds_no_result(executor: FairExecutor):
    gc.disable()
    try:
        answer = executor.submit(Large)
        held = weakref.ref(answer.result(60))
        del answer
        wait_for(lambda: held() is None, what="its end")
    finally:
        gc.enable()


def test_results_and_errors_reach_who_submitted(executor: FairExecutor):
    assert executor.submit(int, "7").result(60) == 7
    with pytest.raises(ValueError, match="seven"):
        executor.submit(int, "seven").result(60)
    assert executor.submit(int, "8").result(60) == 8


def test_a_canceled_call_is_not_made(executor: FairExecutor):
    gate = threading.Event()
    executor.submit(gate.wait, 60)
    made: list[int] = []
    future = executor.submit(made.append, 1)
    assert future.cancel()
    gate.set()
    executor.submit(int, "0").result(60)
    assert made == []


def test_shutting_down_can_cancel_what_did_not_begin():
    executor = FairExecutor(1, name="test")
    gate, began = threading.Event(), threading.Event()

    def run() -> bool:
        began.set()
        return gate.wait(60)

    running, waiting = executor.submit(run), executor.submit(int, "1")
    assert began.wait(60)
    threading.Timer(0.05, gate.set).start()
    executor.shutdown(cancel_futures=True)
    assert running.result(0) is True
    with pytest.raises(CancelledError):
        waiting.result(0)


def test_a_call_that_never_returns_is_replaced_and_keeps_nobody(executor: FairExecutor):
    stuck, began = threading.Event(), threading.Event()

    def hang() -> bool:
        began.set()
        return stuck.wait(60)

    answer = executor.submit(hang)
    assert began.wait(60)
    executor.leave_behind(answer)
    executor.leave_behind(answer)  # once is enough
    assert executor.submit(int, "7").result(60) == 7
    executor.shutdown()
    assert not answer.done()
    stuck.set()
    assert answer.result(60) is True


def test_a_call_that_steps_out_holds_up_no_other(executor: FairExecutor):
    over = threading.Event()

    def work() -> str:
        executor.step_out()
        over.wait(10)
        return threading.current_thread().name

    long = [executor.submit(work) for _ in range(8)]  # more than there are threads
    assert executor.submit(lambda: 7).result(timeout=10) == 7
    over.set()
    assert [each.result(timeout=10) for each in long] == ["test"] * 8
    executor.step_out()  # of a thread that is none of its own: nothing happens
    assert executor.submit(lambda: 8).result(timeout=10) == 8


def test_a_thread_that_was_left_behind_takes_no_further_call(executor: FairExecutor):
    gates = [threading.Event(), threading.Event()]
    first = executor.submit(gates[0].wait, 60)
    executor.leave_behind(first)
    second = executor.submit(gates[1].wait, 60)
    third = executor.submit(int, "3")
    gates[0].set()
    assert first.result(60)
    assert not third.done()
    gates[1].set()
    assert second.result(60)
    assert third.result(60) == 3


def test_a_process_ends_although_a_call_hangs():
    program = """
import time
from worker.fair_executor import FairExecutor
executor = FairExecutor(1, name="test")
answer = executor.submit(time.sleep, 600)
time.sleep(0.2)
executor.leave_behind(answer)
executor.shutdown()
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0


def test_nothing_is_taken_after_the_shutdown(executor: FairExecutor):
    executor.shutdown()
    with pytest.raises(RuntimeError):
        executor.submit(int, "1")


def test_who_is_alone_has_a_second_thread_for_what_can_be_done_meanwhile():
    executor = FairExecutor(2, name="test", processors=2)
    try:
        here, beside = executor.submit(lambda: (threading.current_thread(), _begun(executor.aside))).result(60)
        assert beside is not here
    finally:
        executor.shutdown()
    assert executor.aside(threading.current_thread)() is threading.current_thread()


def _begun(aside: Aside) -> threading.Thread:
    """Where work is begun before anybody asks for it."""
    began = threading.Event()

    def work() -> threading.Thread:
        began.set()
        return threading.current_thread()

    result = aside(work)
    assert began.wait(60)
    return result()


def _asked_for(aside: Aside, work: Callable[[], int]) -> int:
    return aside(work)()


@pytest.mark.parametrize(("threads", "processors"), [(2, 1), (1, 2)])
def test_where_nobody_is_idle_work_waits_until_it_is_asked_for(threads: int, processors: int):
    executor = FairExecutor(threads, name="test", processors=processors)
    try:
        here, beside = executor.submit(
            lambda: (threading.current_thread(), executor.aside(threading.current_thread)())
        ).result(60)
        assert beside is here
    finally:
        executor.shutdown()


def test_what_nobody_has_begun_when_it_is_asked_for_is_done_at_once():
    class Late(FairExecutor):
        def submit_first(self, *_: object, **__: object) -> Future[Any]:
            return waiting

    waiting = Future[Any]()
    executor = Late(2, name="test", processors=2)
    try:
        assert executor.aside(threading.current_thread)() is threading.current_thread()
        assert waiting.cancelled()
    finally:
        executor.shutdown()


def test_an_error_of_what_was_done_aside_reaches_who_asks():
    executor = FairExecutor(2, name="test", processors=2)
    try:
        with pytest.raises(ValueError, match="seven"):
            executor.submit(_asked_for, executor.aside, lambda: int("seven")).result(60)
    finally:
        executor.shutdown()


def test_what_is_urgent_goes_before_all_that_waits(executor: FairExecutor):
    gate, done = threading.Event(), list[str]()
    executor.submit(gate.wait, 60)
    for name in ("a1", "a2"):
        executor.submit(done.append, name)
    executor.submit_first(done.append, "urgent")
    gate.set()
    executor.shutdown()
    assert done == ["urgent", "a1", "a2"]


def test_others_leave_the_processors_to_what_is_urgent_but_for_one():
    executor, gates = FairExecutor(4, name="test", processors=2), [threading.Event() for _ in range(4)]
    began = [threading.Event() for _ in range(4)]

    def run(number: int) -> None:
        began[number].set()
        assert gates[number].wait(60)

    urgent = executor.submit_first(run, 0)
    assert began[0].wait(60)
    calls = [executor.submit(run, number) for number in (1, 2)]
    assert began[1].wait(60)
    assert not began[2].wait(0.05)
    gates[1].set()
    assert began[2].wait(60)
    executor.submit(run, 3)
    gates[0].set()
    urgent.result(60)
    assert began[3].wait(60)
    for gate in gates:
        gate.set()
    executor.shutdown()
    assert all(call.done() for call in calls)


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
    pace.spent(3600)
    assert not pace.pause_s
    for _ in range(32):
        pace.spent(SHORT_S / 8)
    pace.begin(call)
    assert pace.pause_s
    pace.end(call)
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
