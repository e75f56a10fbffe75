"""The adapters of a whole service in memory, and a worker on them: what tests of the API and of the use cases share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jobs.inputs.inputs import Inputs
from jobs.inputs.kept import KeptSources
from jobs.processing.image_work import ImageWork
from jobs.processing.leftovers import Leftovers
from jobs.processing.picture_ports import Aside, later
from jobs.processing.processing import PictureThreads, Processing, ProcessingRules
from jobs.processing.retry import RetryPolicy
from jobs.processing.room import PixelRoom
from jobs.tenants.turns import Turns
from tests.factories import make_card
from tests.fakes import (
    FakeCatalog,
    FakeClock,
    FakeDecoder,
    FakeDispatcher,
    FakeSegmenter,
    MemoryBuckets,
    MemoryObjects,
    StoredSamples,
    StoredSources,
)
from tests.memory_database import MemoryDatabase


@dataclass(kw_only=True)
class MemoryService:
    database: MemoryDatabase = field(default_factory=MemoryDatabase)
    objects: MemoryObjects = field(default_factory=MemoryObjects)
    buckets: MemoryBuckets = field(default_factory=MemoryBuckets)
    dispatcher: FakeDispatcher = field(default_factory=FakeDispatcher)
    decoder: FakeDecoder = field(default_factory=FakeDecoder)
    segmenter: FakeSegmenter = field(default_factory=FakeSegmenter)
    aside: Aside = later
    room: PixelRoom = field(default_factory=lambda: PixelRoom(10**6, threads=1))
    catalog: FakeCatalog = field(default_factory=lambda: FakeCatalog([make_card("tiny"), make_card("other")]))
    policy: RetryPolicy = field(default_factory=lambda: RetryPolicy(attempts=2, losses=3, jitter=lambda: 1.0))

    @property
    def inputs(self) -> Inputs:
        return Inputs(KeptSources(self.objects, self.buckets, StoredSamples(self.objects), 10**9))

    @property
    def leftovers(self) -> Leftovers:
        """A new one each time, as in a new process."""
        return Leftovers(self.objects)

    @property
    def clock(self) -> FakeClock:
        return self.database.clock

    def processing(self, threads: PictureThreads, name: str = "w1", **rules: Any) -> Processing:
        work = ImageWork(
            objects=self.objects,
            sources=StoredSources(self.inputs.kept),
            decoder=self.decoder,
            segmenter=self.segmenter,
            room=self.room,
            leftovers=self.leftovers,
            policy=self.policy,
            aside=self.aside,
        )
        rules = {"heartbeat_s": 0.02, "flush_s": 0.02, "outage_pause_s": 0.01, **rules}
        return Processing(
            self.database.unit,
            work,
            threads,
            self.policy,
            ProcessingRules(worker=name, **rules),
            Turns(self.policy),
        )

    def process(self, worker: Processing) -> None:
        """Do all that was sent so far."""
        for piece in self.dispatcher.take():
            worker.run(piece)
