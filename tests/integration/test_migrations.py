"""The migrations: up, down and up again, by several processes at once, and to exactly the tables of the code."""

from __future__ import annotations

import fcntl
import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, MetaData, Table, inspect, text

from jobs.callers import Limits
from jobs.corrections.correction import CorrectionFile
from jobs.deliveries.endpoint import EVENTS, Endpoint
from jobs.errors import DatabaseUnavailable
from jobs.job import Artifact, Comparison, ImageMetrics, JobTotals
from jobs.listing.filters import JobFilter
from jobs.options import JobOptions
from jobs.ports import UnitOfWork
from jobs.tenants.keyring import Keyring
from jobs.tenants.quotas import DAY_S
from segmentation.label_map import LabelMap
from segmentation.label_spaces import get_label_space
from segmentation.measures.agreement import agree
from storage.migrate import current, downgrade, main, newest, upgrade
from storage.settings import StorageSettings
from storage.tables import Base
from tests.databases import opened
from tests.factories import NOON, make_result
from tests.fakes import FakeClock
from tests.job_steps import Units, add, ended_job, every_image, failed, image, succeeded
from tests.old_database import OLD_JOB, TABLES, check_filled, connected, contents, fill
from tests.services.processes import free_port
from tests.upload_steps import add_job_of, add_uploads, make_upload


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> StorageSettings:
    if request.param == "sqlite":
        return StorageSettings(home=tmp_path / "home")
    return StorageSettings(home=tmp_path, database_url=request.getfixturevalue("postgres_url"))


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


def test_who_waits_for_another_migration_does_not_touch_the_file(tmp_path: Path):
    settings = StorageSettings(home=tmp_path, database_wait_s=0.05)
    file = tmp_path / "maskmill.db"
    with ThreadPoolExecutor(1) as starting:
        with Path(f"{file}.migrate-lock").open("w") as other, closing(sqlite3.connect(file)) as raw:
            fcntl.flock(other, fcntl.LOCK_EX)
            raw.execute("BEGIN EXCLUSIVE")
            second = starting.submit(upgrade, settings)
            assert not wait([second], timeout=0.5).done
            raw.rollback()
        second.result()
    assert current(settings) == newest()


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


def test_filled_tables_go_up_down_and_up_again(settings: StorageSettings):
    upgrade(settings, "0003")
    fill(settings)
    before = contents(settings)
    upgrade(settings)
    check_filled(settings)
    downgrade(settings, "0003")
    before["jobs"][1]["made_by"] = []  # what nobody knows is an empty list since
    assert contents(settings) == before
    upgrade(settings)
    check_filled(settings)


def test_what_is_made_now_can_be_read_by_the_code_before(settings: StorageSettings):
    upgrade(settings)
    with opened(settings) as database:
        units = Units(database.unit, FakeClock())
        ended_job(units, succeeded(0), failed(1))
        with database.unit("else") as unit:
            unit.drafts.open("job_2", prefix="else/jobs/job_2/")
            unit.idempotency.begin("k", holder="h", patience_s=60)
            unit.commit()
        used = make_upload(expires_at=None)
        add_uploads(units, used)
        add_job_of(units, "job_3", used)
    downgrade(settings, "0003")
    found = contents(settings)
    assert (found["drafts"][0]["job_id"], found["idempotency"]) == ("job_2", [])
    assert found["jobs"][0]["class_pixels"] == {"sky": 25, "road": 75}
    result = found["job_images"][0]["result"]
    assert result["model_name"] == "tiny"
    assert not {"precision", "engine"} & result.keys()
    assert ("uploads" in found, found["job_images"][-1]["source_kind"]) == (False, "object")


def test_keys_and_what_was_asked_with_them_go_with_the_code_that_knows_them(settings: StorageSettings):
    upgrade(settings)
    with opened(settings) as database:
        credential, _ = Keyring(database.unit).create("acme", "submit", Limits(images_per_day=5))
        add(database.unit, 2, tenant="acme", credential=credential.id)
        with database.unit("acme") as unit:
            unit.usage.add(credential.id, "images", 2, period_s=DAY_S)
            unit.commit()
    downgrade(settings, "0007")
    upgrade(settings)
    with opened(settings) as database, database.unit("acme") as unit:
        assert not unit.credentials.exist()
        assert unit.usage.so_far(credential.id, "images", period_s=DAY_S).used == 0
        assert unit.jobs.get("job_1").credential is None


def test_many_jobs_are_rewritten(settings: StorageSettings):
    upgrade(settings, "0003")
    with connected(settings) as engine, engine.begin() as connection:
        table = Table("jobs", MetaData(), autoload_with=engine)
        rows = [{**OLD_JOB, "id": f"job_{number:04d}", "created_at": NOON} for number in range(1200)]
        connection.execute(table.insert(), rows)
    upgrade(settings)
    with opened(settings) as database, database.unit("default") as unit:
        jobs = unit.jobs.page(JobFilter(), limit=2000, before=None)
    assert len({job.prefix for job in jobs}) == 1200
    assert {job.totals[0].confidence_sum for job in jobs} == {0.1 + 0.2}


def test_webhooks_come_and_go_and_leave_jobs_as_they_are(settings: StorageSettings):
    upgrade(settings)
    with opened(settings) as database:
        units = Units(database.unit, FakeClock())
        ended_job(
            units, succeeded(0), options=JobOptions(model="tiny", webhook=Endpoint(url="http://a/", events=EVENTS))
        )
        with units("default") as unit:
            unit.webhooks.lock("default")
            unit.commit()
    before = contents(settings)
    assert (len(before["deliveries"]), len(before["webhooks"])) == (2, 1)
    downgrade(settings, "0004")
    (older,), (image_before,) = contents(settings)["job_images"], before["job_images"]
    assert older == {column: image_before[column] for column in older}
    upgrade(settings)
    after = contents(settings)
    assert (after["deliveries"], after["webhooks"]) == ([], [])
    assert after["jobs"] == [{**before["jobs"][0], "told_at": None}]


def test_corrections_go_with_the_code_that_knows_them_and_their_scores_stay(settings: StorageSettings):
    upgrade(settings)
    file = CorrectionFile(key="k", size=1, crc32=2**32 - 1, sha256="ab")
    with opened(settings) as database:
        units = Units(database.unit, FakeClock())
        ended_job(units, succeeded(0), succeeded(1))
        with units("default") as unit:
            unit.corrections.add("job_1", 0, file, made_by=None)
            unit.images.rescore("job_1", 0, [{"confusion": ((4,),), "miou": 1.0}])
            unit.commit()
        corrected = image(database.unit).result
    assert corrected is not None
    downgrade(settings, "0011")
    stored = contents(settings)["job_images"]
    assert [each["results"][0]["metrics"].get("corrected") for each in stored] == [None, None]
    upgrade(settings)
    with opened(settings) as database, database.unit("default") as unit:
        assert list(unit.corrections.newest("job_1")) == []
        plain = replace(corrected, metrics=replace(corrected.metrics, corrected=False))
        assert unit.images.get("job_1", 0).result == plain


def test_what_was_used_of_a_quota_outlasts_the_change_to_windows_and_back(settings: StorageSettings):
    upgrade(settings)
    with opened(settings) as database:
        credential, _ = Keyring(database.unit).create("acme", "submit", Limits(images_per_day=5))
        with database.unit("acme") as unit:
            unit.usage.add(credential.id, "images", 2, period_s=DAY_S)
            unit.commit()
    downgrade(settings, "0012")
    assert [row["used"] for row in contents(settings)["usage"]] == [2]
    upgrade(settings)
    with opened(settings) as database, database.unit("acme") as unit:
        assert unit.usage.so_far(credential.id, "images", period_s=DAY_S).used == 2


def sorted_by(unit: UnitOfWork, sort: str) -> list[int]:
    """Indices of job_1, page by page."""
    found: list[int] = []
    after: str | None = None
    while not found or after:
        rows, after = unit.images.page("job_1", sort=sort, limit=1, after=after)
        found += [row.index for row in rows]
        assert len(found) <= 3, found
    return found


def test_comparisons_known_results_and_doubts_go_with_the_code_that_knows_them(settings: StorageSettings):
    upgrade(settings)
    recipes = (b"\0" * 32, b"\xff" * 32)
    agreement = agree([LabelMap(np.full((1, 4), each, np.uint8), get_label_space("camvid-11")) for each in (0, 1)])
    artifact = Artifact(name="disagreement", key="k", media_type="image/png", size=1, crc32=2**32 - 1)
    doubts = [
        ImageMetrics(class_fractions={"sky": 1.0}, mean_entropy=each, low_confidence=each) for each in (0.75, 0.5, 0.25)
    ]
    outcomes = [
        replace(
            succeeded(index, metrics=metrics, reused=index == 1),
            results=(make_result(metrics=metrics, reused=index == 1), make_result(reused=index == 1)),
            comparison=Comparison(agreement=agreement, artifacts=(artifact,)),
            input_sha256="1" * 64,
            recipes=recipes,
        )
        for index, metrics in enumerate(doubts)
    ]
    with opened(settings) as database:
        units = Units(database.unit, FakeClock())
        before = ended_job(units, *outcomes, models=("tiny", "other"), totals=(JobTotals(), JobTotals()))
        images = [image(database.unit, index) for index in range(3)]
    assert (before.reused, before.agreement is not None) == (1, True)
    downgrade(settings, "0014")
    stored = contents(settings)
    assert "known_results" not in stored
    assert not {"agreement", "reused"} & stored["jobs"][0].keys()
    assert not {"comparison", "accord", "clarity", "surety"} & stored["job_images"][0].keys()
    assert [len(each["results"]) for each in stored["job_images"]] == [2, 2, 2]
    upgrade(settings)
    with opened(settings) as database, database.unit("default") as unit:
        assert unit.jobs.get("job_1") == replace(before, reused=0, agreement=None)
        assert every_image(unit) == [replace(each, comparison=None) for each in images]
        assert not unit.known.is_any("default", recipes)
        assert [sorted_by(unit, each) for each in ("accord", "clarity", "surety")] == [[0, 1, 2]] * 3
    with opened(settings) as database:  # and what comes now is kept as ever
        ended_job(
            Units(database.unit, FakeClock()),
            replace(outcomes[1], index=0),
            job_id="job_2",
            models=("tiny", "other"),
            totals=(JobTotals(), JobTotals()),
        )
        with database.unit("default") as unit:
            assert (unit.jobs.get("job_2").reused, unit.known.is_any("default", recipes)) == (1, True)
