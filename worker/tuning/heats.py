"""Heats of a race: ways are opened, warmed up and run against one another, as time and memory allow."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from jobs.errors import ImageFailure
from storage.registry.tunings import Timed, Way
from worker.engines.engine import Engine, Tensor
from worker.memory import give_back
from worker.tuning.choice import median_ms
from worker.tuning.race import Race

logger = logging.getLogger(__name__)

LEAST_OPENED = 2  # ways that are tried whatever time that takes


class Heats:
    """took: milliseconds a picture of each way, round by round. left_out: for which there was no time, or that failed.

    open_way: raises ImageFailure. picture: (B, 3, H, W) float32. most: engines that may be open at once.
    """

    def __init__(
        self,
        open_way: Callable[[Way], Engine],
        picture: Tensor,
        *,
        most: int,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.took: dict[Way, Sequence[float]] = {}
        self.left_out: list[Way] = []
        self._open_way = open_way
        self._picture = picture
        self._most = most
        self._clock = clock
        self._engines: dict[Way, Engine] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._close_all_but()
        give_back()

    def run(self, ways: Sequence[Way], *, ends: float) -> None:
        """ends: by the clock. Those that are open already go on; others than these are closed."""
        self._close_all_but(*ways)
        for way in ways:
            late = len(self._engines) >= LEAST_OPENED and self._clock() >= ends
            if way not in self._engines and not late and len(self._engines) < self._most:
                self._warm(way)
        racing = {way: self._engines[way] for way in ways if way in self._engines}
        self.left_out += [way for way in ways if way not in racing]
        if len(racing) > 1:
            self.took.update(Race(max(0.0, ends - self._clock()), self._clock).run(racing, self._picture))

    def take(self, way: Way) -> Engine | None:
        """An engine that stays open: it is the caller's from now on. None when this way is not open."""
        return self._engines.pop(way, None)

    def timed(self) -> tuple[Timed, ...]:
        """Of those that were measured, the fastest first."""
        found = [Timed(way=way, median_ms=median_ms(took), rounds=len(took)) for way, took in self.took.items() if took]
        return tuple(sorted(found, key=lambda each: each.median_ms))

    def _warm(self, way: Way) -> None:
        """Opened and run once by this thread alone: first runs compile, and must not be made by several at once."""
        try:
            engine = self._engines[way] = self._open_way(way)
            engine.run(self._picture)
        except ImageFailure as error:
            logger.warning("%s is left out: %s", way, error, extra={"action": "way_failed"})
            if (failed := self._engines.pop(way, None)) is not None:
                failed.close()

    def _close_all_but(self, *kept: Way) -> None:
        for way in [each for each in self._engines if each not in kept]:
            self._engines.pop(way).close()
