"""Threads that take turns between those who submit."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any

import pytest

from jobs.processing.picture_ports import Aside
from tests.services.processes import wait_for
from worker.fair_executor import FairExecutor


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
