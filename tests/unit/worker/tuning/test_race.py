"""Races of engines whose speeds are known, by a clock that they move themselves."""

from __future__ import annotations

import threading

from jobs.errors import ModelFailed
from storage.registry.tunings import Way
from worker.engines import Engine
from worker.engines.engine import Tensor
from worker.tuning.race import LEAST_ROUNDS, ROUNDS, Race, blank_picture

PICTURE = blank_picture(4, 8, batch=1)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        with self._lock:
            self.now += seconds


class TimedEngine:
    """Takes so long for a call; one that breaks does so in its n-th call."""

    device = "toy cpu fp32"
    file = "onnx"
    max_batch = 1

    def __init__(self, clock: Clock, ms: float, *, breaks_at: int | None = None) -> None:
        self._clock = clock
        self._ms = ms
        self._breaks_at = breaks_at
        self.calls = 0

    def run(self, batch: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == self._breaks_at:
            raise ModelFailed("broken")
        self._clock.advance(self._ms / 1e3)
        return batch

    def close(self) -> None:
        return None


def way(name: str, streams: int = 1) -> Way:
    return Way(engine=name, precision="fp32", streams=streams, threads=1)


def race(clock: Clock, seconds: float = 100.0, **engines: TimedEngine) -> dict[str, list[float]]:
    racing: dict[Way, Engine] = {way(name): engine for name, engine in engines.items()}
    took = Race(seconds, clock).run(racing, PICTURE)
    return {each.engine: [round(ms, 6) for ms in found] for each, found in took.items()}


def test_each_gets_the_same_rounds_and_the_time_of_a_picture_is_found():
    clock = Clock()
    assert race(clock, a=TimedEngine(clock, 9), b=TimedEngine(clock, 7)) == {"a": [9.0] * ROUNDS, "b": [7.0] * ROUNDS}


def test_one_that_cannot_win_is_spared():
    clock = Clock()
    took = race(clock, a=TimedEngine(clock, 9), slow=TimedEngine(clock, 90))
    assert (len(took["a"]), len(took["slow"])) == (ROUNDS, LEAST_ROUNDS)


def test_it_ends_when_its_time_is_over_but_not_before_the_least_rounds():
    clock = Clock()
    took = race(clock, 0.0, a=TimedEngine(clock, 9), b=TimedEngine(clock, 7))
    assert [len(each) for each in took.values()] == [LEAST_ROUNDS] * 2


def test_one_that_fails_is_out_and_the_others_go_on():
    clock = Clock()
    took = race(
        clock, a=TimedEngine(clock, 9), b=TimedEngine(clock, 1, breaks_at=4), c=TimedEngine(clock, 1, breaks_at=1)
    )
    assert took == {"a": [9.0] * ROUNDS, "b": [], "c": []}


def test_streams_run_side_by_side():
    inside, most = threading.Barrier(2, timeout=60), []

    class Meeting(TimedEngine):
        def run(self, batch: Tensor) -> Tensor:
            most.append(inside.wait())  # breaks unless two are here at once
            return batch

    clock = Clock()
    Race(0.0, clock).run({way("a", streams=2): Meeting(clock, 1)}, PICTURE)
    assert most


def test_the_picture_is_the_same_each_time():
    assert (blank_picture(4, 8, batch=2) == blank_picture(4, 8, batch=2)).all()
