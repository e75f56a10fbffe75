"""What waits in one queue for one tenant, as the database tells it."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from jobs.job import Priority


class Waiting(NamedTuple):
    """Of the unfinished jobs of one queue and tenant: their images; when the oldest came that has some queued and was
    never tried again; how many images workers end in a second, each job since it started."""

    priority: Priority
    tenant: str
    queued: int
    running: int
    oldest_at: datetime | None
    images_per_second: float
