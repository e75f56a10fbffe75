"""What a job is: its images, their statuses and legal transitions, the slices that carry it to workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from jobs.errors import IllegalTransition
from jobs.options import JobOptions


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
    OBJECT = "object"  # a key in the object store, written by the intake
    URL = "url"  # fetched by the worker
    SAMPLE = "sample"  # one of the bundled sample scenes


TERMINAL = frozenset({JobStatus.SUCCEEDED, JobStatus.PARTIAL, JobStatus.FAILED, JobStatus.CANCELED})

INTERACTIVE_IMAGES = 16  # a job of no more than these is `interactive` unless the client says otherwise

NEXT: Mapping[ImageStatus, frozenset[ImageStatus]] = {
    ImageStatus.QUEUED: frozenset({ImageStatus.RUNNING, ImageStatus.CANCELED, ImageStatus.FAILED}),
    ImageStatus.RUNNING: frozenset(
        {ImageStatus.SUCCEEDED, ImageStatus.FAILED, ImageStatus.CANCELED, ImageStatus.QUEUED}
    ),
    ImageStatus.SUCCEEDED: frozenset(),
    ImageStatus.FAILED: frozenset({ImageStatus.QUEUED}),  # only by a retry that the client asked for
    ImageStatus.CANCELED: frozenset(),
}


class Source(NamedTuple):
    """Where the bytes of a picture or a mask come from. `location`: an object key, a URL or a sample's id."""

    kind: SourceKind
    location: str


@dataclass(frozen=True, slots=True)
class Failure:
    code: str
    message: str


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
    mean_confidence, mean_entropy: in [0, 1]; None when the engine gives none.
    confusion: (C, C) counts as nested lists, rows truth, columns prediction; None without ground truth.
    """

    class_fractions: Mapping[str, float]
    mean_confidence: float | None = None
    mean_entropy: float | None = None
    confusion: tuple[tuple[int, ...], ...] | None = None
    pixel_accuracy: float | None = None
    miou: float | None = None
    mean_dice: float | None = None
    iou: Mapping[str, float] | None = None


class ModelVersion(NamedTuple):
    """What made a result. sha256: hex, of the weights that ran; empty where an older row does not tell."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageResult:
    """What a succeeded attempt leaves behind. width, height in pixels after EXIF rotation; timings in milliseconds."""

    width: int
    height: int
    artifacts: tuple[Artifact, ...]
    metrics: ImageMetrics
    timings_ms: Mapping[str, float]
    device: str
    model_version: str
    model_name: str = ""
    model_sha256: str = ""

    @property
    def made_by(self) -> ModelVersion:
        return ModelVersion(self.model_name, self.model_version, self.model_sha256)


class NewImage(NamedTuple):
    """One image of a job that is being submitted; its place among the others is its index."""

    source: Source
    name: str
    ref: str | None = None
    mask: Source | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobImage:
    """One image of a job: the unit of work, of retry, of cancellation and of failure.

    attempt: how often a worker claimed it; it is the fencing token of the lease.
    lost: how often a lease ran out, that is, how often its worker vanished with it.
    """

    job_id: str
    index: int
    name: str
    source: Source
    ref: str | None = None
    mask: Source | None = None
    status: ImageStatus = ImageStatus.QUEUED
    attempt: int = 0
    lost: int = 0
    worker: str | None = None
    lease_until: datetime | None = None
    retry_at: datetime | None = None
    failure: Failure | None = None
    result: ImageResult | None = None
    finished_at: datetime | None = None

    def become(self, status: ImageStatus, *, failure: Failure | None = None) -> JobImage:
        """Raises IllegalTransition when `status` may not follow the current one."""
        if status not in NEXT[self.status]:
            raise IllegalTransition(f"image {self.job_id}/{self.index}: {self.status} → {status} is not possible")
        return replace(self, status=status, failure=failure)


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
    """Sums over a job's succeeded images, kept by the statement that finishes an image.

    class_pixels: pixels per class name; confidence_sum over `confidence_images` images;
    confusion: summed (C, C) counts over `truth_images` images with ground truth;
    made_by: images per version of the model: a followed alias may move while the job runs.
    """

    class_pixels: Mapping[str, int] = field(default_factory=dict)
    confidence_sum: float = 0.0
    confidence_images: int = 0
    confusion: tuple[tuple[int, ...], ...] | None = None
    truth_images: int = 0
    made_by: Mapping[ModelVersion, int] = field(default_factory=dict)

    def plus(self, result: ImageResult) -> JobTotals:
        """These sums with one more image."""
        metrics, pixels = result.metrics, result.width * result.height
        counts = dict(self.class_pixels)
        for name, fraction in metrics.class_fractions.items():
            counts[name] = counts.get(name, 0) + round(fraction * pixels)
        measured = metrics.mean_confidence is not None
        return JobTotals(
            class_pixels=counts,
            confidence_sum=self.confidence_sum + (metrics.mean_confidence or 0.0),
            confidence_images=self.confidence_images + measured,
            confusion=_sum_of(self.confusion, metrics.confusion),
            truth_images=self.truth_images + (metrics.confusion is not None),
            made_by={**self.made_by, result.made_by: self.made_by.get(result.made_by, 0) + 1},
        )


@dataclass(frozen=True, slots=True)
class Skipped:
    """What came with the images and is none: how many files, and the names of a few."""

    count: int = 0
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Images submitted together, for one model and some artifacts.

    version counts the visible changes of the job: it grows with every image that changes, and is its ETag.
    finished_before: images that had ended when the job was last tried again; they say nothing of how fast it is now.
    """

    id: str
    model: str
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
    totals: JobTotals = field(default_factory=JobTotals)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    slice_size: int = 1
    version: int = 1

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


def _sum_of(
    one: tuple[tuple[int, ...], ...] | None, other: tuple[tuple[int, ...], ...] | None
) -> tuple[tuple[int, ...], ...] | None:
    if one is None or other is None:
        return one if other is None else other
    return tuple(tuple(a + b for a, b in zip(left, right, strict=True)) for left, right in zip(one, other, strict=True))


def slice_size(images: int, *, largest: int) -> int:
    """Images per message: one for a small job, so that it spreads; up to `largest` for a large one."""
    return max(1, min(largest, images // 8))


def default_priority(images: int) -> Priority:
    """Small jobs overtake big ones."""
    return Priority.INTERACTIVE if images <= INTERACTIVE_IMAGES else Priority.BULK
