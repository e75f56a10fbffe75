"""What a worker process counts and measures, and what `GET /metrics` of its own port tells. Names are kept few: models
of the catalogue, known codes, known steps."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from jobs.job import Job, JobImage, Slice
from jobs.ports import Claim, Finished, Outcome
from jobs.upkeep import UpkeepReport
from telemetry import trail
from telemetry.exposition import SECONDS
from telemetry.traces import span
from worker.pipeline.batcher import Tensor
from worker.pipeline.model_cache import LoadedModel

logger = logging.getLogger(__name__)

SIZES = (1, 2, 4, 8, 16, 32, 64)
LOST_LEASE, HANDED_BACK = "lease_lost", "handed_back"


DeviceCall = Callable[[Tensor], Tensor]
Measured = Callable[[DeviceCall, str], DeviceCall]


def unmeasured(run: DeviceCall, _model: str) -> DeviceCall:
    return run


class WorkerMetrics:
    """Implements `jobs.watching.observing.Observer`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, what: str, *labels: str) -> Counter:
            return Counter(f"maskmill_{name}", what, labels, registry=registry)

        def histogram(name: str, what: str, *labels: str, buckets: Sequence[float] = SECONDS) -> Histogram:
            return Histogram(f"maskmill_{name}", what, labels, registry=registry, buckets=buckets)

        self.registry = registry
        self.slices = counter("slices", "Slices that this process took from the queue.", "queue", "result")
        self.slice_s = histogram("slice_seconds", "From the message to its last image.", "queue")
        self.images = counter("images", "Attempts that ended an image.", "model", "status", "reason")
        self.reused = counter("images_reused", "Images that an earlier result answered, without this model.", "model")
        self.retries = counter("image_retries", "Attempts after which the image waits for another one.", "reason")
        self.stage_s = histogram("stage_seconds", "One step of one picture that succeeded.", "stage", "model")
        self.attempt_s = histogram("attempt_seconds", "One try at an image, however it ended.")
        self.batches = histogram("batch_size", "Pictures in one device call.", "model", buckets=SIZES)
        self.batch_s = histogram("batch_seconds", "One device call.", "model")
        self.late = counter("late_results", "Results that came when the attempt counted no more.")
        self.leases = counter("leases_lost", "Images whose worker vanished, as upkeep found them.")
        self.resent = counter("images_resent", "Images whose message was lost, as upkeep found them.")
        self.deleted = counter("jobs_deleted", "Jobs and abandoned uploads whose objects upkeep removed.")

        self._counted = cache(self.images.labels)  # to look one up takes longer than to count
        self._known = cache(self.reused.labels)
        self._timed = cache(self.stage_s.labels)

    @contextmanager
    def attempt(self, job: Job, image: JobImage) -> Iterator[None]:
        where: dict[str, str | int] = {"job_id": job.id, "image": image.index, "attempt": image.attempt}
        with trail.following(where), span("image", where), self.attempt_s.time():
            yield

    def ended(self, job: Job, outcomes: Sequence[Outcome], finished: Finished) -> None:
        for outcome in outcomes:
            if outcome.index in finished.lost:
                self.late.inc()
            elif outcome.retry_in_s is not None:
                self.retries.labels(_reason(outcome)).inc()
            else:
                self._end(job, outcome)

    def watch(self, piece: Slice, run: Callable[[Slice], Claim | None], carried: Mapping[str, str]) -> None:
        """Run a slice. carried: by its message: `request_id`, `traceparent`, where it came from a request."""
        queue, began = piece.priority.value, time.monotonic()
        named: dict[str, str | int] = {"job_id": piece.job_id, "first": piece.first, "last": piece.last}
        with (
            trail.following({"job_id": piece.job_id, **_request(carried)}),
            span("slice", named, parent=carried, kind="consumer"),
        ):
            claim = run(piece)
            seconds = time.monotonic() - began
            if claim is not None:
                _log(claim, queue, seconds)
        self.slices.labels(queue, "nothing" if claim is None else "worked").inc()
        if claim is not None:
            self.slice_s.labels(queue).observe(seconds)

    def upkeep_done(self, report: UpkeepReport) -> None:
        self.leases.inc(report.freed)
        self.resent.inc(report.resent)
        self.deleted.inc(report.deleted)

    def measured(self, run: DeviceCall, model: str) -> DeviceCall:
        """The same device call, counted and timed."""
        sizes, seconds = self.batches.labels(model), self.batch_s.labels(model)

        def run_measured(batch: Tensor) -> Tensor:
            sizes.observe(len(batch))
            with seconds.time():
                return run(batch)

        return run_measured

    def show(self, models: Callable[[], Sequence[LoadedModel]]) -> None:
        """From now on these are told too."""
        self.registry.register(_Memory(models))

    def _end(self, job: Job, outcome: Outcome) -> None:
        status = "canceled" if outcome.canceled else "failed" if outcome.failure else "succeeded"
        for model in job.models:
            self._counted(model, status, "" if outcome.failure is None else outcome.failure.code).inc()
        for model, result in zip(job.models, outcome.results, strict=False):
            self._known(model).inc(result.reused)
            for stage, milliseconds in result.timings_ms.items():
                self._timed(stage, model).observe(milliseconds / 1e3)


def _log(claim: Claim, queue: str, seconds: float) -> None:
    """What was taken, which need not be what the message named."""
    indices = [image.index for image in claim.images]
    where = {"job_id": claim.job.id, "first": min(indices), "last": max(indices), "images": len(indices)}
    logger.info("slice done", extra={"action": "slice_done", **where, "queue": queue, "seconds": round(seconds, 3)})


def _request(carried: Mapping[str, str]) -> trail.Trail:
    return {"request_id": carried["request_id"]} if "request_id" in carried else {}


def _reason(outcome: Outcome) -> str:
    if outcome.waiting_for is not None:
        return f"{outcome.waiting_for}_away"
    return HANDED_BACK if outcome.failure is None else outcome.failure.code


class _Memory(Collector):
    def __init__(self, models: Callable[[], Sequence[LoadedModel]]) -> None:
        self._models = models

    def describe(self) -> Sequence[Any]:
        return ()  # nothing is asked while it registers

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Of the models that are loaded now; of the device where torch runs one."""
        loaded = GaugeMetricFamily(
            "maskmill_model_memory_bytes", "Estimated, of a loaded model.", labels=["model", "device"]
        )
        for model in self._models():
            loaded.add_metric([model.card.name, model.engine.device], model.memory_bytes)
        yield loaded
        device = GaugeMetricFamily("maskmill_device_memory_bytes", "Taken by torch on its device.", labels=["kind"])
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_initialized():
            device.add_metric(["allocated"], torch.cuda.memory_allocated())
            device.add_metric(["reserved"], torch.cuda.memory_reserved())
        yield device
