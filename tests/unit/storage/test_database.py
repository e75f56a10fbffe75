"""What the SQLite database does with locks, times, odd texts and its own absence."""

from __future__ import annotations

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from jobs.errors import DatabaseUnavailable
from jobs.job import NewImage, Priority, Slice, Source, SourceKind
from storage.settings import StorageSettings
from storage.unit_of_work import Database, open_database
from tests.databases import opened, sqlite_settings
from tests.factories import make_images, make_job
from tests.services.processes import free_port

PIECE = Slice(job_id="job_1", first=0, last=99, priority=Priority.BULK)


def test_a_database_without_tables_says_how_to_make_them(tmp_path: Path):
    with (
        opened(StorageSettings(home=tmp_path)) as database,
        pytest.raises(DatabaseUnavailable, match=r"python -m storage\.migrate"),
    ):
        database.check()


def test_a_migrated_database_passes_its_check(database: Database):
    database.check()


def test_a_database_that_is_away_is_unavailable():
    url = f"postgresql://me:secret@127.0.0.1:{free_port()}/none"
    with opened(StorageSettings(database_url=url)) as database:
        with pytest.raises(DatabaseUnavailable) as error:
            database.check()
        with pytest.raises(DatabaseUnavailable), database.unit() as unit:
            unit.jobs.get("job_1")
    assert "secret" not in str(error.value)


def test_a_writer_that_waits_too_long_is_told(migrated_sqlite: Path, tmp_path: Path):
    settings = sqlite_settings(migrated_sqlite, tmp_path).model_copy(update={"database_wait_s": 0.1})
    with opened(settings) as database, database.unit() as first:
        first.jobs.add(make_job(), make_images(3))
        with pytest.raises(DatabaseUnavailable), database.unit() as second:
            second.jobs.add(make_job(job_id="job_2"), make_images(3, job_id="job_2"))
        with database.unit() as reader:
            assert list(reader.workers.alive(within_s=60)) == []


def test_a_pool_that_is_used_up_is_unavailable(migrated_sqlite: Path, tmp_path: Path):
    changes = {"database_wait_s": 0.1, "database_pool_size": 1, "database_pool_overflow": 0}
    settings = sqlite_settings(migrated_sqlite, tmp_path).model_copy(update=changes)
    with opened(settings) as database, database.unit(), pytest.raises(DatabaseUnavailable), database.unit():
        pytest.fail("there is one connection only")


def test_two_who_read_first_and_then_write_both_succeed(database: Database):
    with database.unit() as unit:
        unit.jobs.add(make_job(2), make_images(2))
        unit.commit()
    with database.unit() as late:
        late.jobs.get("job_1")
        with database.unit() as early:
            early.images.claim(Slice(job_id="job_1", first=0, last=0, priority=Priority.BULK), worker="a", lease_s=0)
            early.commit()
        claim = late.images.claim(PIECE, worker="b", lease_s=0)
        late.commit()
    assert claim is not None
    assert [image.index for image in claim.images] == [1]


def test_a_unit_can_go_on_after_its_commit(database: Database):
    with database.unit() as unit:
        unit.jobs.add(make_job(1), make_images(1))
        unit.commit()
        unit.jobs.request_cancel("job_1")
    with database.unit() as unit:
        assert unit.jobs.get("job_1").counts.queued == 1


def test_many_threads_share_a_database(database: Database):
    def add(number: int) -> None:
        job_id = f"job_{number}"
        with database.unit() as unit:
            unit.jobs.add(make_job(3, job_id=job_id), make_images(3, job_id=job_id))
            unit.commit()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(40)))
    with database.unit() as unit:
        assert all(unit.jobs.get(f"job_{number}").counts.queued == 3 for number in range(40))


def test_the_journal_is_a_write_ahead_log(database: Database, tmp_path: Path):
    database.check()
    raw = sqlite3.connect(tmp_path / "maskmill.db")
    assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    raw.close()


def test_times_come_back_in_utc_to_the_microsecond(database: Database):
    local = datetime(2026, 7, 1, 14, 0, 0, 123456, timezone(timedelta(hours=2)))
    with database.unit() as unit:
        unit.jobs.add(make_job(1, created_at=local), make_images(1))
        unit.commit()
    with database.unit() as unit:
        assert unit.jobs.get("job_1").created_at.isoformat() == "2026-07-01T12:00:00.123456+00:00"


def test_the_bulk_insert_writes_a_time_as_every_other_statement_does(database: Database, tmp_path: Path):
    with database.unit() as unit:
        unit.jobs.add(make_job(1), make_images(1))
        unit.commit()
    raw = sqlite3.connect(tmp_path / "maskmill.db")
    assert (
        raw.execute("SELECT sent_at FROM job_images").fetchall()
        == raw.execute("SELECT created_at FROM jobs").fetchall()
    )
    raw.close()


def test_a_time_without_a_zone_is_refused(database: Database):
    naive = datetime(2026, 7, 1)  # noqa: DTZ001
    with pytest.raises(Exception, match="time zone"), database.unit() as unit:
        unit.jobs.add(make_job(1, created_at=naive), make_images(1))


def test_names_that_no_database_can_hold_are_mended(database: Database):
    with database.unit() as unit:
        unit.jobs.add(make_job(1), [NewImage(Source(SourceKind.URL, "x"), "a\0b\udcff.jpg", "\0")])
        unit.commit()
    with database.unit() as unit:
        image = unit.images.get("job_1", 0)
    assert (image.name, image.ref) == ("a\N{REPLACEMENT CHARACTER}b?.jpg", "\N{REPLACEMENT CHARACTER}")


def test_opening_a_database_does_not_touch_it(tmp_path: Path):
    open_database(StorageSettings(database_url="postgresql://nobody@127.0.0.1:1/none")).close()
    open_database(StorageSettings(home=tmp_path / "home")).close()
    assert not (tmp_path / "home/maskmill.db").exists()


def test_a_job_of_older_rules_or_a_newer_version_stays_readable_and_what_is_unknown_is_told(
    database: Database, tmp_path: Path
):
    with database.unit() as unit:
        unit.jobs.add(make_job(1), make_images(1))
        unit.commit()
    raw = sqlite3.connect(tmp_path / "maskmill.db")
    look = {"opacity": 7.0, "palette": "neon", "glow": 3}
    options = {"model": "gone", "artifacts": ["forgotten"], "overlay": look, "tile": None, "dropped": 1}
    with raw:
        raw.execute("UPDATE jobs SET options = ?", [json.dumps(options)])
    raw.close()
    with database.unit() as unit:
        found = unit.jobs.get("job_1").options
    assert found.artifacts == ("forgotten",)
    assert found.unknown == ("dropped", "artifacts: forgotten", "overlay.palette: neon", "overlay.glow")


def test_a_checkpoint_takes_the_log_over_which_no_commit_does(migrated_sqlite: Path, tmp_path: Path):
    settings = sqlite_settings(migrated_sqlite, tmp_path)
    with opened(settings) as database:
        for number in range(40):
            with database.unit() as unit:
                unit.jobs.add(make_job(200, id=f"job_{number}"), make_images(200))
                unit.commit()
        log = settings.home / "maskmill.db-wal"
        size = (settings.home / "maskmill.db").stat().st_size
        assert log.stat().st_size > 1_000 * 4096
        database.checkpoint()
        assert (settings.home / "maskmill.db").stat().st_size > size


def test_a_checkpoint_needs_the_database(tmp_path: Path):
    database = open_database(StorageSettings(home=tmp_path / "none"))
    (tmp_path / "none").rmdir()
    with pytest.raises(DatabaseUnavailable):
        database.checkpoint()
