"""Server-sent events: bytes that are made once for all who are told the same, and a body that lives on the event loop.

A stream holds no thread and asks nothing of the database by itself: `JobWatch` wakes it, and what happened since its
place is read once for all streams that are at that place.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field

from anyio import CapacityLimiter, to_thread
from fastapi import Request

from api.live.job_watch import MOST_JOBS, JobWatch, Seen, Waiter
from api.live.job_watch import Place as Whose
from api.schemas.job import image_view
from jobs.errors import JobNotFound, Transient
from jobs.inputs.kept import is_kept
from jobs.job import Job
from jobs.reporting.events import Place, Telling, Told

HEARTBEAT_S = 15.0
KEPT = 64  # pages for listeners who are a little behind the first
READERS = 2  # threads

HEARTBEAT = b": still here\n\n"
MEDIA_TYPE = "text/event-stream"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


Missed = Mapping[str, int]  # jobs in the order of their ends, with these: milliseconds since 1970; 0: not yet


@dataclass(frozen=True, slots=True)
class Page:
    data: bytes
    place: Place


def event(kind: str, identity: object, content: bytes) -> bytes:
    """content: JSON without line breaks."""
    return b"event: %s\nid: %s\ndata: %s\n\n" % (kind.encode(), str(identity).encode(), content)


class Pages:
    """What happened to a job since a place, read and written down once."""

    def __init__(self, telling: Telling) -> None:
        self._telling = telling
        self._pages: OrderedDict[tuple[str, Place, int], asyncio.Task[Page]] = OrderedDict()
        self._threads = CapacityLimiter(READERS)

    async def after(self, place: Place, seen: Seen) -> Page:
        """Raises JobNotFound, Transient."""
        key = (seen.job.id, place, seen.job.version)
        task = self._pages.get(key)
        if task is None:
            task = self._pages[key] = asyncio.create_task(self._read(place, seen))
            while len(self._pages) > KEPT:
                self._pages.popitem(last=False)
        try:
            return await asyncio.shield(task)
        finally:
            if task.done() and (task.cancelled() or task.exception() is not None):
                self._pages.pop(key, None)  # whoever comes next asks anew

    async def _read(self, place: Place, seen: Seen) -> Page:
        return await to_thread.run_sync(self._made, place, seen, limiter=self._threads)

    def _made(self, place: Place, seen: Seen) -> Page:
        told = self._telling.after(place, seen.job)
        return Page(_written(told, seen), told.place)


def _written(told: Told, seen: Seen) -> bytes:
    events = []
    models = seen.job.models if len(seen.job.models) > 1 else ()
    for place, image in told.images:
        view = image_view(image, has_input=is_kept(image.source), models=models)
        events.append(event("image", place, view.model_dump_json().encode()))
    if told.job is not None:
        events.append(event("job", told.place, seen.body))
    return b"".join(events)


def _of_job(seen: Seen) -> Page:
    return Page(event("job", seen.job.version, seen.body), Place(seen.job.version))


@dataclass
class Listening:
    """One stream of one job."""

    request: Request
    watch: JobWatch
    pages: Pages
    heartbeat_s: float
    place: Place
    jobs_alone: bool = False

    async def of(self, whose: Whose) -> AsyncGenerator[bytes]:
        """Ends after the job's last event, when the job is deleted, when the database goes away, and when the process
        is asked to stop: who listens comes back and goes on where it was."""
        with self.watch.waiting_for(whose, self._is_news) as waiter:
            while not self._is_over():
                try:
                    seen = await self._next(waiter)
                    if seen is None:
                        yield HEARTBEAT
                        continue
                    while not self.place.has_all_of(seen.job):
                        page = _of_job(seen) if self.jobs_alone else await self.pages.after(self.place, seen)
                        self.place = page.place
                        yield page.data
                except (JobNotFound, Transient):
                    return
                if seen.job.is_finished:
                    return

    def _is_news(self, job: Job) -> bool:
        return not self.place.has_all_of(job)

    def _is_over(self) -> bool:
        return bool(self.request.app.state.stopping.is_set())

    async def _next(self, waiter: Waiter) -> Seen | None:
        """None when it is time to show that the stream is alive."""
        try:
            async with asyncio.timeout(self.heartbeat_s):
                while True:
                    await waiter.woken.wait()
                    if (seen := waiter.take()) is not None or self._is_over():
                        return seen
        except TimeoutError:
            return None


@dataclass
class ListeningToAll:
    """One stream of the jobs of a tenant. missed: jobs that may have ended while its client was away; place: the id of
    the event that the client had last then. Until all of those are told, the id of an event says how far they are: a
    client that is cut off in between comes back to where it was, and not to behind what it never got."""

    request: Request
    watch: JobWatch
    heartbeat_s: float
    missed: Missed = field(default_factory=dict)
    place: int = 0

    async def of(self, tenant: str) -> AsyncGenerator[bytes]:
        """Ends when the process is asked to stop."""
        with self.watch.listening(tenant) as feed:
            missed = list(self.missed)
            is_behind = bool(missed)
            while not self.request.app.state.stopping.is_set():
                if missed and not feed.asked:  # so that no more are held than the client takes
                    self.watch.ask_for(feed, frozenset(missed[:MOST_JOBS]))
                    del missed[:MOST_JOBS]
                try:
                    async with asyncio.timeout(self.heartbeat_s):
                        await feed.woken.wait()
                except TimeoutError:
                    yield HEARTBEAT
                    continue
                told = feed.take()
                events = self._late(told, in_part=bool(feed.asked)) if is_behind else _new(told)
                is_behind = is_behind and bool(missed or feed.asked)
                if events:
                    yield events

    def _late(self, told: Sequence[Seen], *, in_part: bool) -> bytes:
        """In the order in which they ended, as far as that was known. in_part: there are others that belong between."""
        events = []
        for seen in sorted(told, key=lambda seen: self.missed.get(seen.job.id, 0)):
            if not in_part:
                self.place = max(self.place, self.missed.get(seen.job.id, 0))
            events.append(event("job", self.place, seen.body))
        return b"".join(events)


def _new(told: Sequence[Seen]) -> bytes:
    return b"".join(event("job", _now_ms(), seen.body) for seen in told)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
