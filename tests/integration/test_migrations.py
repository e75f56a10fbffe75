"""The migrations: up, down and up again, by several processes at once, and to exactly the tables of the code."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, MetaData, inspect, text

from jobs.errors import DatabaseUnavailable
from storage.migrate import current, downgrade, main, newest, upgrade
from storage.settings import StorageSettings
from storage.tables import Base
from storage.unit_of_work import make_engine, open_database
from tests.factories import make_images, make_job
from tests.services.processes import free_port

TABLES = set(Base.metadata.tables)


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> StorageSettings:
    if request.param == "sqlite":
        return StorageSettings(home=tmp_path / "home")
    return StorageSettings(home=tmp_path, database_url=request.getfixturevalue("postgres_url"))


@contextmanager
def connected(settings: StorageSettings) -> Iterator[Engine]:
    engine = make_engine(settings)
    try:
        yield engine
    finally:
        engine.dispose()


def tables(settings: StorageSettings) -> set[str]:
    with connected(settings) as engine:
        return set(inspect(engine).get_table_names()) - {"alembic_version"}


def index_definitions(engine: Engine) -> set[str]:
    """With their conditions, which no comparison of metadata looks at."""
    statement = "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    if engine.dialect.name == "postgresql":
        statement = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
    with engine.connect() as connection:
        return {re.sub(r"\s+", " ", row[0]) for row in connection.execute(text(statement))}


def test_up_down_and_up_again(settings: StorageSettings):
    assert current(settings) is None
    upgrade(settings)
    assert (current(settings), tables(settings)) == (newest(), TABLES)
    downgrade(settings, "base")
    assert (current(settings), tables(settings)) == (None, set())
    upgrade(settings)
    assert (current(settings), tables(settings)) == (newest(), TABLES)


def test_the_migrated_tables_are_those_of_the_code(settings: StorageSettings):
    upgrade(settings)
    with connected(settings) as engine, engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_a_difference_between_tables_and_code_would_be_noticed(settings: StorageSettings):
    upgrade(settings)
    with connected(settings) as engine, engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, MetaData()) != []


def test_the_migrated_indexes_are_those_of_the_code(settings: StorageSettings):
    upgrade(settings)
    with connected(settings) as engine:
        migrated = index_definitions(engine)
        Base.metadata.drop_all(engine)
        Base.metadata.create_all(engine)
        assert index_definitions(engine) == migrated
        assert any("WHERE" in each for each in migrated)


def test_the_migrated_constraints_are_those_of_the_code(settings: StorageSettings):
    def constraints(engine: Engine) -> list[object]:
        found = inspect(engine)
        return [(table, found.get_pk_constraint(table), found.get_check_constraints(table)) for table in sorted(TABLES)]

    upgrade(settings)
    with connected(settings) as engine:
        migrated = constraints(engine)
        Base.metadata.drop_all(engine)
        Base.metadata.create_all(engine)
        assert constraints(engine) == migrated


def test_several_that_start_together_migrate_once(settings: StorageSettings):
    with ThreadPoolExecutor(4) as starting:
        list(starting.map(upgrade, [settings] * 4))
    assert (current(settings), tables(settings)) == (newest(), TABLES)


def test_a_migration_that_fails_leaves_nothing_behind(settings: StorageSettings):
    with connected(settings) as engine, engine.begin() as connection:
        connection.execute(text("CREATE TABLE workers (name INTEGER)"))  # in the way of the last table
    with pytest.raises(Exception, match="workers"):
        upgrade(settings)
    assert (current(settings), tables(settings)) == (None, {"workers"})


def test_a_database_that_is_away_is_unavailable():
    with pytest.raises(DatabaseUnavailable):
        upgrade(StorageSettings(database_url=f"postgresql://me:secret@127.0.0.1:{free_port()}/none"))


def test_the_command_migrates_the_database_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.delenv("MASKMILL_STORAGE_DATABASE_URL", raising=False)
    monkeypatch.setenv("MASKMILL_HOME", str(tmp_path))
    main([])
    assert f"revision {newest()}" in capsys.readouterr().out
    with sqlite3.connect(tmp_path / "maskmill.db") as raw:
        assert raw.execute("SELECT count(*) FROM jobs").fetchone() == (0,)
    raw.close()
    main(["current"])
    assert f"revision {newest()}" in capsys.readouterr().out
    main(["downgrade", "base"])
    assert "revision None" in capsys.readouterr().out


def test_a_downgrade_needs_to_be_told_how_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MASKMILL_HOME", str(tmp_path))
    with pytest.raises(SystemExit):
        main(["downgrade"])


def test_a_job_from_before_versions_were_kept_can_be_read(settings: StorageSettings):
    upgrade(settings)
    database = open_database(settings)
    with database.unit() as unit:
        unit.jobs.add(make_job(1), make_images(1))
        unit.commit()
    with connected(settings) as engine, engine.begin() as connection:
        connection.execute(text("UPDATE jobs SET made_by = NULL"))
        connection.execute(text("UPDATE job_images SET status = 'succeeded', result = :result"), {"result": OLD_RESULT})
    with database.unit() as unit:
        assert unit.jobs.get("job_1").totals.made_by == {}
        result = unit.images.get("job_1", 0).result
    database.close()
    assert result is not None
    assert result.made_by == ("", "1", "")


_OLD_METRICS: dict[str, object] = {"class_fractions": {}, "confusion": None}
_OLD_SIZES = {"width": 1, "height": 1, "artifacts": [], "metrics": _OLD_METRICS}
OLD_RESULT = json.dumps({**_OLD_SIZES, "timings_ms": {}, "device": "cpu", "model_version": "1"})
