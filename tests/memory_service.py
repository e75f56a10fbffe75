"""The adapters of a whole service in memory, and a worker on them: what tests of the API and of the use cases share."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from jobs.processing import Processing, ProcessingRules
from jobs.retry import RetryPolicy
from tests.factories import make_card
from tests.fakes import FakeCatalog, FakeClock, FakeDispatcher, FakeSegmenter, MemoryObjects, StoredSources
from tests.memory_database import MemoryDatabase


@dataclass(kw_only=True)
class MemoryService:
    database: MemoryDatabase = field(default_factory=MemoryDatabase)
    objects: MemoryObjects = field(default_factory=MemoryObjects)
    dispatcher: FakeDispatcher = field(default_factory=FakeDispatcher)
    segmenter: FakeSegmenter = field(default_factory=FakeSegmenter)
    catalog: FakeCatalog = field(default_factory=lambda: FakeCatalog([make_card("tiny"), make_card("other")]))
    policy: RetryPolicy = field(default_factory=lambda: RetryPolicy(attempts=2, losses=3, jitter=lambda: 1.0))

    @property
    def clock(self) -> FakeClock:
        return self.database.clock

    def processing(self, executor: Executor, name: str = "w1", **rules: Any) -> Processing:
        return Processing(
            self.database.unit,
            self.objects,
            StoredSources(self.objects),
            self.segmenter,
            executor,
            self.policy,
            ProcessingRules(worker=name, **rules),
            self.clock.monotonic,
        )

    def process(self, worker: Processing) -> None:
        """Do all that was sent so far."""
        for piece in self.dispatcher.take():
            worker.run(piece)
