"""What the routes work with: the use cases on their adapters, opened once for the process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter

from api.bodies.body_pipe import BodyRules
from api.edge.gate import Gate
from api.edge.known_keys import KnownKeys
from api.edge.places import Places
from api.errors import DownloadsBusy, UploadsBusy
from api.live.job_watch import JobWatch
from api.live.job_watch import Reading as LooksOfAll
from api.live.streams import Pages
from api.readiness import Readiness
from api.settings import ApiSettings
from broker.app import make_app
from broker.dispatch import CeleryDispatcher
from broker.settings import BrokerSettings
from broker.wakeups import Tell, WakeUps, listen
from data.sample_library import SampleLibrary, open_samples
from jobs.callers import Caller
from jobs.change import Changing
from jobs.comparing.comparing import Comparing
from jobs.comparing.drift import DriftOrders
from jobs.corrections.correcting import Correcting
from jobs.deliveries.webhooks import Webhooks
from jobs.errors import ModelNotFound
from jobs.exports.exporting import Exporting
from jobs.exports.importing import Importing
from jobs.inputs.inputs import Inputs
from jobs.inputs.kept import KeptSources
from jobs.inputs.recent import RecentPictures
from jobs.ports import Dispatcher, ModelCatalog, ObjectStore, OpenUnit
from jobs.reporting.archive import Archives
from jobs.reporting.events import Telling
from jobs.reporting.read import Reading, Watching
from jobs.submitting.references import References
from jobs.submitting.submit import SubmitRules, Submitting
from jobs.uploads.announcing import UploadLimits
from jobs.uploads.buckets import Buckets
from jobs.uploads.uploading import Receiving, Uploading
from segmentation.picture_files.film import FilmLimits
from storage.catalog import open_catalog
from storage.objects import open_objects
from storage.objects.buckets import open_buckets
from storage.registry.metric_histories import MetricHistories, open_histories
from storage.registry.mlflow_registry import local_tracking
from storage.registry.tunings import open_tunings
from storage.settings import StorageSettings
from storage.unit_of_work import open_database
from telemetry.log_lines import set_up_logging
from telemetry.traces import begin_tracing, end_tracing
from telemetry.version import version

logger = logging.getLogger(__name__)

Listen = Callable[[Tell], Coroutine[Any, Any, None]]


ARCHIVE_THREADS = 2
ARCHIVE_THREADS_FAR = 8  # a store that is reached by network leaves the processor to others while it is waited for


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """listen: calls what it is given with the ids of jobs that changed, until it is cancelled.

    tuned: name of a model → the engine and precision that were measured to be fastest; None: it was not measured.
    archive_threads: that open and read archives at once. To put one together is work that keeps others waiting.
    """

    open_unit: OpenUnit
    check_database: Callable[[], None]
    objects: ObjectStore
    buckets: Buckets
    dispatcher: Dispatcher
    catalog: ModelCatalog
    samples: SampleLibrary
    histories: MetricHistories
    listen: Listen
    tuned: Callable[[str], str | None] = lambda name: None
    archive_threads: int = ARCHIVE_THREADS


BUNDLED_MODEL = "street-fast"  # of a job that names none, where the catalogue has it


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCases:
    """What one caller may do, with what is the caller's own. archive_threads: of all callers."""

    submitting: Submitting
    reading: Reading
    changing: Changing
    correcting: Correcting
    archives: Archives
    archive_threads: CapacityLimiter
    comparing: Comparing
    inputs: Inputs
    exporting: Exporting
    importing: Importing
    webhooks: Webhooks
    uploading: Uploading
    references: References


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """spool: where the files of a request lie until they are in the store. downloads: archives being sent."""

    settings: ApiSettings
    adapters: Adapters
    submit_rules: SubmitRules
    software: str
    gate: Gate
    readiness: Readiness
    watch: JobWatch
    pages: Pages
    spool: Path
    upload_rules: BodyRules
    upload_limits: UploadLimits
    downloads: Places
    receiving: Receiving
    orders: DriftOrders = field(default_factory=DriftOrders)
    recent: RecentPictures = field(default_factory=RecentPictures)

    def use_cases(self, caller: Caller) -> UseCases:
        to = self.adapters
        correcting = Correcting(to.open_unit, to.objects, caller, self.settings.max_pixels)
        kept = KeptSources(to.objects, to.buckets, to.samples, self.settings.max_image_bytes)
        inputs = Inputs(kept, self.spool)
        exporting = Exporting(to.open_unit, inputs, self.software, caller, self.settings.max_pixels)
        return UseCases(
            submitting=Submitting(
                to.open_unit, to.objects, to.dispatcher, to.catalog, self.submit_rules, caller, to.buckets
            ),
            reading=Reading(to.open_unit, to.objects, caller, self.orders),
            changing=Changing(to.open_unit, to.objects, to.dispatcher, caller),
            correcting=correcting,
            archives=Archives(to.open_unit, inputs, to.catalog, self.software, caller),
            archive_threads=self.downloads.threads,
            comparing=Comparing(to.open_unit, caller),
            inputs=inputs,
            exporting=exporting,
            importing=Importing(correcting, exporting),
            webhooks=Webhooks(to.open_unit, to.dispatcher, self.submit_rules.private_webhooks, caller),
            references=References(to.open_unit, to.objects, to.buckets, caller.tenant),
            uploading=Uploading(to.open_unit, to.objects, self.upload_limits, caller),
        )


def assemble(settings: ApiSettings, adapters: Adapters, *, spool: Path) -> Services:
    watching = Watching(adapters.open_unit)
    return Services(
        settings=settings,
        adapters=adapters,
        submit_rules=SubmitRules(
            default_model=_default_model(settings, adapters.catalog),
            max_images=settings.max_images,
            max_request_bytes=settings.max_request_bytes,
            max_image_bytes=settings.max_image_bytes,
            retention_s=settings.retention_s,
            private_webhooks=settings.allow_private_addresses,
            films=FilmLimits(
                longest_s=settings.film_longest_s,
                pixels=settings.max_pixels,
                cpu_s=settings.film_cpu_s,
                memory_bytes=settings.film_memory_bytes,
            ),
            spool=spool,
        ),
        software=f"maskmill {version()}",
        watch=JobWatch(
            LooksOfAll(watching.jobs, watching.versions, watching.progress, watching.standing), poll_s=settings.poll_s
        ),
        gate=Gate(
            KnownKeys(adapters.open_unit, keep_s=settings.key_memory_s), adapters.open_unit, settings.trust_network
        ),
        readiness=Readiness(),
        pages=Pages(Telling(adapters.open_unit)),
        spool=spool,
        upload_rules=_upload_rules(settings),
        upload_limits=UploadLimits(
            image_bytes=settings.max_image_bytes,
            archive_bytes=settings.max_request_bytes,
            expires_s=settings.upload_expires_s,
            waiting_bytes=settings.upload_waiting_bytes,
        ),
        downloads=_download_places(settings, adapters.archive_threads),
        receiving=Receiving(adapters.open_unit, adapters.objects),
    )


@contextmanager
def open_services() -> Iterator[Services]:
    """Read the settings and open every adapter; close them at the end."""
    set_up_logging()
    begin_tracing("api")
    settings, storage = ApiSettings(), StorageSettings()
    spool = settings.spool_folder or storage.home / "run" / "uploads"
    spool.mkdir(parents=True, exist_ok=True)
    broker = BrokerSettings()
    wake_ups = WakeUps(broker.broker_url())
    database = open_database(storage, on_commit=wake_ups.publish)
    dispatcher = CeleryDispatcher(make_app(broker))
    catalog, tunings = open_catalog(storage), open_tunings(storage)
    try:
        adapters = Adapters(
            open_unit=database.unit,
            check_database=database.check,
            objects=open_objects(storage),
            buckets=open_buckets(storage),
            dispatcher=dispatcher,
            catalog=catalog,
            samples=open_samples(),
            histories=open_histories(settings.tracking_uri or local_tracking(storage.home)),
            listen=partial(listen, broker.broker_url()),
            tuned=lambda name: tunings.variant(catalog.find(name)),
            archive_threads=ARCHIVE_THREADS_FAR if storage.s3_bucket else ARCHIVE_THREADS,
        )
        yield assemble(settings, adapters, spool=spool)
    finally:
        dispatcher.close()
        database.close()
        wake_ups.close()
        end_tracing()


def _upload_rules(settings: ApiSettings) -> BodyRules:
    return BodyRules(
        limit=settings.max_request_bytes,
        idle_s=settings.upload_idle_s,
        longest_s=settings.upload_longest_s,
        least_rate=settings.upload_least_rate,
        places=Places(
            settings.uploads_at_once,
            per_caller=settings.uploads_per_caller,
            wait_s=settings.upload_wait_s,
            busy=lambda: UploadsBusy("too many uploads are being read; send this one again later"),
            threads=settings.uploads_at_once,
        ),
    )


def _download_places(settings: ApiSettings, threads: int) -> Places:
    return Places(
        settings.downloads_at_once,
        per_caller=settings.downloads_per_caller,
        wait_s=settings.download_wait_s,
        busy=lambda: DownloadsBusy("too many archives are being sent; ask for this one again later"),
        threads=threads,
    )


def _default_model(settings: ApiSettings, catalog: ModelCatalog) -> str:
    """One that is not there may still come from a registry: no reason not to start."""
    if not settings.default_model:
        return _usual_model(catalog)
    try:
        catalog.card(settings.default_model)
    except ModelNotFound as error:
        told = {"action": "default_model_missing", "model": settings.default_model}
        logger.warning("jobs that name no model are refused: default model: %s", error, extra=told)
    return settings.default_model


def _usual_model(catalog: ModelCatalog) -> str:
    """Empty when there is no model yet: a job must name one then."""
    names = [card.name for card in catalog.list()]
    return BUNDLED_MODEL if BUNDLED_MODEL in names else next(iter(names), "")
