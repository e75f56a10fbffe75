"""What one worker process holds, built once, in the order in which the parts need each other."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import cv2

from broker.app import app
from broker.dispatch import CeleryDispatcher
from broker.lane import Lane
from broker.settings import BrokerSettings
from broker.wakeups import WakeUps
from data.sample_library import open_samples
from jobs.errors import JobsError, ModelFailed
from jobs.inputs.inputs import Inputs
from jobs.inputs.kept import KeptSources
from jobs.job import Slice
from jobs.ports import Claim, Dispatcher, OpenUnit, UnitOfWork
from jobs.processing.image_work import ImageWork
from jobs.processing.leftovers import Leftovers
from jobs.processing.picture_ports import later
from jobs.processing.processing import Processing, ProcessingRules
from jobs.processing.retry import RetryPolicy
from jobs.processing.room import PixelRoom
from jobs.reporting.keeping import keep_ripe
from jobs.reporting.outputs import Outputs
from jobs.tenants.turns import Turns
from jobs.upkeep import Contact, Upkeep, UpkeepRules
from jobs.watching.workers import WorkerBeat
from segmentation.engines import AUTO
from segmentation.errors import SegmentationError
from storage.catalog import Bundle, open_catalog
from storage.objects import open_objects
from storage.objects.buckets import open_buckets
from storage.registry.mlflow_registry import MlflowRegistry
from storage.registry.tunings import open_tunings
from storage.registry.versions import versions_in
from storage.settings import StorageSettings
from storage.unit_of_work import Database, open_database
from telemetry import trail
from telemetry.exposition import Port, process_registry
from telemetry.traces import begin_tracing, end_tracing
from telemetry.version import version
from worker.beats import Beats, sign_of_life
from worker.engines import FIRST_GPU, MEND, Engine, EngineRules, find_device, has_gpu, runtime_of, unfit, why_not
from worker.engines.spare import WithSpare
from worker.fair_executor import FairExecutor, Pace
from worker.follower import Follower, followed, place_among
from worker.memory import give_back
from worker.metrics import Measured, WorkerMetrics, unmeasured
from worker.metrics_port import open_metrics_port
from worker.pipeline.batcher import Batcher, BatchRules
from worker.pipeline.budget import Budget
from worker.pipeline.decoder import PictureDecoder
from worker.pipeline.model_cache import LoadedModel, ModelCache
from worker.pipeline.predictor import Predictor
from worker.pipeline.quick_formats import QUICK_FORMATS
from worker.settings import WorkerSettings, cpu_count
from worker.sources import WorkerSources
from worker.tuning.tuner import SECONDS, Tuner, Wishes
from worker.watchdog import Watchdog
from worker.web.downloads import FetchRules
from worker.web.safe_http import Guard

logger = logging.getLogger(__name__)

GPU_BATCH = 8
BEATS_MISSED = 3  # beyond, a process does not know whether the database was there in between
LOADING_LIMITS = 5  # a model may take so many times as long to load as a device call
MEMORY_PER_WEIGHT = 8  # bytes: the weights as float32, and once more as the runtime packs them


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    processing: Processing
    upkeep: Upkeep
    outputs: Outputs
    models: ModelCache
    follower: Follower
    beats: Beats
    threads: FairExecutor
    lane: Lane
    dispatcher: CeleryDispatcher
    database: Database
    wake_ups: WakeUps
    watchdog: Watchdog
    metrics: WorkerMetrics
    port: Port | None

    def take_turn(self, piece: Slice) -> Claim | None:
        """As `Processing.run`; then the job's archive is prepared, so far as the job has come."""
        claim = self.processing.run(piece)
        if claim is not None:
            keep_ripe(self.processing.open_unit, claim)
        return claim

    def show_life(self) -> None:
        """From now on slices are taken."""
        self.beats.start()
        self.follower.start()
        self.lane.start()

    def stop_taking(self) -> None:
        """First step of a clean end: what runs ends, the rest goes back to the queue."""
        self.lane.stop()
        self.processing.stop()

    def close(self) -> None:
        self.stop_taking()
        self.lane.close()
        self.threads.shutdown()
        self.beats.close()
        self.follower.close()
        self.models.close()
        self.watchdog.close()
        self.dispatcher.close()
        self.database.close()
        self.wake_ups.close()
        if self.port is not None:
            self.port.close()
        end_tracing()


def build(name: str, settings: WorkerSettings, storage: StorageSettings) -> Runtime:
    """name: of this process among all workers. Loads the models to preload."""
    cv2.setNumThreads(1)  # pictures run side by side; threads inside each would only get in one another's way
    metrics = _begin_telling(name)
    rules = engine_rules(settings, open_catalog(storage).bundles())
    watchdog = Watchdog(settings.device_call_limit_s)
    models = open_models(settings, storage, rules, watchdog, metrics.measured)
    metrics.show(models.loaded)
    port = open_metrics_port(metrics.registry, settings, storage, name)
    follower = open_follower(settings, storage, models)
    follower.begin()
    tell_unfit(settings, rules, open_catalog(storage).bundles())  # those that are followed included
    preload(models, settings.preload)
    wake_ups = WakeUps(BrokerSettings().broker_url())
    database = open_database(storage, on_commit=wake_ups.publish)
    thread_count = settings.picture_thread_count(streams=rules.streams)
    threads = FairExecutor(thread_count, name="picture", processors=cpu_count(), pace=pace_of(rules))
    dispatcher = CeleryDispatcher(app)
    objects = open_objects(storage, threads.waiting)
    policy = RetryPolicy(attempts=settings.attempts)
    kept = KeptSources(objects, open_buckets(storage), open_samples(), settings.download_max_bytes)
    spool = settings.resolved_spool_folder
    spool.mkdir(parents=True, exist_ok=True)
    outputs = Outputs(database.unit, Inputs(kept, spool), open_catalog(storage), f"maskmill {version()}")
    sources = WorkerSources(kept, fetch_rules(settings), spool)
    work = open_work(settings, models, sources, policy, threads=thread_count, executor=threads)
    unit = _as_short(database.unit, threads) if _is_at_home(storage) else database.unit
    processing = Processing(unit, work, threads, policy, processing_rules(name, settings), Turns(policy), metrics)
    contact = Contact(gap_s=BEATS_MISSED * settings.beat_s, since=time.monotonic())
    upkeep = _open_upkeep(database, work, dispatcher, outputs, settings, contact)
    state = partial(_beat, name, rules, models, follower)
    sign, tidy = sign_of_life(storage.home, name), database.checkpoint
    beats = Beats(database.unit, state, sign, every_s=settings.beat_s, contact=contact, tidy=tidy)
    logger.info("worker %s runs on %s", name, rules, extra={"action": "worker_started", "worker": name})
    return Runtime(
        processing=processing,
        upkeep=upkeep,
        outputs=outputs,
        models=models,
        follower=follower,
        beats=beats,
        threads=threads,
        lane=Lane(app, lambda piece, carried: metrics.watch(piece, processing.run, carried)),
        dispatcher=dispatcher,
        database=database,
        wake_ups=wake_ups,
        watchdog=watchdog,
        metrics=metrics,
        port=port,
    )


def _is_at_home(storage: StorageSettings) -> bool:
    """Whether the database is a part of this process; with another, most of the time goes into waiting for it."""
    return storage.resolved_database_url.startswith("sqlite")


def _as_short(open_unit: OpenUnit, threads: FairExecutor) -> OpenUnit:
    """Claims and results, which are Python for the most part, as short pictures are."""

    @contextmanager
    def opened(tenant: str | None = None) -> Iterator[UnitOfWork]:
        with threads.as_short(), open_unit(tenant) as unit:
            yield unit

    return opened


def pace_of(rules: EngineRules) -> Pace | None:
    """None where pictures wait for each other, to share a device call."""
    return Pace() if rules.max_batch == 1 else None


def _open_upkeep(
    database: Database,
    work: ImageWork,
    dispatcher: Dispatcher,
    outputs: Outputs,
    settings: WorkerSettings,
    contact: Contact,
) -> Upkeep:
    rules = UpkeepRules(silence_s=settings.silence_s, patience_s=2 * settings.heartbeat_s)
    own = (database.unit, work.objects, work.leftovers, dispatcher, work.policy, rules, contact)
    return Upkeep(*own, to_come=outputs.to_come)


def _begin_telling(name: str) -> WorkerMetrics:
    trail.of_process({"worker": name})
    begin_tracing("worker")
    return WorkerMetrics(process_registry("worker"))


def _beat(name: str, rules: EngineRules, models: ModelCache, follower: Follower) -> WorkerBeat:
    variants = {each.card.name: _shown(each, rules.device) for each in models.loaded()}
    names, followed_now = tuple(sorted(variants)), follower.states()
    return WorkerBeat(name=name, device=rules.device, models=names, variants=variants, followed=followed_now)


def _shown(model: LoadedModel, device: str) -> str:
    """What of it runs; on a GPU also where: a model that it cannot run is on the processor."""
    return model.variant if device == "cpu" else f"{model.variant} on {model.engine.device.split()[1]}"


def engine_rules(settings: WorkerSettings, bundles: Sequence[Bundle] = ()) -> EngineRules:
    """bundles: that are to be run, by which the device is chosen where none was named."""
    wishes = {"engine": settings.engine, "precision": settings.precision}
    return rules_on(find_device(settings.device, bundles, **wishes), settings)


def rules_on(device: str, settings: WorkerSettings) -> EngineRules:
    """Two streams on small machines, one per four processors on large ones; a GPU gets two to hide the copies."""
    cpus, on_gpu = cpu_count(), device != "cpu"
    streams = settings.streams or (2 if on_gpu else min(cpus, max(2, cpus // 4)))
    batch = settings.batch_size or (GPU_BATCH if on_gpu else 1)
    return EngineRules(device=device, max_batch=batch, streams=streams, cpus=cpus)


def tell_unfit(settings: WorkerSettings, rules: EngineRules, bundles: Sequence[Bundle]) -> None:
    """Name each model that cannot be run as the settings want it. Raises ModelFailed when that is all of them, and none
    is to come from a registry: a worker that fails every image takes them from others that would not."""
    try:
        found = unfit(bundles, rules.device, engine=settings.engine, precision=settings.precision)
    except ModelFailed as error:
        if not settings.follow:
            raise
        logger.warning("%s", error, extra={"action": "model_unfit"})
        return
    for name, why in found.items():
        logger.warning("%s cannot be run on %s: %s", name, rules.device, why, extra={"action": "model_unfit"})
    if bundles and rules.device == "cpu" and {settings.device, settings.engine} == {AUTO} and has_gpu():
        because = why_not(bundles[0], FIRST_GPU, precision=settings.precision)
        logger.warning("the GPU is not used (%s): %s", because, MEND, extra={"action": "gpu_unused"})


def open_work(
    settings: WorkerSettings,
    models: ModelCache,
    sources: WorkerSources,
    policy: RetryPolicy,
    *,
    threads: int,
    executor: FairExecutor | None = None,
) -> ImageWork:
    """threads: in which pictures are worked on side by side. executor: whose they are; None: the caller's own."""
    step_out, aside = (executor.step_out, executor.aside) if executor is not None else (lambda: None, later)
    budget = Budget(tiles=settings.max_tiles, tile_bytes=settings.tile_memory_mb * 2**20)
    return ImageWork(
        objects=sources.kept.objects,
        sources=sources,
        decoder=PictureDecoder(max_pixels=settings.max_pixels),
        segmenter=Predictor(models=models, budget=budget),
        room=PixelRoom(settings.pixels_in_flight, threads=threads, give_back=give_back, step_out=step_out),
        leftovers=Leftovers(sources.kept.objects),
        policy=policy,
        formats=QUICK_FORMATS,
        aside=aside,
        spool=sources.spool,
    )


def open_models(
    settings: WorkerSettings,
    storage: StorageSettings,
    rules: EngineRules,
    watchdog: Watchdog,
    measured: Measured = unmeasured,
) -> ModelCache:
    batching = BatchRules(
        max_batch=rules.max_batch,
        streams=rules.streams,
        wait_s=settings.batch_wait_ms / 1e3 if rules.max_batch > 1 else 0.0,
        limit_s=settings.queue_limit_s,
    )

    tuner = open_tuner(settings, storage, rules)

    def load(bundle: Bundle) -> LoadedModel:
        with watchdog.call(f"loading {bundle.card.name}", limits=LOADING_LIMITS):
            bundle.verify()
            opened = tuner.open(bundle)
        engine, streams = _with_spare(bundle, opened.engine, tuner), opened.streams
        room = 2 * engine.max_batch * streams
        fitting = replace(batching, max_batch=engine.max_batch, streams=streams, capacity=room)
        batcher = Batcher(measured(engine.run, bundle.card.name), fitting, name=bundle.card.name, watchdog=watchdog)
        return LoadedModel(bundle.card, bundle.space(), engine, batcher, MEMORY_PER_WEIGHT * bundle.card.parameters)

    place, limit_bytes = place_among(followed(settings.follow)), settings.memory_limit_mb * 2**20
    return ModelCache(open_catalog(storage), load, limit_bytes=limit_bytes, place=place)


def _with_spare(bundle: Bundle, engine: Engine, tuner: Tuner) -> Engine:
    """On a GPU with the processor in reserve: images do not pay for a device that fails while it serves."""
    name, device, _ = engine.device.split()
    spare = tuner.spare
    if device == "cpu" or spare is None:
        return engine

    def open_spare() -> tuple[Engine, int]:
        opened = spare.open(bundle)
        return opened.engine, opened.streams

    return WithSpare(bundle.card.name, engine, lambda: runtime_of(name).answers(device), open_spare)


def open_tuner(
    settings: WorkerSettings, storage: StorageSettings, rules: EngineRules, *, seconds: float = SECONDS
) -> Tuner:
    """seconds: that measuring may take. On a GPU with the processor as a spare, in whichever engine can: an image that
    fails for want of a library on one worker would be a loss that another one could have spared."""
    wishes = Wishes(engine=settings.engine, precision=settings.precision, streams=settings.streams)
    tuner = Tuner(tunings=open_tunings(storage), rules=rules, wishes=wishes, seconds=seconds)
    if rules.device == "cpu":
        return tuner
    spare = replace(tuner, rules=rules_on("cpu", settings), wishes=replace(wishes, engine=AUTO))
    return replace(tuner, spare=spare)


def open_follower(settings: WorkerSettings, storage: StorageSettings, models: ModelCache) -> Follower:
    return Follower(
        references=followed(settings.follow),
        registry=MlflowRegistry(settings.resolved_registry_uri),
        catalog=open_catalog(storage),
        versions=versions_in(storage.model_folders),
        models=models,
        every_s=settings.follow_every_s,
    )


def preload(models: ModelCache, names: Sequence[str]) -> None:
    """A model that cannot be loaded fails its own images later; the others are served."""
    for name in names:
        try:
            with models.use(name):
                pass
        except (JobsError, SegmentationError) as error:
            logger.error("model %s could not be loaded: %s", name, error, extra={"action": "preload_failed"})


def fetch_rules(settings: WorkerSettings) -> FetchRules:
    guard = Guard(timeout_s=settings.download_timeout_s, allowed=settings.allowed_addresses)
    return FetchRules(max_bytes=settings.download_max_bytes, guard=guard)


def processing_rules(name: str, settings: WorkerSettings) -> ProcessingRules:
    return ProcessingRules(
        worker=name,
        lease_s=settings.lease_s,
        heartbeat_s=settings.heartbeat_s,
        image_limit_s=settings.image_limit_s,
    )
