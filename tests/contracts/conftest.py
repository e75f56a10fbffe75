"""`open_unit`: every adapter of `jobs.ports.OpenUnit` in turn, empty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.settings import StorageSettings
from tests.databases import opened, sqlite_settings, sqlite_template
from tests.fakes import FakeClock
from tests.job_steps import Units
from tests.memory_database import MemoryDatabase


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sqlite_template(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture
def told() -> list[frozenset[str]]:
    """The jobs that each commit of `open_unit` changed."""
    return []


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def open_unit(request: pytest.FixtureRequest, tmp_path: Path, told: list[frozenset[str]]) -> Iterator[Units]:
    clock = FakeClock()
    if request.param == "memory":
        yield Units(MemoryDatabase(clock, on_commit=told.append).unit, clock)
        return
    if request.param == "sqlite":
        settings = sqlite_settings(request.getfixturevalue("migrated_sqlite"), tmp_path)
    else:
        settings = StorageSettings(database_url=request.getfixturevalue("migrated_postgres_url"))
    with opened(settings, on_commit=told.append, clock=clock) as database:
        yield Units(database.unit, clock)
