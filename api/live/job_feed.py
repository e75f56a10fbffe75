"""Somebody who listens to all jobs of a tenant: what `JobWatch` tells it, and what it was told already."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Generic, TypeVar

from jobs.job import Job
from jobs.ports import Standing

Told = TypeVar("Told")

REMEMBERED = 5000  # ended jobs, of which a late hint may come again


class Feed(Generic[Told]):
    """Lives on the event loop. Each change of a job is told once, and of several at once the last."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self.asked: set[str] = set()  # jobs that it wants to be told of once, changed or not
        self.woken = asyncio.Event()
        self._waiting: dict[str, Told] = {}
        self._open: dict[str, int] = {}  # versions told of jobs that have not ended
        self._ended: OrderedDict[str, int] = OrderedDict()
        self._before: dict[str, int] | None = None  # jobs that had just ended when all were first looked at

    def wants(self, job: Job) -> bool:
        told = max(self._open.get(job.id, -1), self._ended.get(job.id, -1))
        return job.tenant == self.tenant and job.version > told

    def tell(self, job: Job, told: Told) -> None:
        if not self.wants(job):
            return
        self._waiting[job.id] = told
        if job.is_finished:
            self._open.pop(job.id, None)
            self._ended[job.id] = job.version
            while len(self._ended) > REMEMBERED:
                self._ended.popitem(last=False)
        else:
            self._open[job.id] = job.version
        self.woken.set()

    def end(self, answered: AbstractSet[str], *, gone: AbstractSet[str]) -> None:
        """answered: of those that it asked for, those that were looked at. gone: there are no such jobs any more."""
        if answered:
            self.asked -= answered
            self.woken.set()
        for job_id in gone:
            self._open.pop(job_id, None)

    def take(self) -> list[Told]:
        """In the order in which they changed first."""
        self.woken.clear()
        told, self._waiting = list(self._waiting.values()), {}
        return told

    def missed(self, standing: Iterable[Standing]) -> frozenset[str]:
        """standing: all jobs that have not ended, and those that have or were corrected since the last time. Those that
        it was not told of as they are, and those that are not among them any more, and those that it asked for."""
        mine = [each for each in standing if each.tenant == self.tenant]
        ended = {each.job_id: each.version for each in mine if each.finished_at is not None}
        going = {each.job_id: each.version for each in mine if each.finished_at is None}
        if self._before is None:
            self._before = ended
        told = {**self._before, **self._ended}
        behind = {job_id for job_id, version in ended.items() if version > told.get(job_id, -1)}
        behind |= {job_id for job_id, version in going.items() if version > self._open.get(job_id, -1)}
        return frozenset(behind | (self._open.keys() - going.keys()) | self.asked)
