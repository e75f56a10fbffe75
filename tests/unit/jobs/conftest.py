"""A whole service in memory: what a client submits is processed by a worker in the same process."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import pytest

from jobs.intake import Intake, IntakeRules
from jobs.job import Job
from jobs.options import JobOptions
from jobs.processing import Processing, ProcessingRules
from jobs.retry import RetryPolicy
from jobs.upkeep import Upkeep, UpkeepRules
from tests.factories import make_card, picture
from tests.fakes import (
    FakeCatalog,
    FakeClock,
    FakeDispatcher,
    FakeSegmenter,
    MemoryObjects,
    StoredSources,
)
from tests.memory_database import MemoryDatabase


@dataclass
class Service:
    executor: ThreadPoolExecutor
    clock: FakeClock = field(default_factory=FakeClock)
    database: MemoryDatabase = field(default_factory=MemoryDatabase)
    objects: MemoryObjects = field(default_factory=MemoryObjects)
    dispatcher: FakeDispatcher = field(default_factory=FakeDispatcher)
    segmenter: FakeSegmenter = field(default_factory=FakeSegmenter)
    catalog: FakeCatalog = field(default_factory=lambda: FakeCatalog([make_card("tiny"), make_card("other")]))
    rules: IntakeRules = field(default_factory=lambda: IntakeRules(default_model="tiny"))
    policy: RetryPolicy = field(default_factory=lambda: RetryPolicy(attempts=2, losses=3, jitter=lambda: 1.0))

    @property
    def intake(self) -> Intake:
        return Intake(self.database.unit, self.objects, self.dispatcher, self.catalog, self.rules, self.clock)

    def worker(self, name: str = "w1", **rules: Any) -> Processing:
        return Processing(
            self.database.unit,
            self.objects,
            StoredSources(self.objects),
            self.segmenter,
            self.executor,
            self.policy,
            ProcessingRules(worker=name, **{"heartbeat_s": 0.02, "flush_s": 0.02, **rules}),
            self.clock,
        )

    @property
    def upkeep(self) -> Upkeep:
        return Upkeep(self.database.unit, self.objects, self.dispatcher, self.policy, UpkeepRules(), self.clock)

    def submit(self, *files: bytes, **options: Any) -> Job:
        with self.intake.open_draft() as draft:
            for index, data in enumerate(files or (picture(),)):
                draft.add_file(f"{index}.jpg", BytesIO(data), media_type=None)
            return self.intake.submit(draft, JobOptions(**options))

    def work(self, worker: Processing | None = None) -> None:
        worker = worker or self.worker()
        for piece in self.dispatcher.take():
            worker.run(piece)


@pytest.fixture
def service() -> Iterator[Service]:
    with ThreadPoolExecutor(4) as executor:
        yield Service(executor)
