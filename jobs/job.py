"""What a job is: its images, their statuses and results, the slices that carry it to workers.

How states follow one another is `transitions.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from jobs.callers import DEFAULT_TENANT
from jobs.options import JobOptions
from jobs.spaces import JobSpaces
from segmentation.label_space import LabelClass, LabelSpace
from segmentation.measures.agreement import Agreement
from segmentation.measures.metrics import Counted, sum_of


class ImageStatus(StrEnum):
    QUEUED = "queued"  # waits for a worker
    RUNNING = "running"  # a worker holds a lease on it
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


class JobStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"  # finished; some images failed
    FAILED = "failed"  # finished; no image succeeded
    CANCELED = "canceled"


class Priority(StrEnum):
    INTERACTIVE = "interactive"
    BULK = "bulk"


class SourceKind(StrEnum):
    OBJECT = "object"  # a key in the object store, written as the request came
    UPLOAD = "upload"  # a key in the object store too, of an upload, which outlives the job when another needs it
    BUCKET = "bucket"  # read by the worker from a bucket that the operator allows
    URL = "url"  # fetched by the worker
    SAMPLE = "sample"  # one of the bundled sample scenes


TERMINAL = frozenset({JobStatus.SUCCEEDED, JobStatus.PARTIAL, JobStatus.FAILED, JobStatus.CANCELED})


class Source(NamedTuple):
    """Where the bytes of a picture or a mask come from. `location`: an object key, `bucket/key`, a URL or a
    sample's id."""

    kind: SourceKind
    location: str

    @property
    def is_stored(self) -> bool:
        """Whether `location` is a key of the object store."""
        return self.kind in (SourceKind.OBJECT, SourceKind.UPLOAD)


@dataclass(frozen=True, slots=True)
class Failure:
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ImageWarning:
    """What a client should know of a result that stands all the same. code: stable, as `mask_unknown_ids`."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A stored result of an image in one format. `crc32` lets an archive be laid out before a byte is read."""

    name: str
    key: str
    media_type: str
    size: int
    crc32: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageMetrics:
    """What was measured on one image.

    class_fractions: share of the pixels per class name, in [0, 1], classes that occur only.
    mean_confidence, mean_entropy; low_confidence, coverage: shares of pixels below 0.5, not void. None: not measured.
    confusion: (C, C) counts as nested lists, rows truth, columns prediction; None without ground truth.
    corrected: the ground truth is a correction, and not the mask that came with the picture.
    """

    class_fractions: Mapping[str, float]
    mean_confidence: float | None = None
    mean_entropy: float | None = None
    low_confidence: float | None = None
    coverage: float | None = None
    confusion: Counted | None = None
    pixel_accuracy: float | None = None
    miou: float | None = None
    mean_dice: float | None = None
    iou: Mapping[str, float] | None = None
    corrected: bool = False


class ModelVersion(NamedTuple):
    """Which weights made a result. sha256: hex, of the file that ran; empty where an older row does not tell."""

    name: str
    version: str
    sha256: str


class ModelIdentity(NamedTuple):
    """What ran: weights, and how. device: for people, the runtime, the device and its precision. Empty where an older
    row does not tell. bundle: digest of what else decides its answers; of a model at hand alone, no row keeps it."""

    name: str = ""
    version: str = ""
    sha256: str = ""
    precision: str = ""
    engine: str = ""
    device: str = ""
    bundle: str = ""

    @property
    def weights(self) -> ModelVersion:
        return ModelVersion(self.name, self.version, self.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageResult:
    """What one model made of an image. width, height in pixels after EXIF rotation; timings in milliseconds.
    reused: it made it for an earlier image, whose result this is; the artifacts are copies."""

    width: int
    height: int
    artifacts: tuple[Artifact, ...]
    metrics: ImageMetrics
    timings_ms: Mapping[str, float]
    identity: ModelIdentity
    reused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What several models made of one image, side by side. artifacts: those of all of them together."""

    agreement: Agreement
    artifacts: tuple[Artifact, ...] = ()


class NewImage(NamedTuple):
    """One image of a job that is being submitted; its place among the others is its index."""

    source: Source
    name: str
    ref: str | None = None
    mask: Source | None = None
    input_sha256: str | None = None
    mask_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobImage:
    """One image of a job: the unit of work, of retry, of cancellation and of failure.

    attempt: how often a worker claimed it; it is the fencing token of the lease and never falls.
    excused: attempts that do not count against the limit: an outage ended them, or a client had it all tried again.
    lost: how often a lease ran out, that is, how often its worker vanished with it.
    sent_at: when a message last named it; None: it has to be sent. waiting_for: as of its job.
    results: one for each model of the job, in their order; empty before the image has succeeded.
    comparison: of the results, where there are several.
    version: of the job when the image ended; None while it has not.
    input_sha256, mask_sha256: hex, of the bytes; None where nobody has read them yet.
    """

    job_id: str
    index: int
    name: str
    source: Source
    ref: str | None = None
    mask: Source | None = None
    status: ImageStatus = ImageStatus.QUEUED
    attempt: int = 0
    excused: int = 0
    lost: int = 0
    worker: str | None = None
    lease_until: datetime | None = None
    retry_at: datetime | None = None
    sent_at: datetime | None = None
    waiting_for: str | None = None
    failure: Failure | None = None
    results: tuple[ImageResult, ...] = ()
    comparison: Comparison | None = None
    warnings: tuple[ImageWarning, ...] = ()
    version: int | None = None
    finished_at: datetime | None = None
    input_sha256: str | None = None
    mask_sha256: str | None = None

    @property
    def result(self) -> ImageResult | None:
        """Of the job's first model."""
        return self.results[0] if self.results else None

    @property
    def attempts(self) -> int:
        """Tries that count."""
        return self.attempt - self.excused


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many images of a job are in each status."""

    queued: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    canceled: int = 0

    @property
    def total(self) -> int:
        return self.queued + self.running + self.finished

    @property
    def finished(self) -> int:
        return self.succeeded + self.failed + self.canceled

    def status(self, *, started: bool) -> JobStatus:
        """The job's status, derived. `started`: a worker has claimed at least one image since the last (re)queue."""
        if self.queued or self.running:
            return JobStatus.RUNNING if started or self.running else JobStatus.QUEUED
        if self.canceled:
            return JobStatus.CANCELED
        if not self.failed:
            return JobStatus.SUCCEEDED
        return JobStatus.PARTIAL if self.succeeded else JobStatus.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTotals:
    """Sums over a job's succeeded images for one of its models, kept by the statement that finishes an image.

    class_pixels: pixels per class name; confidence_sum over `confidence_images` images;
    confusion: summed (C, C) counts over `truth_images` images with ground truth, `corrected_images` of them corrected;
    made_by: images per version of the model: a followed alias may move while the job runs.
    """

    class_pixels: Mapping[str, int] = field(default_factory=dict)
    confidence_sum: float = 0.0
    confidence_images: int = 0
    confusion: Counted | None = None
    truth_images: int = 0
    corrected_images: int = 0
    made_by: Mapping[ModelVersion, int] = field(default_factory=dict)

    def plus(self, result: ImageResult) -> JobTotals:
        """These sums with one more image, which nobody has corrected yet."""
        metrics, pixels, weights = result.metrics, result.width * result.height, result.identity.weights
        counts = dict(self.class_pixels)
        for name, fraction in metrics.class_fractions.items():
            counts[name] = counts.get(name, 0) + round(fraction * pixels)
        measured = metrics.mean_confidence is not None
        return JobTotals(
            class_pixels=counts,
            confidence_sum=self.confidence_sum + (metrics.mean_confidence or 0.0),
            confidence_images=self.confidence_images + measured,
            confusion=sum_of(self.confusion, metrics.confusion),
            truth_images=self.truth_images + (metrics.confusion is not None),
            corrected_images=self.corrected_images,
            made_by={**self.made_by, weights: self.made_by.get(weights, 0) + 1},
        )

    def rescored(self, before: ImageMetrics, after: ImageMetrics) -> JobTotals:
        """These sums after one of their images got another ground truth, or its first."""
        return replace(
            self,
            confusion=sum_of(self.confusion, after.confusion, without=before.confusion),
            truth_images=self.truth_images + (after.confusion is not None) - (before.confusion is not None),
            corrected_images=self.corrected_images + after.corrected - before.corrected,
        )


@dataclass(frozen=True, slots=True)
class Skipped:
    """What came with the images and is none: how many files, and the names of a few."""

    count: int = 0
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Images submitted together, for one or more models and some artifacts.

    credential: the key with which it was submitted. prefix: below it lie the job's objects; it ends with `/`.
    version counts the visible changes of the job: it grows with every image that changes, and is its ETag.
    finished_before: images that had ended when the job was last tried again; they say nothing of how fast it is now.
    totals: one for each model, in their order. agreement: of several models, over the images that have succeeded.
    warnings: images that ended with a warning of that code.
    waiting_for: the part of the service that holds the job up, as `storage` that is away, or `newer_worker`.
    told_at: when a delivery of a webhook was last owed. reused: images for which no model had to run.
    spaces: what the ids mean, where `label_space` and `options` name it.
    skipped: None of a job that was made when names were no paths yet; its archive has no folders for them.
    """

    id: str
    tenant: str = DEFAULT_TENANT
    credential: str | None = None
    prefix: str
    models: tuple[str, ...]
    label_space: str
    priority: Priority
    options: JobOptions
    counts: Counts
    created_at: datetime
    expires_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    finished_before: int = 0
    totals: tuple[JobTotals, ...] = (JobTotals(),)
    agreement: Agreement | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    slice_size: int = 1
    version: int = 1
    skipped: Skipped | None = None
    warnings: Mapping[str, int] = field(default_factory=dict)
    waiting_for: str | None = None
    told_at: datetime | None = None
    reused: int = 0
    spaces: JobSpaces = field(default_factory=JobSpaces)

    def __post_init__(self) -> None:
        if not 0 < len(self.models) == len(self.totals):
            raise ValueError(f"a job needs as many totals as models, got {len(self.totals)} and {self.models}")

    @property
    def model(self) -> str:
        """The first one."""
        return self.models[0]

    @property
    def space(self) -> LabelSpace:
        """What the ids of its results mean."""
        return self.spaces.get(self.label_space)

    @property
    def mask_space(self) -> LabelSpace:
        """What the ids of its ground truth mean."""
        return self.spaces.get(self.options.mask_label_space or self.label_space)

    def impossible_classes(self, model: int = 0) -> tuple[LabelClass, ...]:
        """Those of the job's label space that the model at this position has no way to give."""
        return self.spaces.missing_from(self.label_space, model)

    @property
    def status(self) -> JobStatus:
        return self.counts.status(started=self.started_at is not None)

    @property
    def is_finished(self) -> bool:
        return self.status in TERMINAL

    def slices(self) -> Iterator[Slice]:
        """The whole job as messages, in input order."""
        for first in range(0, self.counts.total, self.slice_size):
            last = min(first + self.slice_size, self.counts.total) - 1
            yield Slice(job_id=self.id, first=first, last=last, priority=self.priority)

    def slices_with(self, indices: Iterable[int]) -> Iterator[Slice]:
        """Those that hold any of these images, in input order."""
        wanted = {index // self.slice_size for index in indices}
        return (piece for piece in self.slices() if piece.first // self.slice_size in wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The images `first … last` (both included) of a job: what one message names, what a worker claims at once."""

    job_id: str
    first: int
    last: int
    priority: Priority

    def __post_init__(self) -> None:
        if not 0 <= self.first <= self.last:
            raise ValueError(f"a slice needs 0 <= first <= last, got {self.first}…{self.last}")
