"""Holding an answer until a job changes, without a thread and without a query of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from fastapi import Request

from api.job_watch import JobWatch, Seen, Waiter
from jobs.errors import Transient
from jobs.job import Job


async def wait_for_job(
    request: Request, watch: JobWatch, job_id: str, *, until: Callable[[Job], bool], wait_s: float
) -> Seen:
    """The job as soon as `until` is true of it or it is finished; else as it is after wait_s.

    A client that has gone is not waited for, and a process that was asked to stop does not wait. Raises JobNotFound,
    also when the job is deleted meanwhile, and DatabaseUnavailable when it cannot be read at all.
    """
    with watch.waiting_for(job_id) as waiter:
        async with _noticing_departure(request, waiter):
            seen = await _next(waiter)
            try:
                async with asyncio.timeout(wait_s):
                    while not (until(seen.job) or seen.job.is_finished or _nobody_waits(request, waiter)):
                        await waiter.woken.wait()
                        seen = waiter.take() or seen
            except TimeoutError:
                seen = await _once_more(watch, waiter, seen)
    return seen


async def _next(waiter: Waiter) -> Seen:
    while True:
        await waiter.woken.wait()
        if (seen := waiter.take()) is not None:
            return seen


async def _once_more(watch: JobWatch, waiter: Waiter, seen: Seen) -> Seen:
    """The job itself did not change, but its place in the queue may have."""
    watch.ask_again(waiter)
    try:
        return await _next(waiter)
    except Transient:
        return Seen(seen.job, replace(seen.progress, queue_position=None))


@asynccontextmanager
async def _noticing_departure(request: Request, waiter: Waiter) -> AsyncIterator[None]:
    async def notice() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        waiter.is_gone = True
        waiter.wake()

    task = asyncio.create_task(notice())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def _nobody_waits(request: Request, waiter: Waiter) -> bool:
    return waiter.is_gone or request.app.state.stopping.is_set()
