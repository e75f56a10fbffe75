"""Everything behind the routes, in memory, with a worker that a test lets run when it wants to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from api.services import Adapters, Services, assemble
from api.settings import ApiSettings
from data.sample_library import MASK_ENDING, SampleLibrary
from jobs.errors import DatabaseUnavailable
from jobs.ports import UnitOfWork
from jobs.processing.retry import RetryPolicy
from jobs.watching.workers import FollowedModel, WorkerBeat
from storage.registry.metric_histories import open_histories
from tests.factories import make_card, mask, picture
from tests.fakes import FakeCatalog, MemoryChannel
from tests.memory_database import MemoryDatabase
from tests.memory_service import MemoryService
from worker.fair_executor import FairExecutor

LOCAL = "http://localhost"  # what the service is called without settings


def scenes(folder: Path) -> SampleLibrary:
    """Two sample scenes."""
    folder.mkdir(exist_ok=True)
    for name in ("crossing", "market"):
        (folder / f"{name}.jpg").write_bytes(picture())
        (folder / f"{name}{MASK_ENDING}").write_bytes(mask(np.full((24, 32), 7, np.uint8)))
    return SampleLibrary(folder)


@dataclass
class House(MemoryService):
    """Everything behind the routes."""

    folder: Path
    settings: ApiSettings = field(default_factory=ApiSettings)
    catalog: FakeCatalog = field(default_factory=lambda: FakeCatalog([make_card()]), kw_only=True)
    policy: RetryPolicy = field(default_factory=lambda: RetryPolicy(attempts=1), kw_only=True)

    channel: MemoryChannel = field(default_factory=MemoryChannel, kw_only=True)
    units: int = 0  # transactions of the routes so far
    is_database_away: bool = False
    tuned: dict[str, str] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        self.database = MemoryDatabase(on_commit=self.channel.publish)

    @contextmanager
    def unit(self, tenant: str | None = None) -> Iterator[UnitOfWork]:
        """What the routes open; the worker has the database for itself."""
        self.units += 1
        if self.is_database_away:
            raise DatabaseUnavailable("the database does not answer")
        with self.database.unit(tenant) as unit:
            yield unit

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    def services(self) -> Services:
        self.spool.mkdir(exist_ok=True)
        adapters = Adapters(
            open_unit=self.unit,
            check_database=lambda: None,
            objects=self.objects,
            buckets=self.buckets,
            dispatcher=self.dispatcher,
            catalog=self.catalog,
            samples=scenes(self.folder / "samples"),
            histories=open_histories(f"sqlite:///{self.folder / 'mlflow.db'}"),
            listen=self.channel.listen,
            tuned=self.tuned.get,
        )
        return assemble(self.settings, adapters, spool=self.spool)

    def work(self) -> None:
        """Do all that was sent, as a worker would."""
        with FairExecutor(2, name="picture") as threads:
            self.process(self.processing(threads))

    def beat(self, *followed: FollowedModel, name: str = "w1", variant: str = "openvino int8") -> None:
        beat = WorkerBeat(name=name, device="cpu", models=("tiny",), followed=followed, variants={"tiny": variant})
        with self.database.unit() as unit:
            unit.workers.beat(beat)
            unit.commit()
