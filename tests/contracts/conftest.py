"""`open_unit`: every adapter of `jobs.ports.OpenUnit` in turn, empty. `store`: of `jobs.ports.ObjectStore`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.ports import ObjectStore
from jobs.watching.hints import Hint
from storage.objects import open_objects
from storage.settings import StorageSettings
from tests.databases import opened, sqlite_settings, sqlite_template
from tests.fakes import FakeClock, MemoryObjects
from tests.job_steps import Units
from tests.memory_database import MemoryDatabase
from tests.services.s3 import S3Bucket, S3Server, s3_settings


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sqlite_template(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture
def told() -> list[Hint]:
    """What each commit of `open_unit` told."""
    return []


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def open_unit(request: pytest.FixtureRequest, tmp_path: Path, told: list[Hint]) -> Iterator[Units]:
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


@pytest.fixture(params=["memory", "local", "rclone", "radosgw"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "memory":
        return MemoryObjects()
    if request.param == "local":
        return open_objects(StorageSettings(home=tmp_path))
    server: S3Server = request.getfixturevalue(f"{request.param}_server")
    return open_objects(s3_settings(server.create_bucket()))


@pytest.fixture(params=["rclone", "radosgw"])
def bucket(request: pytest.FixtureRequest) -> S3Bucket:
    server: S3Server = request.getfixturevalue(f"{request.param}_server")
    return server.create_bucket()
