"""The batcher, with an engine that follows a script."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
from numpy.typing import NDArray

from jobs.errors import ModelFailed, OutOfMemory, TimedOut
from worker.pipeline.batcher import Batcher, BatchRules
from worker.watchdog import Watchdog

Tensor = NDArray[np.float32]


class ScriptedEngine:
    """Adds one. Remembers its batches; may hold them back, run out of memory, or trip over one tensor's value."""

    def __init__(self, *, fits: int = 1000, poison: float | None = None) -> None:
        self.sizes: list[int] = []
        self.fits = fits
        self.poison = poison
        self.began, self.gate = threading.Event(), threading.Event()
        self.gate.set()

    def run(self, batch: Tensor) -> Tensor:
        self.began.set()
        self.gate.wait(60)
        self.sizes.append(len(batch))
        if len(batch) > self.fits:
            raise OutOfMemory("too much")
        if self.poison is not None and (batch == self.poison).any():
            raise ValueError("poison")
        return batch + 1


@contextmanager
def batching(run: Callable[[Tensor], Tensor], **rules: float) -> Iterator[Batcher]:
    batcher = Batcher(run, BatchRules(**rules), name="scripted", watchdog=Watchdog(0))  # type: ignore[arg-type]
    try:
        yield batcher
    finally:
        batcher.close()


def tensor(value: float, side: int = 4) -> Tensor:
    return np.full((3, side, side), value, np.float32)


def test_a_tensor_gets_its_own_logits_and_how_long_they_took():
    with batching(ScriptedEngine().run) as batcher:
        inferred = batcher.infer(tensor(5))
    assert (inferred.logits == 6).all()
    assert inferred.queued_ms >= 0
    assert inferred.ran_ms >= 0


def test_tensors_of_many_threads_are_joined():
    engine = ScriptedEngine()
    engine.gate.clear()
    with batching(engine.run, max_batch=4, wait_s=60) as batcher:
        answers = [batcher.submit(tensor(value)) for value in range(8)]
        engine.gate.set()
        values = [float(batcher.result(each).logits[0, 0, 0]) for each in answers]
    assert values == [value + 1 for value in range(8)]
    assert engine.sizes == [4, 4]


def test_a_batch_that_stays_incomplete_runs_after_a_moment():
    engine = ScriptedEngine()
    with batching(engine.run, max_batch=8, wait_s=0.02) as batcher:
        began = time.monotonic()
        batcher.infer(tensor(1))
        assert time.monotonic() - began > 0.015
    assert engine.sizes == [1]


def test_tensors_of_different_shape_are_never_joined():
    engine = ScriptedEngine()
    with batching(engine.run, max_batch=4, wait_s=60) as batcher:
        answers = [batcher.submit(tensor(value, side=4 + value % 2)) for value in range(4)]
    assert [batcher.result(each).logits.shape for each in answers] == [(3, 4, 4), (3, 5, 5)] * 2
    assert engine.sizes == [2, 2]


def test_a_batch_that_does_not_fit_is_halved_until_it_does():
    engine = ScriptedEngine(fits=2)
    engine.gate.clear()
    with batching(engine.run, max_batch=8, wait_s=60) as batcher:
        answers = [batcher.submit(tensor(value)) for value in range(8)]
        engine.gate.set()
        assert [float(batcher.result(each).logits[0, 0, 0]) for each in answers] == [value + 1 for value in range(8)]
        assert engine.sizes == [8, 4, 2, 2, 4, 2, 2]
        engine.sizes.clear()
        for each in [batcher.submit(tensor(value)) for value in range(4)]:
            batcher.result(each)
    assert engine.sizes == [2, 2]  # it remembers what fits


def test_one_image_that_never_fits_fails_alone():
    with (
        batching(ScriptedEngine(fits=0).run, max_batch=4) as batcher,
        pytest.raises(OutOfMemory),
    ):
        batcher.infer(tensor(1))


def test_a_tensor_that_breaks_its_batch_takes_no_neighbour_with_it():
    engine = ScriptedEngine(poison=3)
    with batching(engine.run, max_batch=4, wait_s=60) as batcher:
        answers = [batcher.submit(tensor(value)) for value in range(4)]
        for value in range(3):
            assert (batcher.result(answers[value]).logits == value + 1).all()
        with pytest.raises(ValueError, match="poison"):
            batcher.result(answers[3])
        later = batcher.submit(tensor(9))
    assert (batcher.result(later).logits == 10).all()


def test_an_engine_that_loses_results_is_a_failure_of_the_model():
    with batching(lambda batch: batch[:0]) as batcher, pytest.raises(ModelFailed):
        batcher.infer(tensor(1))


def test_callers_wait_while_too_many_tensors_do():
    engine = ScriptedEngine()
    engine.gate.clear()
    with batching(engine.run, max_batch=1, capacity=2) as batcher:
        answers = [batcher.submit(tensor(value)) for value in range(3)]  # one runs, two wait
        with ThreadPoolExecutor(1) as caller:
            late = caller.submit(batcher.submit, tensor(9))
            time.sleep(0.05)
            assert not late.done()
            engine.gate.set()
            assert (batcher.result(late.result()).logits == 10).all()
        assert all(batcher.result(each) for each in answers)


def test_a_caller_that_waits_too_long_for_the_device_is_told():
    engine = ScriptedEngine()
    engine.gate.clear()
    with batching(engine.run, max_batch=2, limit_s=0.05) as batcher:
        with pytest.raises(TimedOut):
            batcher.infer(tensor(1))
        engine.gate.set()


def test_a_caller_that_runs_alone_waits_no_longer_for_a_stream():
    engine = ScriptedEngine()
    engine.gate.clear()
    with batching(engine.run, max_batch=1, limit_s=0.05) as batcher, ThreadPoolExecutor(1) as other:
        first = other.submit(batcher.infer, tensor(1))
        assert engine.began.wait(60)
        with pytest.raises(TimedOut):
            batcher.infer(tensor(2))
        engine.gate.set()
        assert (first.result().logits == 2).all()


def test_nothing_is_handed_to_other_threads_where_nothing_is_joined():
    callers = set()

    def run(batch: Tensor) -> Tensor:
        callers.add(threading.current_thread())
        return batch

    with batching(run, max_batch=1, streams=2) as batcher:
        batcher.infer(tensor(1))
    assert callers == {threading.current_thread()}
    with pytest.raises(ModelFailed):
        batcher.infer(tensor(1))


def test_callers_that_run_alone_and_tiles_share_the_streams():
    at_once, most, lock = 0, 0, threading.Lock()

    def run(batch: Tensor) -> Tensor:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.005)
        with lock:
            at_once -= 1
        return batch

    with batching(run, max_batch=1, streams=2) as batcher, ThreadPoolExecutor(4) as callers:
        tiles = [batcher.submit(tensor(value)) for value in range(8)]
        alone = list(callers.map(batcher.infer, [tensor(value) for value in range(8)]))
        assert [float(each.logits[0, 0, 0]) for each in alone] == list(range(8))
        assert [float(batcher.result(each).logits[0, 0, 0]) for each in tiles] == list(range(8))
    assert most == 2


def test_a_caller_that_waits_too_long_for_a_place_is_told():
    engine = ScriptedEngine()
    engine.gate.clear()
    with batching(engine.run, max_batch=1, capacity=1, limit_s=0.05) as batcher:
        batcher.submit(tensor(1))
        with pytest.raises(TimedOut):
            for value in range(3):
                batcher.submit(tensor(value))
        engine.gate.set()


def test_what_waits_is_still_answered_when_it_closes():
    engine = ScriptedEngine()
    with batching(engine.run, max_batch=8, wait_s=30) as batcher:
        answer = batcher.submit(tensor(1))
    assert (answer.result(0).logits == 2).all()
    with pytest.raises(ModelFailed):
        batcher.submit(tensor(1))


def test_streams_run_side_by_side():
    both = threading.Barrier(2, timeout=60)

    def run(batch: Tensor) -> Tensor:
        both.wait()
        return batch

    with batching(run, max_batch=1, streams=2) as batcher:
        answers = [batcher.submit(tensor(value)) for value in range(2)]
        assert all(batcher.result(each) for each in answers)
