"""Whose turn it is: a message gives a worker a turn, and the database says for which images.

So one tenant's hundred thousand images do not hold another's ten. The queues stay as they are: each message names a
slice, which is taken as long as one tenant alone has work; there are as many messages as slices.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from jobs.job import Priority, Slice
from jobs.ports import Claim, UnitOfWork
from jobs.processing.retry import RetryPolicy

TRIES = 5  # others may take the same images first
LOOK_EVERY_S = 0.5  # whether several tenants wait
TRIED_SHARE = 0.25  # of turns that go to images that were tried before: whoever keeps submitting always has fresh ones
MOST = 64  # images of a slice that are looked at; slices are no larger

TakeSlice = Callable[[Slice], Claim | None]


@dataclass
class Turns:
    """Of one worker process. Of tenants with equally many images running, chance takes one; it also decides whether
    images that were never tried come first, or those that were."""

    policy: RetryPolicy
    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random
    _looked: dict[Priority, tuple[float, bool]] = field(default_factory=dict)

    def take(self, unit: UnitOfWork, named: Slice, take: TakeSlice) -> Claim | None:
        """The images that come next. named: what the message names, which another turn may have been for.

        take: claims a slice in this unit. None when there is nothing to do.
        """
        if not self._several_wait(unit, named.priority) and (claim := take(named)) is not None:
            return claim
        for _ in range(TRIES):
            piece = self._next(unit, named.priority)
            if piece is None:
                return None
            if (claim := take(piece)) is not None:
                return claim
        return take(named)

    def _several_wait(self, unit: UnitOfWork, priority: Priority) -> bool:
        looked_at, several = self._looked.get(priority, (float("-inf"), False))
        if self.clock() - looked_at >= LOOK_EVERY_S:
            several = len(unit.turns.shares(priority)) > 1
            self._looked[priority] = self.clock(), several
        return several

    def _next(self, unit: UnitOfWork, priority: Priority) -> Slice | None:
        tried_first = self.chance() < TRIED_SHARE
        for share in sorted(unit.turns.shares(priority), key=lambda each: (each.running, self.chance())):
            found = unit.turns.next_images(share.tenant, priority, limit=MOST, tried_first=tried_first)
            if found is not None:
                first, last = next(self.policy.runs(found.losses, largest=found.slice_size))
                return Slice(job_id=found.job_id, first=first, last=last, priority=priority)
        return None
