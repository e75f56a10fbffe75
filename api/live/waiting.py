"""Holding an answer until a job changes, without a thread and without a query of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from api.live.job_watch import Place, Seen, Waiter
from api.services import Services
from jobs.errors import DatabaseUnavailable, Transient
from jobs.job import Job
from jobs.reporting.read import progress_without_queue

T = TypeVar("T")


async def wait_for_job(
    request: Request, services: Services, place: Place, *, until: Callable[[Job], bool], wait_s: float
) -> Seen:
    """The job as soon as `until` is true of it or it is finished; else as it is after wait_s.

    A client that has gone is not waited for, and a process that was asked to stop does not wait. Raises JobNotFound,
    also of another tenant's job and when it is deleted meanwhile, DatabaseUnavailable when it cannot be read, and
    Unauthorized when the key that was shown is good no more.
    """
    seen = await _seen(request, services, place, until, wait_s)
    await services.gate.check_again(request)
    return seen


async def _seen(
    request: Request, services: Services, place: Place, until: Callable[[Job], bool], wait_s: float
) -> Seen:
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


async def wait_for_find(
    request: Request, services: Services, job: Job, *, find: Callable[[], T | None], wait_s: float
) -> T | None:
    """What `find` gives, which is called in a thread when the job may have ended; None after wait_s.

    As with `wait_for_job`, who has gone or was asked to stop is not waited for, and Unauthorized raised for a key that
    is good no more. A `find` that raises DatabaseUnavailable is called again; whatever else it raises, this raises.
    """
    try:
        return await _found(request, job, services, find, wait_s)
    finally:
        await services.gate.check_again(request)


async def _found(
    request: Request, job: Job, services: Services, find: Callable[[], T | None], wait_s: float
) -> T | None:
    clock = asyncio.get_running_loop().time
    until = clock() + wait_s
    gone = asyncio.Event()
    with services.watch.told_of(job.id) as told:
        if job.is_finished:
            told.set()

        def leave() -> None:
            gone.set()
            told.set()

        async with _noticing(request, leave):
            while not (gone.is_set() or request.app.state.stopping.is_set()):
                try:
                    async with asyncio.timeout_at(until):
                        await told.wait()
                except TimeoutError:
                    return None
                told.clear()
                with suppress(DatabaseUnavailable):
                    if (found := await run_in_threadpool(find)) is not None:
                        return found
        return None


async def _answer(request: Request, waiter: Waiter) -> Seen | None:
    """None when there is no sense in waiting any longer."""
    while True:
        await waiter.woken.wait()
        if (seen := waiter.take()) is not None or waiter.is_over or request.app.state.stopping.is_set():
            return seen


@asynccontextmanager
async def _noticing_departure(request: Request, waiter: Waiter) -> AsyncIterator[None]:
    """A client that hangs up wakes its waiter, which is over then."""

    def leave() -> None:
        waiter.is_over = True
        waiter.wake()

    async with _noticing(request, leave):
        yield


@asynccontextmanager
async def _noticing(request: Request, leave: Callable[[], None]) -> AsyncIterator[None]:
    """leave: called when the client hangs up."""

    async def notice() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        leave()

    task = asyncio.create_task(notice())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
