"""Where a key stands with one of its limits."""

from __future__ import annotations

import math
from dataclasses import dataclass

QUEUE_RETRY_S = 10  # images that wait end one after the other: nobody knows when there are few enough


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """period_s: None of what is not counted over a time.

    left_s: until some of what was used is let go; the whole period where nothing was.
    """

    name: str
    limit: int
    used: int
    period_s: int | None = None
    left_s: float = 0.0

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)

    @property
    def is_exceeded(self) -> bool:
        return self.used > self.limit

    @property
    def retry_after_s(self) -> int:
        return QUEUE_RETRY_S if self.period_s is None else max(1, math.ceil(self.left_s))
