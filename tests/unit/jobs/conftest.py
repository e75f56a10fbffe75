"""A whole service in memory: what a client submits is processed by a worker in the same process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import pytest

from jobs.change import Changing
from jobs.job import Job
from jobs.options import JobOptions
from jobs.processing.lease import Lease
from jobs.processing.processing import Processing
from jobs.reporting.read import Reading
from jobs.submitting.submit import SubmitRules, Submitting
from jobs.upkeep import Upkeep, UpkeepRules
from tests.factories import picture
from tests.memory_service import MemoryService
from worker.fair_executor import FairExecutor


@dataclass
class Service(MemoryService):
    threads: FairExecutor
    rules: SubmitRules = field(default_factory=lambda: SubmitRules(default_model="tiny"))

    @property
    def submitting(self) -> Submitting:
        return Submitting(self.database.unit, self.objects, self.dispatcher, self.catalog, self.rules)

    @property
    def reading(self) -> Reading:
        return Reading(self.database.unit, self.objects)

    @property
    def changing(self) -> Changing:
        return Changing(self.database.unit, self.objects, self.dispatcher)

    def worker(self, name: str = "w1", **rules: Any) -> Processing:
        return self.processing(self.threads, name, **rules)

    @property
    def upkeep(self) -> Upkeep:
        return Upkeep(self.database.unit, self.objects, self.leftovers, self.dispatcher, self.policy, UpkeepRules())

    def submit(self, *files: bytes, **options: Any) -> Job:
        with self.submitting.open_draft() as draft:
            for index, data in enumerate(files or (picture(),)):
                draft.add_file(f"{index}.jpg", BytesIO(data), media_type=None)
            return self.submitting.submit(draft, JobOptions(**options))

    def work(self, worker: Processing | None = None) -> None:
        self.process(worker or self.worker())


@pytest.fixture
def service() -> Iterator[Service]:
    with FairExecutor(4, name="test") as threads:
        yield Service(threads)


@pytest.fixture
def heartbeat(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Returns when a lease was renewed that asked the database after the call."""
    told, renew = threading.Semaphore(0), Lease.renew

    def telling(lease: Lease) -> None:
        renew(lease)
        told.release()

    monkeypatch.setattr(Lease, "renew", telling)

    def wait() -> None:
        while told.acquire(blocking=False):
            pass
        for _ in range(2):  # the first may have asked before
            assert told.acquire(timeout=60)

    return wait
