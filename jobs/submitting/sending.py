"""Sending a job to the workers after its commit: how urgently, in how large messages. A queue that is away loses
nothing: upkeep sends again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress

from jobs.errors import DatabaseUnavailable, QueueUnavailable
from jobs.job import Job, Priority, Slice
from jobs.ports import Dispatcher, OpenUnit

logger = logging.getLogger(__name__)

INTERACTIVE_IMAGES = 16  # a job of no more than these is `interactive` unless the client says otherwise


def send(job: Job, dispatcher: Dispatcher, open_unit: OpenUnit, *, images: Iterable[int] | None = None) -> None:
    """images: those that wait; None: all."""
    try:
        dispatcher.dispatch(job.slices() if images is None else job.slices_with(images))
    except QueueUnavailable as error:
        logger.warning(
            "job accepted while the queue is away; it is sent later",
            extra={"action": "dispatch_postponed", "job_id": job.id, "reason": str(error)},
        )
        _unsend(job, open_unit)


def _unsend(job: Job, open_unit: OpenUnit) -> None:
    """Upkeep sends it soon. If not even this can be written, only when it sees that later jobs overtook it."""
    whole = Slice(job_id=job.id, first=0, last=job.counts.total - 1, priority=job.priority)
    with suppress(DatabaseUnavailable), open_unit(job.tenant) as unit:
        unit.images.unsend([whole])
        unit.commit()


def slice_size(images: int, *, largest: int) -> int:
    """Images per message: one for a small job, so that it spreads; up to `largest` for a large one."""
    return max(1, min(largest, images // 8))


def default_priority(images: int) -> Priority:
    """Small jobs overtake big ones."""
    return Priority.INTERACTIVE if images <= INTERACTIVE_IMAGES else Priority.BULK
