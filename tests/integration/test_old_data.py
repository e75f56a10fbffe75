"""A database and a store as the code before migration 0004 left them: migrated, every job reads as it did then.

`tests/fixtures/before_0004` holds a local stack's home of that time, with what its API told and the SHA-256 of the
archives that it sent: all artifacts; ground truth; two pictures of one name, a broken one and odd names; a job that
failed as a whole; a sample in tiles; a job that was canceled half way.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, Table, create_engine

from api.answers.zip_stream import ZipStream
from api.schemas.job import image_view, job_view
from data.sample_library import open_samples
from jobs.change import Changing
from jobs.inputs.inputs import Inputs
from jobs.inputs.kept import KeptSources
from jobs.job import SourceKind
from jobs.listing.filters import JobFilter
from jobs.reporting.archive import Archives
from jobs.reporting.read import Reading
from maskmill.stack.backup import SAFE
from storage.catalog import Catalog
from storage.migrate import upgrade
from storage.objects import open_objects
from storage.objects.buckets import open_buckets
from storage.settings import StorageSettings
from storage.unit_of_work import Database, make_engine
from tests.databases import opened
from tests.fakes import FakeDispatcher

OLD = Path(__file__).parents[1] / "fixtures" / "before_0004"
TOLD: dict[str, Any] = json.loads((OLD / "told.json").read_text(encoding="utf-8"))
SOFTWARE = "maskmill 0.1.0"
CORRECTED = {"canceled": ("images_per_second",)}  # it counted images that nobody worked on


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> StorageSettings:
    with tarfile.open(OLD / "home.tar.xz") as home:
        home.extractall(tmp_path, **SAFE)  # noqa: S202 - it is our own
    if request.param == "sqlite":
        settings = StorageSettings(home=tmp_path)
    else:
        settings = StorageSettings(home=tmp_path, database_url=request.getfixturevalue("postgres_url"))
        upgrade(settings, "0003")
        copy_rows(tmp_path / "maskmill.db", settings)
    upgrade(settings)
    return settings


@pytest.fixture
def database(settings: StorageSettings) -> Iterator[Database]:
    with opened(settings) as database:
        yield database


def copy_rows(file: Path, settings: StorageSettings) -> None:
    old, new = create_engine(f"sqlite:///{file}"), make_engine(settings)
    with old.connect() as source, new.begin() as target:
        for name in ("jobs", "job_images"):
            rows = source.execute(Table(name, MetaData(), autoload_with=old).select()).mappings()
            table = Table(name, MetaData(), autoload_with=new)
            for row in rows:
                target.execute(table.insert(), {key: value for key, value in row.items() if value is not None})
    old.dispose()
    new.dispose()


def holds(now: Any, then: Any) -> bool:
    """Whether all that was told then is told now; there may be more."""
    if isinstance(then, dict):
        return isinstance(now, dict) and all(key in now and holds(now[key], value) for key, value in then.items())
    if isinstance(then, list):
        return len(now) == len(then) and all(map(holds, now, then))
    return bool(now == then)


def test_the_migrated_jobs_are_those_that_were_there(database: Database):
    with database.unit("default") as unit:
        found = {job.id for job in unit.jobs.page(JobFilter(), limit=99, before=None)}
    assert found == {each["job"]["id"] for each in TOLD.values()}


@pytest.mark.parametrize("name", TOLD)
def test_a_job_and_its_images_read_as_before(database: Database, settings: StorageSettings, name: str):
    then = TOLD[name]
    reading = Reading(database.unit, open_objects(settings))
    job = reading.job(then["job"]["id"])
    rows, _ = reading.images(job.id, limit=99, after=None)
    views = [image_view(row, has_input=row.source.kind is SourceKind.OBJECT).model_dump(mode="json") for row in rows]
    now = job_view(job, reading.progress(job)).model_dump(mode="json")
    before = {key: value for key, value in then["job"].items() if key not in CORRECTED.get(name, ())}
    assert holds(now, before)  # links and options that came since are there too
    assert holds(views, then["images"])


@pytest.mark.parametrize("name", TOLD)
def test_an_archive_is_equal_byte_for_byte(database: Database, settings: StorageSettings, name: str):
    then, objects = TOLD[name], open_objects(settings)
    inputs = Inputs(KeptSources(objects, open_buckets(settings), open_samples(), 10**9))
    archives = Archives(database.unit, inputs, Catalog([settings.home / "models"]), SOFTWARE)
    archive = archives.open(then["job"]["id"])
    zipped = ZipStream(archive.entries, archive.read, archive.job.finished_at or archive.job.created_at)
    content = b"".join(zipped.iterate(0, zipped.length))
    assert len(content) == then["archive_bytes"]
    assert hashlib.sha256(content).hexdigest() == then["archive_sha256"]


def test_an_old_job_is_deleted_with_its_objects_and_no_others(database: Database, settings: StorageSettings):
    objects = open_objects(settings)
    changing = Changing(database.unit, objects, FakeDispatcher())
    gone = TOLD["partial"]["job"]["id"]
    before = set(objects.keys("jobs/"))
    changing.delete(gone)
    assert {key for key in before if gone in key}
    assert set(objects.keys("")) == {key for key in before if gone not in key}


def test_an_old_job_is_tried_again(database: Database, settings: StorageSettings):
    changing = Changing(database.unit, open_objects(settings), FakeDispatcher())
    again = changing.retry(TOLD["partial"]["job"]["id"])
    assert (again.counts.queued, again.finished_before) == (1, 3)
    with database.unit() as unit:
        assert [image.index for image in unit.images.since(again.id, 0, limit=9)] == [0, 1, 3]
