"""Jobs arrive, are cut into slices, and workers take them: interactive ones first, then those of the oldest job.

A worker may vanish in the middle of a slice. Its images wait until their lease has run out and upkeep has seen it, and
are done again.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from jobs.job import Priority
from jobs.submitting.sending import default_priority, slice_size


class Arrival(NamedTuple):
    at_s: float
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """image_s: of one worker, per image. overhead_s: of a slice, to be sent, claimed and written.

    lost_per_hour: how often a worker vanishes; back_s: until its images wait again, and until another takes its place.
    """

    workers: int
    image_s: float
    overhead_s: float = 0.01
    lost_per_hour: float = 0.0
    back_s: float = 45.0
    largest_slice: int = 32


@dataclass(frozen=True, slots=True)
class Result:
    """took_s: of each job, from its arrival to its last image; images: how many it had.

    busy: share of the workers' time until the last job ended. lost: workers that vanished.
    """

    took_s: Sequence[float]
    images: Sequence[int]
    busy: float
    ended_s: float
    lost: int


class _Slice(NamedTuple):
    job: int
    images: int
    is_bulk: bool


@dataclass(slots=True)
class _State:
    waiting: tuple[deque[_Slice], deque[_Slice]] = field(default_factory=lambda: (deque(), deque()))
    events: list[tuple[float, int, str, _Slice | None]] = field(default_factory=list)
    order: int = 0
    free: int = 0
    busy_s: float = 0.0
    lost: int = 0

    def at(self, when_s: float, what: str, piece: _Slice | None) -> None:
        self.order += 1
        heapq.heappush(self.events, (when_s, self.order, what, piece))


def is_bulk(images: int) -> bool:
    """Whether smaller jobs overtake one of so many images."""
    return default_priority(images) is Priority.BULK


def simulate(arrivals: Sequence[Arrival], service: Service, *, seed: int = 0) -> Result:
    """Until the last job has ended."""
    chance = random.Random(seed)
    state = _State(free=service.workers)
    left = [each.images for each in arrivals]
    ended = [0.0] * len(arrivals)
    for number, each in enumerate(arrivals):
        state.at(each.at_s, "arrives", _Slice(number, each.images, is_bulk(each.images)))
    now = 0.0
    while state.events:
        now, _, what, piece = heapq.heappop(state.events)
        if what == "worker":
            state.free += 1
        elif what == "arrives" and piece is not None:
            _queue(state, piece, service)
        elif what == "back" and piece is not None:
            state.waiting[piece.is_bulk].appendleft(piece)
        elif piece is not None:
            state.free += 1
            left[piece.job] -= piece.images
            if not left[piece.job]:
                ended[piece.job] = now
        _begin(state, now, service, chance)
    last = max(ended, default=0.0)
    took = [end - each.at_s for end, each in zip(ended, arrivals, strict=True)]
    busy = state.busy_s / (service.workers * last) if last else 0.0
    return Result(took, [each.images for each in arrivals], busy, last, state.lost)


def _queue(state: _State, job: _Slice, service: Service) -> None:
    size = slice_size(job.images, largest=service.largest_slice)
    queue = state.waiting[job.is_bulk]
    for first in range(0, job.images, size):
        queue.append(_Slice(job.job, min(size, job.images - first), job.is_bulk))


def _begin(state: _State, now: float, service: Service, chance: random.Random) -> None:
    while state.free and (queue := next(filter(None, state.waiting), None)):
        piece = queue.popleft()
        takes_s = service.overhead_s + piece.images * service.image_s
        state.free -= 1
        lives_s = chance.expovariate(service.lost_per_hour / 3600) if service.lost_per_hour else float("inf")
        if lives_s < takes_s:
            state.lost += 1
            state.busy_s += lives_s
            state.at(now + lives_s + service.back_s, "back", piece)
            state.at(now + lives_s + service.back_s, "worker", None)
        else:
            state.busy_s += takes_s
            state.at(now + takes_s, "ends", piece)


def day_of(images: int, *, jobs: int, seconds: float = 3600.0, peak: float = 3.0, seed: int = 0) -> list[Arrival]:
    """Jobs of the busiest hour of a day of so many images in so many jobs: most of them small, a few of them large.

    peak: how much more comes in that hour than in the mean of the day. The sizes are log-normal.
    """
    chance = random.Random(seed)
    rate = jobs / 86_400 * peak
    mean = images / jobs
    spread = 1.5
    arrivals, now = [], 0.0
    while (now := now + chance.expovariate(rate)) < seconds:
        size = mean * chance.lognormvariate(-spread * spread / 2, spread)
        arrivals.append(Arrival(now, max(1, round(size))))
    return arrivals
