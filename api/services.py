"""What the routes work with: the use cases on their adapters, opened once for the process."""

from __future__ import annotations

import contextlib
import importlib.metadata
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter

from api.body_pipe import BodyRules
from api.job_watch import JobWatch, Seen
from api.logs import set_up_logging
from api.settings import ApiSettings
from broker.app import make_app
from broker.dispatch import CeleryDispatcher
from broker.settings import BrokerSettings
from broker.wakeups import Tell, WakeUps, listen
from data.sample_library import SampleLibrary, open_samples
from jobs.archive import Archives
from jobs.intake import Intake, IntakeRules
from jobs.ports import Clock, Dispatcher, ModelCatalog, ObjectStore, OpenUnit
from storage.catalog import open_catalog
from storage.objects import open_objects
from storage.settings import StorageSettings
from storage.unit_of_work import open_database

Listen = Callable[[Tell], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """listen: calls what it is given with the ids of jobs that changed, until it is cancelled."""

    open_unit: OpenUnit
    check_database: Callable[[], None]
    objects: ObjectStore
    dispatcher: Dispatcher
    catalog: ModelCatalog
    samples: SampleLibrary
    clock: Clock
    listen: Listen


BUNDLED_MODEL = "street-fast"  # of a job that names none, where the catalogue has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """spool: where the files of a request lie until they are in the store."""

    settings: ApiSettings
    adapters: Adapters
    intake: Intake
    archives: Archives
    watch: JobWatch
    spool: Path
    upload_rules: BodyRules


def assemble(settings: ApiSettings, adapters: Adapters, *, spool: Path) -> Services:
    rules = IntakeRules(
        default_model=settings.default_model or _usual_model(adapters.catalog),
        max_images=settings.max_images,
        max_request_bytes=settings.max_request_bytes,
        max_image_bytes=settings.max_image_bytes,
        retention_s=settings.retention_s,
    )
    intake = Intake(adapters.open_unit, adapters.objects, adapters.dispatcher, adapters.catalog, rules, adapters.clock)
    archives = Archives(adapters.open_unit, adapters.objects, adapters.catalog, software=f"maskmill {version()}")
    return Services(
        settings=settings,
        adapters=adapters,
        intake=intake,
        archives=archives,
        watch=JobWatch(partial(_look, intake), intake.versions, poll_s=settings.poll_s),
        spool=spool,
        upload_rules=BodyRules(
            limit=settings.max_request_bytes,
            idle_s=settings.upload_idle_s,
            threads=CapacityLimiter(settings.uploads_at_once),
        ),
    )


def _look(intake: Intake, job_ids: Collection[str]) -> Mapping[str, Seen]:
    jobs = intake.seen(job_ids)
    progress = intake.progress_of(list(jobs.values()))
    return {job_id: Seen(job, progress[job_id]) for job_id, job in jobs.items()}


@contextmanager
def open_services() -> Iterator[Services]:
    """Read the settings and open every adapter; close them at the end."""
    set_up_logging()
    settings, storage = ApiSettings(), StorageSettings()
    spool = settings.spool_folder or storage.home / "run" / "uploads"
    spool.mkdir(parents=True, exist_ok=True)
    broker = BrokerSettings()
    wake_ups = WakeUps(broker.broker_url())
    database = open_database(storage, on_commit=wake_ups.publish)
    dispatcher = CeleryDispatcher(make_app(broker))
    try:
        adapters = Adapters(
            open_unit=database.unit,
            check_database=database.check,
            objects=open_objects(storage),
            dispatcher=dispatcher,
            catalog=open_catalog(storage),
            samples=open_samples(),
            clock=_now,
            listen=partial(listen, broker.broker_url()),
        )
        yield assemble(settings, adapters, spool=spool)
    finally:
        dispatcher.close()
        database.close()
        wake_ups.close()


def version() -> str:
    for distribution in ("maskmill-server", "maskmill"):  # the second in environments that were made before 0.2
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(distribution)
    return "unknown"


def _usual_model(catalog: ModelCatalog) -> str:
    """Empty when there is no model yet: a job must name one then."""
    names = [card.name for card in catalog.list()]
    return BUNDLED_MODEL if BUNDLED_MODEL in names else next(iter(names), "")


def _now() -> datetime:
    return datetime.now(UTC)
