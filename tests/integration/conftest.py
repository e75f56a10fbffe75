"""Both kinds of database, migrated."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.settings import StorageSettings
from tests.databases import sqlite_settings, sqlite_template


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> StorageSettings:
    if request.param == "sqlite":
        return sqlite_settings(sqlite_template(tmp_path / "template"), tmp_path / "home")
    return StorageSettings(database_url=request.getfixturevalue("migrated_postgres_url"))
