"""What the routes work with: the use cases on their adapters, opened once for the process."""

from __future__ import annotations

import contextlib
import importlib.metadata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from anyio import CapacityLimiter

from api.body_pipe import BodyRules
from api.logs import set_up_logging
from api.settings import ApiSettings
from broker.app import make_app
from broker.dispatch import CeleryDispatcher
from broker.settings import BrokerSettings
from data.sample_library import SampleLibrary, open_samples
from jobs.archive import Archives
from jobs.intake import Intake, IntakeRules
from jobs.ports import Clock, Dispatcher, ModelCatalog, ObjectStore, OpenUnit
from storage.catalog import open_catalog
from storage.objects import open_objects
from storage.settings import StorageSettings
from storage.unit_of_work import open_database


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    open_unit: OpenUnit
    check_database: Callable[[], None]
    objects: ObjectStore
    dispatcher: Dispatcher
    catalog: ModelCatalog
    samples: SampleLibrary
    clock: Clock


BUNDLED_MODEL = "street-fast"  # of a job that names none, where the catalogue has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """spool: where the files of a request lie until they are in the store."""

    settings: ApiSettings
    adapters: Adapters
    intake: Intake
    archives: Archives
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
        spool=spool,
        upload_rules=BodyRules(
            limit=settings.max_request_bytes,
            idle_s=settings.upload_idle_s,
            threads=CapacityLimiter(settings.uploads_at_once),
        ),
    )


@contextmanager
def open_services() -> Iterator[Services]:
    """Read the settings and open every adapter; close them at the end."""
    set_up_logging()
    settings, storage = ApiSettings(), StorageSettings()
    spool = settings.spool_folder or storage.home / "run" / "uploads"
    spool.mkdir(parents=True, exist_ok=True)
    database = open_database(storage)
    dispatcher = CeleryDispatcher(make_app(BrokerSettings()))
    try:
        adapters = Adapters(
            open_unit=database.unit,
            check_database=database.check,
            objects=open_objects(storage),
            dispatcher=dispatcher,
            catalog=open_catalog(storage),
            samples=open_samples(),
            clock=_now,
        )
        yield assemble(settings, adapters, spool=spool)
    finally:
        dispatcher.close()
        database.close()


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
