"""Holding an answer until a job changes, without a thread and without a query of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from fastapi import Request

from api.live.job_watch import Place, Seen, Waiter
from api.services import Services
from jobs.errors import Transient
from jobs.job import Job
from jobs.reporting.read import progress_without_queue


async def wait_for_job(
    request: Request, services: Services, place: Place, *, until: Callable[[Job], bool], wait_s: float
) -> Seen:
    """The job as soon as `until` is true of it or it is finished; else as it is after wait_s.

    A client that has gone is not waited for, and a process that was asked to stop does not wait. Raises JobNotFound,
    also of another tenant's job and when it is deleted meanwhile, and DatabaseUnavailable when it cannot be read.
    """
    with services.watch.waiting_for(place, until) as waiter:
        async with _noticing_departure(request, waiter):
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    if (seen := await _answer(request, waiter)) is not None:
                        return seen
            services.watch.ask_at_last(waiter)
            try:
                while (seen := await _answer(request, waiter)) is None:
                    pass
            except Transient:
                if waiter.last is None:
                    raise
                return Seen(waiter.last, progress_without_queue(waiter.last))
            return seen


async def _answer(request: Request, waiter: Waiter) -> Seen | None:
    """None when there is no sense in waiting any longer."""
    while True:
        await waiter.woken.wait()
        if (seen := waiter.take()) is not None or waiter.is_over or request.app.state.stopping.is_set():
            return seen


@asynccontextmanager
async def _noticing_departure(request: Request, waiter: Waiter) -> AsyncIterator[None]:
    """A client that hangs up wakes its waiter, which is over then."""

    async def notice() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        waiter.is_over = True
        waiter.wake()

    task = asyncio.create_task(notice())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
