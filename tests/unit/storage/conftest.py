"""SQLite databases and settings that no environment can change."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.unit_of_work import Database
from tests.databases import opened, sqlite_settings, sqlite_template


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file, to be copied."""
    return sqlite_template(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture
def database(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Database]:
    with opened(sqlite_settings(migrated_sqlite, tmp_path)) as database:
        yield database


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith("MASKMILL_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)  # where no .env lies
