"""Databases for tests: the memory fake and both real ones, each with our tables and nothing in them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobs.ports import OnCommit
from storage.migrate import upgrade
from storage.settings import StorageSettings
from storage.transaction import Clock
from storage.unit_of_work import Database, open_database


@contextmanager
def opened(
    settings: StorageSettings, *, on_commit: OnCommit = lambda hint: None, clock: Clock | None = None
) -> Iterator[Database]:
    database = open_database(settings, on_commit=on_commit, clock=clock)
    try:
        yield database
    finally:
        database.close()


def sqlite_template(folder: Path) -> Path:
    """A migrated file, to be copied per test."""
    settings = StorageSettings(home=folder)
    upgrade(settings)
    return settings.home / "maskmill.db"


def sqlite_settings(template: Path, home: Path) -> StorageSettings:
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(template, home / "maskmill.db")
    return StorageSettings(home=home)
