"""One look at the database for all who wait for jobs in this process. How a request waits is `waiting.py`'s business.

Each waiter is a coroutine without a thread and without a query of its own. Hints of the broker say which jobs to look
at; a look at the versions of all jobs that somebody waits for, once in a while, makes up for hints that were lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import NamedTuple, NoReturn, TypeVar

from anyio import CapacityLimiter, to_thread

from api.live.job_feed import Feed
from api.schemas.job import job_view
from jobs.errors import JobNotFound, Transient
from jobs.job import Job
from jobs.ports import Standing
from jobs.reporting.read import Progress, progress_without_queue
from jobs.watching.hints import Hint

GATHER_S = 2e-4  # per waiter: the more wait, the longer hints are gathered before the next look
LONGEST_GATHER_S = 0.15
LATELY = 1000  # ended jobs that are remembered, for who begins to wait while the hint is on its way
LATE_S = 5.0  # until a job can be seen to have ended, at most, after the time at which it says that it has
MOST_JOBS = 500  # of one look; databases take no statement of any length

logger = logging.getLogger(__name__)

T = TypeVar("T")
A = TypeVar("A")

ReadJobs = Callable[[Collection[str]], Mapping[str, Job]]
ReadVersions = Callable[[Collection[str]], Mapping[str, int]]
ReadProgress = Callable[[Sequence[Job]], Mapping[str, Progress]]
ReadStanding = Callable[[float], Sequence[Standing]]


@dataclass(frozen=True)
class Seen:
    """A job as it was read, and as it is told to all who asked."""

    job: Job
    progress: Progress

    @cached_property
    def body(self) -> bytes:
        """A `JobView` as JSON."""
        return job_view(self.job, self.progress).model_dump_json().encode()


class Place(NamedTuple):
    """Which job, and whose it has to be: the look itself sees the jobs of all tenants."""

    job_id: str
    tenant: str


@dataclass(eq=False, slots=True)
class Waiter:
    """Somebody who waits until something is true of one job, or it is finished. Lives on the event loop."""

    place: Place
    until: Callable[[Job], bool]
    asks: bool = True  # for a look that begins from now on
    is_over: bool = False  # the job is told as it is
    last: Job | None = None  # as it was last looked at, worth telling or not
    answer: Seen | None = None
    error: Exception | None = None
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def may_see(self, job: Job) -> bool:
        return job.tenant == self.place.tenant

    def wants(self, job: Job) -> bool:
        return self.may_see(job) and (self.is_over or job.is_finished or self.until(job))

    def wake(self) -> None:
        self.woken.set()

    def take(self) -> Seen | None:
        """The answer, or None when it was woken for another reason. Raises what the look ended with."""
        self.woken.clear()
        if self.error is not None:
            raise self.error
        answer, self.answer = self.answer, None
        return answer


@dataclass(frozen=True, slots=True)
class Reading:
    """The ways to look at the database, for all tenants. Each may raise Transient.

    standing: of jobs that have not ended, and of those that have or were corrected within so many seconds.
    """

    jobs: ReadJobs
    versions: ReadVersions
    progress: ReadProgress
    standing: ReadStanding


class JobWatch:
    """Everything but the reading runs on the event loop, where `run` has to run."""

    def __init__(self, reading: Reading, *, poll_s: float) -> None:
        self._reading = reading
        self._poll_s = poll_s
        self._feeds: set[Feed[Seen]] = set()
        self._changed: set[str] = set()  # of the hinted: those that feeds are to hear of
        self._waiters: dict[str, set[Waiter]] = {}
        self._told: dict[str, set[asyncio.Event]] = {}  # of those who wait for a job's end and look for themselves
        self._ended: dict[str, None] = {}  # lately, as hints said; the oldest first
        self._count = 0
        self._known: dict[str, int] = {}  # version by job, as it was last seen
        self._hinted: set[str] = set()
        self._due = asyncio.Event()
        self._is_new = False  # a feed, which has to be told what there is
        self._stood_at = 0.0  # when it was last known how all jobs stand; before that nobody listened
        self._thread = CapacityLimiter(1)  # its own: requests that are slow must not keep it from looking

    @contextmanager
    def waiting_for(self, place: Place, until: Callable[[Job], bool]) -> Iterator[Waiter]:
        """A waiter that is told as soon as `until` is true of the job or it is finished, and again after each change
        that leaves it so."""
        waiter, job_id = Waiter(place, until), place.job_id
        self._waiters.setdefault(job_id, set()).add(waiter)
        self._count += 1
        self._ask_for(job_id)
        try:
            yield waiter
        finally:
            self._count -= 1
            others = self._waiters[job_id]
            others.remove(waiter)
            if not others:
                del self._waiters[job_id]
                self._known.pop(job_id, None)

    @contextmanager
    def told_of(self, job_id: str) -> Iterator[asyncio.Event]:
        """For who looks for himself, at what there is when the job has ended: set when it may have, also just now."""
        told = asyncio.Event()
        if job_id in self._ended:
            told.set()
        self._told.setdefault(job_id, set()).add(told)
        try:
            yield told
        finally:
            others = self._told[job_id]
            others.remove(told)
            if not others:
                del self._told[job_id]

    @contextmanager
    def listening(self, tenant: str) -> Iterator[Feed[Seen]]:
        """A feed that is told of all jobs of the tenant that have not ended, and of each later change of any."""
        feed: Feed[Seen] = Feed(tenant)
        if not self._feeds:
            self._stood_at = asyncio.get_running_loop().time()
        self._feeds.add(feed)
        self._count += 1
        self._is_new = True
        self._due.set()
        try:
            yield feed
        finally:
            self._count -= 1
            self._feeds.remove(feed)

    def ask_for(self, feed: Feed[Seen], job_ids: frozenset[str]) -> None:
        """Tell it of these jobs too, as they are."""
        feed.asked |= job_ids
        self._hinted |= job_ids
        self._due.set()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return self._count + sum(map(len, self._told.values()))

    def ask_at_last(self, waiter: Waiter) -> None:
        """Tell it of the job as it is from now on, whatever that is."""
        waiter.asks = waiter.is_over = True
        self._ask_for(waiter.place.job_id)

    def _ask_for(self, job_id: str) -> None:
        self._hinted.add(job_id)
        self._due.set()

    def hint(self, hint: Hint) -> None:
        """These jobs may have changed."""
        for job_id in hint.ended:
            self._ended[job_id] = None
        while len(self._ended) > LATELY:
            del self._ended[next(iter(self._ended))]
        self._tell_of(hint.ended & self._told.keys())
        self._look_at(hint.jobs)

    def _look_at(self, job_ids: frozenset[str]) -> None:
        watched = job_ids if self._feeds else job_ids & self._waiters.keys()
        if watched:
            self._hinted |= watched
            self._changed |= watched
            self._due.set()

    def _tell_of(self, job_ids: Iterable[str]) -> None:
        for job_id in job_ids:
            for told in self._told[job_id]:
                told.set()

    async def run(self, is_over: Callable[[], bool]) -> NoReturn:
        """Look whenever there is reason to. is_over: whether nobody is to wait any longer."""
        loop = asyncio.get_running_loop()
        next_poll = loop.time() + self._poll_s
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(next_poll):
                    await self._due.wait()
            if is_over():
                self._wake_all()
            if loop.time() >= next_poll or self._is_new:
                next_poll = loop.time() + self._poll_s
                await self._poll()
            await self._look()
            await asyncio.sleep(min(LONGEST_GATHER_S, GATHER_S * self._count))

    def _wake_all(self) -> None:
        self._tell_of(self._told)
        for waiters in self._waiters.values():
            for waiter in waiters:
                waiter.wake()
        for feed in self._feeds:
            feed.woken.set()

    async def _poll(self) -> None:
        self._is_new = False
        self._tell_of(self._told)
        watched = list(self._waiters)
        try:
            if watched:
                found = await self._in_thread(self._reading.versions, watched)
                self._look_at(frozenset(job_id for job_id in watched if found.get(job_id) != self._known.get(job_id)))
            if self._feeds:
                began = asyncio.get_running_loop().time()
                standing = await self._in_thread(self._reading.standing, began - self._stood_at + LATE_S)
                self._stood_at = began
                self._look_at(frozenset().union(*(feed.missed(standing) for feed in self._feeds)))
        except Transient as error:
            _log_outage(error)
        except Exception:  # nobody else looks after the jobs; the next poll may fare better
            logger.exception("cannot look after jobs", extra={"action": "watch_failed"})

    async def _look(self) -> None:
        """One look for all who are due. Whoever asks while it runs is served by the next."""
        self._due.clear()
        job_ids, changed = self._portion()
        if not job_ids:
            return
        asking = [waiter for job_id in job_ids for waiter in self._waiters.get(job_id, ()) if waiter.asks]
        asked = [(feed, feed.asked & job_ids) for feed in self._feeds]
        for waiter in asking:
            waiter.asks = False
        try:
            jobs = await self._in_thread(self._reading.jobs, job_ids)
            seen = await self._seen([job for job in jobs.values() if self._is_wanted(job, changed)])
        except Transient as error:
            _log_outage(error)
            _fail(asking, error)
            return
        except Exception as error:  # a fault of one look must not be the last one's
            logger.exception("cannot look at jobs", extra={"action": "watch_failed"})
            _fail(asking, error)
            return
        for job_id in job_ids:
            self._tell(job_id, jobs.get(job_id), seen.get(job_id))
        for job_id in sorted(seen):
            for feed in self._feeds_of(job_id, changed):
                feed.tell(seen[job_id].job, seen[job_id])
        for feed, answered in asked:
            feed.end(answered, gone=job_ids - jobs.keys())

    def _portion(self) -> tuple[frozenset[str], frozenset[str]]:
        """Jobs to look at now, and the changed ones, of which feeds are to hear. The rest stays for the next look."""
        changed = frozenset(self._changed)
        heard = set(self._waiters)
        if self._feeds:
            heard = heard.union(changed, *(feed.asked for feed in self._feeds))
        job_ids = frozenset(islice(self._hinted & heard, MOST_JOBS))
        self._hinted = (self._hinted & heard) - job_ids
        self._changed &= self._hinted
        if self._hinted:
            self._due.set()
        return job_ids, changed

    def _feeds_of(self, job_id: str, changed: Collection[str]) -> list[Feed[Seen]]:
        """Those that are to hear of it when it is another than they know."""
        return [feed for feed in self._feeds if job_id in changed or job_id in feed.asked]

    def _is_wanted(self, job: Job, changed: Collection[str]) -> bool:
        if any(feed.wants(job) for feed in self._feeds_of(job.id, changed)):
            return True
        return any(waiter.wants(job) for waiter in self._served(job.id))

    async def _seen(self, jobs: Sequence[Job]) -> Mapping[str, Seen]:
        progress = {job.id: progress_without_queue(job) for job in jobs if job.is_finished}
        if moving := [job for job in jobs if not job.is_finished]:
            progress |= await self._in_thread(self._reading.progress, moving)
        return {job.id: Seen(job, progress[job.id]) for job in jobs}

    def _tell(self, job_id: str, job: Job | None, seen: Seen | None) -> None:
        for waiter in self._served(job_id):
            if job is None or not waiter.may_see(job):
                waiter.error = JobNotFound(f"there is no job {job_id!r}")
                waiter.wake()
                continue
            waiter.last = job
            if seen is not None and waiter.wants(job):
                waiter.answer = seen
                waiter.wake()
        if job is not None and job_id in self._waiters:
            self._known[job_id] = job.version

    def _served(self, job_id: str) -> list[Waiter]:
        """Those who wait for this job, but for who asked after the look began."""
        return [waiter for waiter in self._waiters.get(job_id, ()) if not waiter.asks]

    async def _in_thread(self, work: Callable[[A], T], argument: A) -> T:
        return await to_thread.run_sync(work, argument, limiter=self._thread, abandon_on_cancel=True)


def _fail(asking: Iterable[Waiter], error: Exception) -> None:
    """The others wait on; the next poll looks again."""
    for waiter in asking:
        waiter.error = error
        waiter.wake()


def _log_outage(error: Transient) -> None:
    logger.info("cannot look after jobs", extra={"action": "watch_failed", "reason": str(error)})
