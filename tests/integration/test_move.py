"""What a local stack has, taken to PostgreSQL and an S3 store: every job reads as before, or nothing is there."""

from __future__ import annotations

import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import func, insert, select, update

from api.answers.zip_stream import ZipStream
from data.sample_library import open_samples
from jobs.errors import StorageUnavailable
from jobs.inputs.inputs import Inputs
from jobs.inputs.kept import KeptSources
from jobs.job import Job, JobImage, Priority
from jobs.listing.filters import JobFilter
from jobs.reporting.archive import Archives
from jobs.uploads.upload import upload_key
from maskmill.stack.backup import SAFE
from storage.catalog import Catalog
from storage.migrate import DatabaseUnfit, downgrade, upgrade
from storage.move import moving
from storage.move.__main__ import main
from storage.move.moving import DATABASE, MoveRefused, local_settings, move
from storage.objects import open_objects
from storage.objects.buckets import open_buckets
from storage.settings import StorageSettings
from storage.tables import JOB, JOBS, UploadRow, WorkerRow
from storage.unit_of_work import Database, make_engine
from tests.databases import opened
from tests.integration.test_old_data import OLD, TOLD
from tests.job_steps import add, every_image
from tests.services.s3 import S3Server

UPLOAD = "upl_01JD3T1M4Z8Q5R6S7T8V9WAXBY"
NOW = datetime(2026, 1, 2, tzinfo=UTC)
IDS = sorted(each["job"]["id"] for each in TOLD.values())
DELETED, WAITING = IDS[0], "job_01JD3T1M4Z8Q5R6S7T8V9WAXBY"


@pytest.fixture(scope="module")
def old_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a job that is being deleted, an image that waits, an upload, and a worker of the past."""
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(OLD / "home.tar.xz") as packed:
        packed.extractall(folder, **SAFE)  # noqa: S202 - it is our own
    settings = local_settings(folder)
    upgrade(settings)
    values = {"tenant": "default", "name": "a.jpg", "size": 3, "media_type": "image/jpeg", "kind": "image"}
    engine = make_engine(settings)
    with engine.begin() as connection:
        connection.execute(update(JOBS).where(JOB.id == DELETED).values(is_deleted=True))
        connection.execute(insert(UploadRow).values(id=UPLOAD, **values, stored=True, uses=0, created_at=NOW))
        connection.execute(insert(WorkerRow).values(name="w", device="CPU", models=[], beat_at=NOW))
    engine.dispose()
    with opened(settings) as database:
        add(database.unit, 2, job_id=WAITING)
    open_objects(settings).put(upload_key("default", UPLOAD, 3), b"abc", media_type="image/jpeg")
    return folder


@pytest.fixture
def source(old_home: Path) -> StorageSettings:
    return local_settings(old_home)


@pytest.fixture
def target(postgres_url: str, rclone_server: S3Server, tmp_path: Path) -> StorageSettings:
    bucket = rclone_server.create_bucket()
    return StorageSettings(
        home=tmp_path / "new",
        database_url=postgres_url,
        objects_url=bucket.url,
        s3_access_key=SecretStr(bucket.access_key),
        s3_secret_key=SecretStr(bucket.secret_key),
    )


@pytest.fixture
def told() -> list[str]:
    return []


def contents(settings: StorageSettings) -> dict[str, Any]:
    """Of each job: how it reads, its images, its archive."""
    with opened(settings) as database:
        return {job.id: (job, _images(database, job), _archive(database, settings, job)) for job in _jobs(database)}


def _jobs(database: Database) -> list[Job]:
    with database.unit() as unit:
        return list(unit.jobs.page(JobFilter(), limit=99, before=None))


def _images(database: Database, job: Job) -> list[JobImage]:
    with database.unit() as unit:
        return [replace(each, sent_at=None) for each in every_image(unit, job.id)]


def _sent(database: Database) -> list[str]:
    """Jobs with images that had to be sent."""
    with database.unit() as unit:
        found = unit.images.resend_due(silent_s=None, priorities=list(Priority), limit=99)
        unit.commit()
    return [each.job.id for each in found]


def _archive(database: Database, settings: StorageSettings, job: Job) -> bytes | None:
    if not job.is_finished:
        return None
    inputs = Inputs(KeptSources(open_objects(settings), open_buckets(settings), open_samples(), 10**9))
    archive = Archives(database.unit, inputs, Catalog([]), "maskmill").open(job.id)
    zipped = ZipStream(archive.entries, archive.read, archive.job.finished_at or archive.job.created_at)
    return b"".join(zipped.iterate(0, zipped.length))


def rows_of(settings: StorageSettings, table: Any) -> int:
    engine = make_engine(settings)
    with engine.connect() as connection:
        found = connection.execute(select(func.count()).select_from(table)).scalar_one()
    engine.dispose()
    return int(found)


def test_every_job_reads_as_before(
    source: StorageSettings,
    target: StorageSettings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setattr("storage.move.__main__.StorageSettings", lambda: target)
    main([str(source.home)])
    before, after = contents(source), contents(target)
    assert before.keys() == {*IDS, WAITING} - {DELETED}
    assert after == before
    kept = {key for key in open_objects(source).keys("") if DELETED not in key}
    assert set(open_objects(target).keys("")) == kept
    info = open_objects(target).info(upload_key("default", UPLOAD, 3))
    assert (info.size, info.media_type) == (3, "image/jpeg")
    assert rows_of(target, WorkerRow) == 0
    said = capsys.readouterr().out
    assert f"{len(before)} jobs in postgresql+psycopg://" in said
    assert f"{len(kept)} objects, " in said


def test_what_waits_is_sent_again(source: StorageSettings, target: StorageSettings, told: list[str]):
    move(source, target, told.append)
    with opened(source) as old, opened(target) as new:
        assert (_sent(old), _sent(new)) == ([], [WAITING])


def test_a_database_with_rows_is_left_alone(source: StorageSettings, target: StorageSettings, told: list[str]):
    move(source, target, told.append)
    with pytest.raises(MoveRefused, match=r"is in use: its table .* has rows"):
        move(source, target, told.append)


def test_a_move_that_breaks_off_goes_on(
    source: StorageSettings, target: StorageSettings, told: list[str], monkeypatch: pytest.MonkeyPatch
):
    puts: list[str] = []

    def opening(settings: StorageSettings, room: int) -> Any:
        store = open_objects(settings)
        put = store.put

        def counted(key: str, data: Any, *, media_type: str) -> int:
            if len(puts) >= room:
                raise StorageUnavailable("the store is away")
            puts.append(key)
            return put(key, data, media_type=media_type)

        monkeypatch.setattr(store, "put", counted)
        return store

    monkeypatch.setattr(moving, "open_objects", lambda settings: opening(settings, 5))
    with pytest.raises(StorageUnavailable):
        move(source, target, told.append)
    assert rows_of(target, JOBS) == 0
    first, puts[:] = set(puts), []
    monkeypatch.setattr(moving, "open_objects", lambda settings: opening(settings, 10_000))
    move(source, target, told.append)
    assert first.isdisjoint(puts)
    assert first | set(puts) == set(open_objects(target).keys(""))
    assert contents(target) == contents(source)


def test_a_store_alone_is_moved_from_beside_its_database(
    source: StorageSettings, target: StorageSettings, told: list[str]
):
    """As with MASKMILL_STORAGE_OBJECTS_URL alone, in the same home."""
    store = target.model_copy(update={"database_url": None, "home": source.home})
    moved = move(source, store, told.append)
    assert moved.jobs is None
    assert contents(store) == contents(source)


@pytest.fixture
def running(source: StorageSettings) -> Iterator[None]:
    with opened(source) as database, database.unit() as unit:
        unit.jobs.page(JobFilter(), limit=1, before=None)
        yield


@pytest.mark.usefixtures("running")
def test_a_stack_that_runs_is_not_moved(source: StorageSettings, target: StorageSettings, told: list[str]):
    with pytest.raises(MoveRefused, match=r"a stack runs in .*maskmill down"):
        move(source, target, told.append)


def test_a_stack_that_is_started_meanwhile_can_write_nothing(
    source: StorageSettings, target: StorageSettings, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def started(_source: object, _target: object, prefixes: Iterator[str], _tell: object) -> None:
        next(prefixes)
        with (
            closing(sqlite3.connect(source.home / DATABASE, timeout=0)) as other,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            other.execute("DELETE FROM jobs")
        raise StorageUnavailable("that was seen")

    monkeypatch.setattr(moving, "copy_objects", started)
    with pytest.raises(StorageUnavailable, match="that was seen"):
        move(source, target, told.append)


def test_what_is_no_database_is_told(target: StorageSettings, tmp_path: Path, told: list[str]) -> None:
    (tmp_path / DATABASE).write_bytes(b"no database" * 100)
    with pytest.raises(DatabaseUnfit, match="is damaged, or no database"):
        move(local_settings(tmp_path), target, told.append)


def test_there_is_something_to_move_and_another_place(
    source: StorageSettings, target: StorageSettings, tmp_path: Path, told: list[str]
):
    with pytest.raises(MoveRefused, match="name no other place"):
        move(source, source, told.append)
    with pytest.raises(MoveRefused, match="there is no database in"):
        move(local_settings(tmp_path / "none"), target, told.append)


def test_an_older_database_is_brought_up_to_date_first(target: StorageSettings, tmp_path: Path, told: list[str]):
    old = local_settings(tmp_path / "older")
    upgrade(old)
    downgrade(old, "0018")
    with pytest.raises(MoveRefused, match=r"revision 0018, and this version works with .* start the stack once"):
        move(old, target, told.append)
