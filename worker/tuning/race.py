"""Times several ways of running one model in turns, so that whatever else the machine does hits all alike."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from jobs.errors import ImageFailure
from storage.registry.tunings import Way
from worker.engines.engine import Engine, Tensor

logger = logging.getLogger(__name__)

CALLS = 2  # of each stream in a round
ROUNDS = 12
LEAST_ROUNDS = 3
HOPELESS = 1.6  # who takes so many times as long as the best in each of the first rounds is not run again


@dataclass(slots=True)
class Race:
    """seconds: given to all rounds together; the first `LEAST_ROUNDS` are run whatever they take. clock: seconds."""

    seconds: float
    clock: Callable[[], float] = time.perf_counter
    rounds: int = ROUNDS
    _took: dict[Way, list[float]] = field(default_factory=dict)

    def run(self, engines: Mapping[Way, Engine], picture: Tensor) -> Mapping[Way, list[float]]:
        """Milliseconds a picture in each round; none for a way that failed. picture: (B, 3, H, W) float32."""
        ends = self.clock() + self.seconds
        self._took = {way: [] for way in engines}
        for number in range(self.rounds):
            if number >= LEAST_ROUNDS and self.clock() >= ends:
                break
            for way, engine in engines.items():
                if not self._out(way, number):
                    self._run(way, engine, picture)
        return self._took

    def _run(self, way: Way, engine: Engine, picture: Tensor) -> None:
        try:
            self._took[way].append(self._once(engine, picture, way.streams))
        except ImageFailure as error:
            self._took[way].clear()
            logger.warning("%s is out of the race: %s", way, error, extra={"action": "way_failed"})

    def _once(self, engine: Engine, picture: Tensor, streams: int) -> float:
        calls = [picture] * (CALLS * streams)
        if streams == 1:
            began = self.clock()
            for each in calls:
                engine.run(each)
            spent = self.clock() - began
        else:
            with ThreadPoolExecutor(streams) as threads:
                began = self.clock()
                list(threads.map(engine.run, calls))
                spent = self.clock() - began
        return 1e3 * spent / (len(calls) * len(picture))

    def _out(self, way: Way, number: int) -> bool:
        """Whether it failed, or is too slow to win."""
        mine = self._took[way]
        if number < LEAST_ROUNDS:
            return number > 0 and not mine
        return not mine or min(mine) > HOPELESS * min(min(each) for each in self._took.values() if each)


def blank_picture(height: int, width: int, *, batch: int) -> Tensor:
    """What a street looks like to an engine: values as preprocessing gives them, the same ones each time."""
    return np.random.default_rng(0).normal(size=(batch, 3, height, width)).astype(np.float32)
