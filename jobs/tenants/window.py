"""What was used within a period that ends now. It is counted in parts of the period, and a part counts until all of it
is older than the period: so no period, wherever it begins, ever holds more than a limit allows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

PARTS = 24  # in a period; what was used is free again after the period and at most one part more

Counted = Sequence[Sequence[int]]  # (number of the part since 1970, how much was used in it), the oldest first


class Use(NamedTuple):
    """How much was used in the period that ends now, and for how many seconds none of it is let go (0.0: none was)."""

    used: int
    left_s: float


def add(counted: Counted, amount: int, *, at: datetime, period_s: int) -> list[list[int]]:
    """With an amount more, and without what counts no more."""
    now = _part(at, period_s)
    parts = dict(_living(counted, now))
    parts[now] = parts.get(now, 0) + amount
    return [[number, used] for number, used in sorted(parts.items())]


def use(counted: Counted, *, at: datetime, period_s: int) -> Use:
    living = _living(counted, _part(at, period_s))
    if not living:
        return Use(0, 0.0)
    oldest = min(number for number, _ in living)
    ends_at = (oldest + 1 + PARTS) * period_s / PARTS
    return Use(sum(used for _, used in living), ends_at - at.timestamp())


def _part(at: datetime, period_s: int) -> int:
    return int(at.timestamp() * PARTS // period_s)


def _living(counted: Counted, now: int) -> list[tuple[int, int]]:
    """Also what a clock that was put back since counted ahead of now. What lies more than a period ahead was counted by
    a clock that was wrong, and would count until that time comes."""
    return [(number, used) for number, used in counted if abs(number - now) <= PARTS]
