"""What both databases mean to do, beside thousands of ended jobs and within a job of twenty thousand images.

Each statement that runs while jobs do, or that a client waits for, walks along an index; nothing that grows is sorted.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert, select, text

from jobs.job import ImageStatus, Priority
from jobs.listing.filters import EVERY_IMAGE, ImageFilter, JobFilter
from jobs.ports import UnitOfWork
from storage.settings import StorageSettings
from storage.tables import CORRECTIONS, JOB, JOBS, KNOWN_RESULTS
from storage.unit_of_work import Database, make_engine
from tests.databases import sqlite_settings, sqlite_template
from tests.factories import NOON
from tests.fakes import FakeClock
from tests.job_steps import Units, add, claimed, finish, free_expired, resend_due, succeeded
from tests.services.postgres import PostgresServer

IMAGES = 20_000
ENDED = 19_700
RUNNING = 100
JOBS_BEFORE = 3_000
KNOWN_BEFORE = 20_000
CORRECTED_BEFORE = 20_000
RECIPE = b"\xff" * 32
BIG = "job_9000"
BEFORE = "job_8999"  # another tenant's, twice as large

END_IMAGES = """
    UPDATE job_images SET status = 'succeeded', version = "index" / 10, confidence = "index" / 20000.0, clarity = 0.5,
        surety = 0.5, miou = 0.5
    WHERE job_id = :job AND "index" < :ended
"""
END_JOB = "UPDATE jobs SET succeeded = :ended, queued = :left, version = 2000 WHERE id = :job"

Steps = list[str]


@dataclass
class Plans:
    """What the database means to do, asked before each statement."""

    dialect: str
    steps: Steps = field(default_factory=list)
    listening: bool = False

    def note(self, connection: Any, _cursor: object, statement: str, parameters: Any, _context: object, many: bool):
        if not self.listening or not statement.startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
            return
        explain = "EXPLAIN QUERY PLAN" if self.dialect == "sqlite" else "EXPLAIN"
        one = parameters[0] if many else parameters
        rows = connection.connection.driver_connection.execute(f"{explain} {statement}", one)
        self.steps += [str(row[-1]) for row in rows]

    @property
    def scans(self) -> Steps:
        """Of whole tables that grow; PostgreSQL's index scans are none."""
        pattern = r"\bSCAN ({})(?! USING)" if self.dialect == "sqlite" else r"Seq Scan on ({})\b"
        pattern = pattern.format("jobs|job_images|known_results|corrections")
        return [step for step in self.steps if re.search(pattern, step)]

    @property
    def sorts(self) -> Steps:
        pattern = "USE TEMP B-TREE FOR ORDER" if self.dialect == "sqlite" else r"(^|-> +)(Incremental )?Sort\b"
        return [step for step in self.steps if re.search(pattern, step)]

    def uses(self, index: str) -> bool:
        """A primary key has another name in each."""
        names = {
            "images": ("sqlite_autoindex_job_images", "pk_job_images"),
            "jobs": ("sqlite_autoindex_jobs", "pk_jobs"),
            "known": ("sqlite_autoindex_known_results", "pk_known_results"),
        }
        return any(name in step for step in self.steps for name in names.get(index, (index,)))


@dataclass
class Place:
    units: Units
    plans: Plans

    def look(self, call: Callable[[Units], object]) -> Plans:
        self.plans.steps.clear()
        self.plans.listening = True
        call(self.units)
        self.plans.listening = False
        assert self.plans.steps
        return self.plans


@pytest.fixture(scope="module")
def sqlite_at_scale(tmp_path_factory: pytest.TempPathFactory) -> StorageSettings:
    folder = tmp_path_factory.mktemp("plans")
    return sqlite_settings(sqlite_template(folder / "template"), folder / "home")


@pytest.fixture(scope="module")
def postgres_at_scale(postgres_server: PostgresServer, migrated_template: str) -> Iterator[StorageSettings]:
    yield StorageSettings(database_url=postgres_server.create("test_plans", template=migrated_template))
    postgres_server.drop("test_plans")


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    engine = make_engine(request.getfixturevalue(f"{request.param}_at_scale"))
    plans = Plans(request.param)
    event.listen(engine, "before_cursor_execute", plans.note)
    database = Database(engine, clock=FakeClock())
    units = Units(database.unit, FakeClock())
    _fill(units, engine)
    yield Place(units, plans)
    database.close()


def _fill(units: Units, engine: Any) -> None:
    add(units, 1, job_id="job_0000")
    add(units, IMAGES, job_id=BIG)
    add(units, 2 * IMAGES, job_id=BEFORE, tenant="t8")
    with engine.begin() as connection:
        row = dict(connection.execute(select(JOBS).where(JOB.id == "job_0000")).mappings().one())
        old = [
            row
            | {
                "id": f"job_{number:04d}",
                "tenant": f"t{number % 100}",
                "status": "succeeded",
                "queued": 0,
                "succeeded": 1,
            }
            | {"finished_at": NOON - timedelta(minutes=number), "expires_at": NOON + timedelta(days=number)}
            for number in range(1, JOBS_BEFORE)
        ]
        connection.execute(insert(JOBS), old)
        connection.execute(text(END_IMAGES), {"job": BEFORE, "ended": 2 * IMAGES})
        connection.execute(text(END_JOB), {"job": BEFORE, "ended": 2 * IMAGES, "left": 0})
        connection.execute(text(END_IMAGES), {"job": BIG, "ended": ENDED})
        connection.execute(text(END_JOB), {"job": BIG, "ended": ENDED, "left": IMAGES - ENDED})
        connection.execute(insert(KNOWN_RESULTS), [_known(number) for number in range(KNOWN_BEFORE)])
        connection.execute(insert(CORRECTIONS), [_corrected(number) for number in range(CORRECTED_BEFORE)])
    claimed(units, ENDED, ENDED + RUNNING - 1, job_id=BIG)
    with engine.begin() as connection:
        connection.execute(text("ANALYZE"))


def _known(number: int) -> dict[str, Any]:
    """Of a hundred pictures in two hundred jobs, of two tenants by ten recipes."""
    place = {"job_id": f"job_{number // 100:04d}", "index": 0, "model": 0}
    recipe = RECIPE if number % 10 == 0 else bytes([number % 10]) * 32
    picture = {"recipe": recipe, "input_sha256": f"{number % 1000:064d}", "kinds": "mask"}
    return {"tenant": f"t{7 + number % 20 // 10}", **picture, **place}


def _corrected(number: int) -> dict[str, Any]:
    """One a minute."""
    file = {"key": "k", "size": 1, "crc32": 1, "sha256": "ab" * 32}
    place = {"job_id": f"job_{number % 1000:04d}", "index": number // 1000, "version": 1}
    return {**place, **file, "made_at": NOON - timedelta(minutes=number)}


def in_unit(call: Callable[[UnitOfWork], object], tenant: str | None = None) -> Callable[[Units], object]:
    def run(units: Units) -> None:
        with units(tenant) as unit:
            call(unit)

    return run


def images_page(where: ImageFilter = EVERY_IMAGE, sort: str = "index", after: str | None = None) -> Any:
    def page(unit: UnitOfWork) -> object:
        return unit.images.page(BIG, where=where, sort=sort, limit=200, after=after)

    return in_unit(page, "default")


def far_page(sort: str, value: float | None) -> Any:
    """One far behind the first: by its key, not by counting to it."""
    return images_page(sort=sort, after=base64.urlsafe_b64encode(json.dumps([sort, value, 9_999]).encode()).decode())


_OF_A_TIME = JobFilter(created_after=NOON - timedelta(days=1), created_before=NOON + timedelta(days=1))
WALKS: dict[str, tuple[Callable[[Units], object], str]] = {
    "claim": (lambda units: claimed(units, ENDED + RUNNING, ENDED + RUNNING + 15, job_id=BIG), "ix_job_images_queued"),
    "renew": (in_unit(lambda unit: unit.images.renew(BIG, {ENDED: 1, ENDED + 1: 1}, lease_s=30)), "images"),
    "finish": (lambda units: finish(units, succeeded(ENDED), succeeded(ENDED + 1), job_id=BIG), "images"),
    "free what expired": (lambda units: free_expired(units, now=NOON + timedelta(hours=1)), "ix_job_images_lease"),
    "resend what is silent": (lambda units: resend_due(units, now=NOON + timedelta(hours=2)), "ix_job_images_queued"),
    "newest running": (in_unit(lambda unit: unit.images.newest_running_s(Priority.BULK)), "ix_job_images_lease"),
    "expired jobs": (in_unit(lambda unit: unit.jobs.expired(limit=9)), "ix_jobs_expires_at"),
    "deleted jobs": (in_unit(lambda unit: unit.jobs.deleted(limit=9)), "ix_jobs_deleted"),
    "list of jobs": (
        in_unit(lambda unit: unit.jobs.page(JobFilter(), limit=20, before=None), "t7"),
        "ix_jobs_tenant_id",
    ),
    "list of running jobs": (
        in_unit(lambda unit: unit.jobs.page(JobFilter(status="running"), limit=20, before="job_9999"), "t7"),
        "ix_jobs_tenant_status_id",
    ),
    "list of jobs of a model": (
        in_unit(lambda unit: unit.jobs.page(JobFilter(model="street"), limit=20, before="job_9999"), "t7"),
        "ix_jobs_tenant",  # any that begins so: of the tenant's rows few are left to be put in order
    ),
    "list of jobs of a time": (
        in_unit(lambda unit: unit.jobs.page(_OF_A_TIME, limit=20, before=None), "t7"),
        "ix_jobs_tenant_id",
    ),
    "list of jobs by their metadata": (
        in_unit(lambda unit: unit.jobs.page(JobFilter(metadata=(("run", "7"),)), limit=20, before="job_9999"), "t7"),
        "ix_jobs_tenant",  # any that begins so: of the tenant's rows few are left to be put in order
    ),
    "first page of images": (images_page(), "images"),
    "images by name": (images_page(ImageFilter(name="9", ref="a")), "images"),
    "images by what they say": (images_page(ImageFilter(warning="mask_mismatch", error="timed_out")), "images"),
    "far page of images": (far_page("index", None), "images"),
    "queued images": (images_page(ImageFilter(status=ImageStatus.QUEUED)), "ix_job_images_queued"),
    "failed images": (images_page(ImageFilter(status=ImageStatus.FAILED)), "ix_job_images_failed"),
    "least certain images": (images_page(sort="confidence"), "ix_job_images_confidence"),
    "far least certain images": (far_page("confidence", 0.5), "ix_job_images_confidence"),
    "most diffuse images": (images_page(sort="clarity"), "ix_job_images_clarity"),
    "far doubtful images": (far_page("surety", 0.5), "ix_job_images_surety"),
    "worst images": (images_page(sort="miou"), "ix_job_images_miou"),
    "what is new since": (
        in_unit(lambda unit: unit.images.since(BIG, 1_800, limit=500), "default"),
        "ix_job_images_version",
    ),
    "all that runs": (in_unit(lambda unit: unit.jobs.standing()), "ix_jobs_unfinished"),
    "what ended lately": (
        in_unit(lambda unit: unit.jobs.standing(since=NOON - timedelta(minutes=5)), "t7"),
        "ix_jobs_tenant_finished_at",
    ),
    "what ended lately, whosever it is": (
        in_unit(lambda unit: unit.jobs.standing(since=NOON - timedelta(minutes=5))),
        "ix_jobs_finished_at",
    ),
    "what was corrected lately": (
        in_unit(lambda unit: unit.corrections.jobs_since(NOON - timedelta(minutes=5))),
        "ix_corrections_made_at",
    ),
    "how many jobs are ahead": (in_unit(lambda unit: unit.jobs.ahead_of([BIG])), "ix_jobs_"),  # either of two will do
    "whether anything is known": (in_unit(lambda unit: unit.known.is_any("t7", [RECIPE])), "known"),
    "what is known": (in_unit(lambda unit: unit.known.find("t7", [RECIPE], [f"{10:064d}", f"{20:064d}"])), "known"),
    "versions": (in_unit(lambda unit: unit.jobs.versions([BIG, "job_0001"])), "jobs"),
}
SORTED = {
    "free what expired",
    "resend what is silent",
    "expired jobs",
    "what ended lately",
    "what ended lately, whosever it is",
    "all that runs",
    "list of jobs by their metadata",
    "list of jobs of a model",
    "images by name",
    "images by what they say",
}  # few rows


@pytest.mark.parametrize("name", WALKS)
def test_it_walks_along_an_index_and_neither_scans_nor_sorts_what_grows(place: Place, name: str) -> None:
    call, index = WALKS[name]
    plans = place.look(call)
    assert plans.scans == []
    assert plans.uses(index), plans.steps
    assert plans.sorts == [] or name in SORTED, plans.steps
