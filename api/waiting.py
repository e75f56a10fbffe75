"""Holding an answer until a job changes: the database is asked in a thread, with a pause that grows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from jobs.job import Job

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 1.0
_GROWTH = 1.5


async def wait_for_job(
    request: Request, read: Callable[[], Job], *, until: Callable[[Job], bool], wait_s: float
) -> Job:
    """The job as soon as `until` is true of it or it is finished; else as it is after wait_s.

    A client that has gone is not waited for, and a process that was asked to stop does not wait. Raises what `read`
    raises.
    """
    deadline = time.monotonic() + wait_s
    pause_s = _FIRST_PAUSE_S
    while True:
        job = await run_in_threadpool(read)
        left_s = deadline - time.monotonic()
        if until(job) or job.is_finished or left_s <= 0 or await _nobody_waits(request):
            return job
        await asyncio.sleep(min(pause_s, left_s))
        pause_s = min(pause_s * _GROWTH, _LONGEST_PAUSE_S)


async def _nobody_waits(request: Request) -> bool:
    return request.app.state.stopping.is_set() or await request.is_disconnected()
