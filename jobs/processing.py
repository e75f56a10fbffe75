"""What a worker does with one slice of images. Called by the Celery task, and by nothing else."""

from __future__ import annotations

import logging
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field

from jobs.errors import DatabaseUnavailable, JobNotFound, OutOfMemory
from jobs.job import Artifact, ImageMetrics, ImageResult, Job, JobImage, Slice
from jobs.keys import artifact_key
from jobs.lease import Lease
from jobs.ports import Claim, Finished, ObjectStore, OpenUnit, Outcome, Prediction, Segmenter, Sources
from jobs.retry import RetryPolicy, failure_of
from segmentation.formats import FORMATS, FormatOptions
from segmentation.label_map import LabelMap
from segmentation.metrics import as_counts, confusion_matrix, iou_per_class, mean_dice, mean_iou, pixel_accuracy
from segmentation.palette import COLOUR_BLIND
from segmentation.pictures import decode_mask

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessingRules:
    """worker: this process's name. Results are written in groups of `flush_images`, or after `flush_s`."""

    worker: str
    lease_s: float = 30.0
    heartbeat_s: float = 8.0
    flush_s: float = 0.5
    flush_images: int = 16
    max_pixels: int = 200_000_000


@dataclass(frozen=True, slots=True)
class Processing:
    """The executor's threads each take whole pictures; the segmenter joins them into device batches."""

    open_unit: OpenUnit
    objects: ObjectStore
    sources: Sources
    segmenter: Segmenter
    executor: Executor
    policy: RetryPolicy
    rules: ProcessingRules
    monotonic: Callable[[], float] = time.monotonic
    _stopping: threading.Event = field(default_factory=threading.Event)

    def run(self, piece: Slice) -> None:
        """Claim the slice and end every image of it: succeeded, failed, canceled, or queued again."""
        if self._stopping.is_set():
            self._hand_on(piece)
            return
        asked_at = self.monotonic()
        claim = self._claim(piece)
        if claim is None:
            return
        with Lease(self.open_unit, self.monotonic, self.rules, claim, asked_at=asked_at) as lease:
            self._run_images(claim, lease)

    def stop(self) -> None:
        """No further image begins; what was claimed but not begun goes back to the queue."""
        self._stopping.set()

    def _hand_on(self, piece: Slice) -> None:
        """Its message is used up: upkeep has to send it to another worker."""
        with self.open_unit() as unit:
            unit.images.unsend([piece])
            unit.commit()

    def _claim(self, piece: Slice) -> Claim | None:
        with self.open_unit() as unit:
            claim = unit.images.claim(piece, worker=self.rules.worker, lease_s=self.rules.lease_s)
            unit.commit()
        return claim

    def _run_images(self, claim: Claim, lease: Lease) -> None:
        running = {self.executor.submit(self._attempt, claim.job, image, lease): image for image in claim.images}
        done: list[Outcome] = []
        flushed = time.monotonic()
        while running:
            ended, _ = wait(running, timeout=self.rules.flush_s, return_when=FIRST_COMPLETED)
            done += [self._outcome(future, running.pop(future)) for future in ended]
            due = time.monotonic() - flushed >= self.rules.flush_s or len(done) >= self.rules.flush_images
            if done and (due or not running):
                self._finish(claim.job, done, lease)
                done, flushed = [], time.monotonic()

    def _attempt(self, job: Job, image: JobImage, lease: Lease) -> Outcome:
        """One try at one image. Whatever it raises becomes the image's failure or its next try."""
        if lease.canceled:
            return Outcome(index=image.index, attempt=image.attempt, canceled=True)
        result = None
        try:
            if not self._stopping.is_set() and lease.holds(image.index):
                result = self._process(job, image, lease)
        except MemoryError as error:
            raise OutOfMemory("the worker ran out of memory with this image") from error
        if result is None:
            return Outcome(index=image.index, attempt=image.attempt, retry_in_s=0.0)
        return Outcome(index=image.index, attempt=image.attempt, results=(result,))

    def _outcome(self, future: Future[Outcome], image: JobImage) -> Outcome:
        error = future.exception()
        if error is None:
            return future.result()
        if not isinstance(error, Exception):
            raise error
        delay_s = self.policy.retry_after_s(error, attempt=image.attempts)
        logger.warning(
            "image failed",
            exc_info=error,
            extra={"action": "image_failed", "job_id": image.job_id, "image": image.index, "retry_in_s": delay_s},
        )
        return Outcome(index=image.index, attempt=image.attempt, failure=failure_of(error), retry_in_s=delay_s)

    def _process(self, job: Job, image: JobImage, lease: Lease) -> ImageResult | None:
        """None when the lease was lost on the way: nothing is stored over what another worker may have stored."""
        watch = _Stopwatch()
        data = self.sources.read(image.source)
        truth = None if image.mask is None else self.sources.read(image.mask)
        watch.lap("fetch")
        prediction = self.segmenter.segment(data, model=job.model, tile=job.options.tile)
        watch.skip()
        label_map = prediction.label_map.remapped(job.space)
        metrics = self._measure(job, label_map, prediction, truth)
        watch.lap("metrics")
        if not lease.holds(image.index):
            return None
        artifacts = self._store(job, image, label_map, prediction, watch)
        return ImageResult(
            width=label_map.width,
            height=label_map.height,
            artifacts=artifacts,
            metrics=metrics,
            timings_ms={**prediction.timings_ms, **watch.laps_ms, "total": watch.total_ms},
            identity=prediction.identity,
        )

    def _measure(self, job: Job, label_map: LabelMap, prediction: Prediction, truth: bytes | None) -> ImageMetrics:
        fractions = label_map.class_fractions()
        if truth is None:
            return ImageMetrics(
                class_fractions=fractions,
                mean_confidence=label_map.mean_confidence,
                mean_entropy=prediction.mean_entropy,
            )
        space = label_map.space
        truth_space = job.mask_space
        ids = LabelMap(decode_mask(truth, max_pixels=self.rules.max_pixels), truth_space).remapped(space).ids
        confusion = confusion_matrix(ids, label_map.ids, space=space, with_missed=True)
        iou = zip(space.names(), iou_per_class(confusion), strict=True)
        return ImageMetrics(
            class_fractions=fractions,
            mean_confidence=label_map.mean_confidence,
            mean_entropy=prediction.mean_entropy,
            confusion=as_counts(confusion),
            pixel_accuracy=_known(pixel_accuracy(confusion)),
            miou=_known(mean_iou(confusion)),
            mean_dice=_known(mean_dice(confusion)),
            iou={name: float(value) for name, value in iou if value == value},
        )

    def _store(
        self, job: Job, image: JobImage, label_map: LabelMap, prediction: Prediction, watch: _Stopwatch
    ) -> tuple[Artifact, ...]:
        """Encode all formats first, then store: an image that cannot be encoded leaves nothing behind."""
        overlay = job.options.overlay
        options = FormatOptions(
            opacity=overlay.opacity,
            overlay_format=overlay.format,
            colour_blind_safe=overlay.palette == COLOUR_BLIND,
            file_name=image.name,
        )
        encoded = {name: FORMATS[name].encode(label_map, prediction.picture, options) for name in job.options.artifacts}
        watch.lap("encode")
        artifacts = []
        for name, each in encoded.items():
            key = artifact_key(job, name, image.index, attempt=image.attempt)
            size = self.objects.put(key, each.data, media_type=each.media_type)
            checksum = zlib.crc32(each.data)
            artifacts.append(Artifact(name=name, key=key, media_type=each.media_type, size=size, crc32=checksum))
        watch.lap("store")
        return tuple(artifacts)

    def _finish(self, job: Job, outcomes: Sequence[Outcome], lease: Lease) -> None:
        """Write outcomes. A database that is away is asked again while the leases can still be ours."""
        give_up = time.monotonic() + self.rules.lease_s
        answer = self._write(job, outcomes)
        while answer is None:
            if time.monotonic() >= give_up:
                raise DatabaseUnavailable("the results of a slice could not be written")
            time.sleep(min(1.0, self.rules.flush_s))
            answer = self._write(job, outcomes)
        lease.release(outcome.index for outcome in outcomes)
        if answer.lost:
            self._tidy(job)

    def _write(self, job: Job, outcomes: Sequence[Outcome]) -> Finished | None:
        try:
            with self.open_unit() as unit:
                answer = unit.images.finish(job.id, outcomes)
                unit.commit()
        except DatabaseUnavailable:
            return None
        return answer

    def _tidy(self, job: Job) -> None:
        """We came too late. If the job was deleted meanwhile, nobody else would remove what we just stored."""
        try:
            with self.open_unit() as unit:
                unit.jobs.get(job.id)
        except JobNotFound:
            self.objects.delete_prefix(job.prefix)


class _Stopwatch:
    """Milliseconds per step of one image."""

    def __init__(self) -> None:
        self._began = self._lap = time.perf_counter()
        self.laps_ms: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps_ms[name] = round((now - self._lap) * 1e3, 2)
        self._lap = now

    def skip(self) -> None:
        self._lap = time.perf_counter()

    @property
    def total_ms(self) -> float:
        return round((time.perf_counter() - self._began) * 1e3, 2)


def _known(value: float) -> float | None:
    return None if value != value else value
