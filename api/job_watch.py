"""One look at the database for all who wait for jobs in this process. How a request waits is `waiting.py`'s business.

Each waiter is a coroutine without a thread and without a query of its own. Hints of the broker say which jobs to look
at; a look at the versions of all jobs that somebody waits for, once in a while, makes up for hints that were lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import NoReturn, TypeVar

from anyio import CapacityLimiter, to_thread

from api.schemas.job import job_view
from jobs.errors import JobNotFound, Transient
from jobs.job import Job
from jobs.read import Progress

GATHER_S = 2e-4  # per waiter: the more wait, the longer hints are gathered before the next look
LONGEST_GATHER_S = 0.1

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Seen:
    """A job as it was read, and as it is told to all who asked."""

    job: Job
    progress: Progress

    @cached_property
    def body(self) -> bytes:
        """A `JobView` as JSON."""
        return job_view(self.job, self.progress).model_dump_json().encode()


Look = Callable[[Collection[str]], Mapping[str, Seen]]
Versions = Callable[[Collection[str]], Mapping[str, int]]


@dataclass(eq=False, slots=True)
class Waiter:
    """Somebody who waits for one job. Lives on the event loop."""

    job_id: str
    wants: bool = True  # a look that begins after it asked, whatever became of the job
    seen: Seen | None = None
    error: Exception | None = None
    is_gone: bool = False
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        self.woken.set()

    def take(self) -> Seen | None:
        """The newest, or None when it was woken for another reason. Raises what the look ended with."""
        self.woken.clear()
        if self.error is not None:
            raise self.error
        seen, self.seen = self.seen, None
        return seen


class JobWatch:
    """look: the jobs of these ids that there are. versions: the same, cheaper. Both may raise Transient.

    Everything but these two runs on the event loop, where `run` has to run.
    """

    def __init__(self, look: Look, versions: Versions, *, poll_s: float) -> None:
        self._look = look
        self._versions = versions
        self._poll_s = poll_s
        self._waiters: dict[str, set[Waiter]] = {}
        self._count = 0
        self._known: dict[str, int] = {}  # version by job, as it was last seen
        self._hinted: set[str] = set()
        self._due = asyncio.Event()
        self._thread = CapacityLimiter(1)  # its own: requests that are slow must not keep it from looking

    @contextmanager
    def waiting_for(self, job_id: str) -> Iterator[Waiter]:
        """A waiter that is told of the job as it is now, and of each later change."""
        waiter = Waiter(job_id)
        self._waiters.setdefault(job_id, set()).add(waiter)
        self._count += 1
        self.ask_again(waiter)
        try:
            yield waiter
        finally:
            self._count -= 1
            others = self._waiters[job_id]
            others.remove(waiter)
            if not others:
                del self._waiters[job_id]
                self._known.pop(job_id, None)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return self._count

    def ask_again(self, waiter: Waiter) -> None:
        """Tell it of the job as it is from now on, changed or not."""
        waiter.wants = True
        self.hint(frozenset((waiter.job_id,)))

    def hint(self, job_ids: frozenset[str]) -> None:
        """These jobs may have changed."""
        watched = job_ids & self._waiters.keys()
        if watched:
            self._hinted |= watched
            self._due.set()

    def wake_all(self) -> None:
        """Nobody is to wait any longer."""
        for waiters in self._waiters.values():
            for waiter in waiters:
                waiter.wake()

    async def run(self, is_over: Callable[[], bool]) -> NoReturn:
        """Look whenever there is reason to. is_over: whether nobody is to wait any longer."""
        loop = asyncio.get_running_loop()
        next_poll = loop.time() + self._poll_s
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(next_poll):
                    await self._due.wait()
            if is_over():
                self.wake_all()
            if loop.time() >= next_poll:
                next_poll = loop.time() + self._poll_s
                await self._poll()
            await self._serve()
            await asyncio.sleep(min(LONGEST_GATHER_S, GATHER_S * self._count))

    async def _poll(self) -> None:
        watched = list(self._waiters)
        if not watched:
            return
        try:
            found = await self._in_thread(self._versions, watched)
        except Transient as error:
            logger.info("cannot look after jobs", extra={"action": "watch_failed", "reason": str(error)})
            return
        self.hint(frozenset(job_id for job_id in watched if found.get(job_id) != self._known.get(job_id)))

    async def _serve(self) -> None:
        """One look for all who are due. Whoever asks while it runs is served by the next."""
        self._due.clear()
        job_ids, self._hinted = self._hinted & self._waiters.keys(), set()
        if not job_ids:
            return
        asking = [waiter for job_id in job_ids for waiter in self._waiters[job_id] if waiter.wants]
        for waiter in asking:
            waiter.wants = False
        try:
            found = await self._in_thread(self._look, job_ids)
        except Transient as error:
            for waiter in asking:  # the others wait on; the next poll looks again
                waiter.error = error
                waiter.wake()
            return
        for job_id in job_ids:
            self._tell(job_id, found.get(job_id))

    def _tell(self, job_id: str, seen: Seen | None) -> None:
        for waiter in self._waiters.get(job_id, ()):
            if waiter.wants:  # it asked after this look began
                continue
            if seen is None:
                waiter.error = JobNotFound(f"there is no job {job_id!r}")
            waiter.seen = seen
            waiter.wake()
        if seen is not None and job_id in self._waiters:
            self._known[job_id] = seen.job.version

    async def _in_thread(self, work: Callable[[Collection[str]], T], job_ids: Collection[str]) -> T:
        return await to_thread.run_sync(work, job_ids, limiter=self._thread, abandon_on_cancel=True)
