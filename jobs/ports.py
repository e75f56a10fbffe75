"""What the use cases need from outside. An adapter keeps the promises written here; contract tests hold it to them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from jobs.job import Failure, ImageResult, ImageStatus, Job, JobImage, NewImage, Priority, Slice, Source
from jobs.options import TileOptions
from segmentation.label_map import LabelMap
from segmentation.label_spaces import LabelSpaces
from segmentation.model_card import ModelCard
from segmentation.pictures import Picture

Clock = Callable[[], datetime]  # aware, UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Images that this worker now holds, with the job they belong to. `images` carry their new attempt numbers."""

    job: Job
    images: tuple[JobImage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one attempt ended: exactly one of `result`, `failure`, `retry_at` is set, or `canceled` is true.

    retry_at comes with `failure` = the reason so far.
    """

    index: int
    attempt: int
    result: ImageResult | None = None
    failure: Failure | None = None
    retry_at: datetime | None = None
    canceled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LostImages:
    """Images of one job whose leases ran out, freed again: their indices with how often each was lost so far."""

    job: Job
    lost: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    status: str | None = None
    model: str | None = None


class JobRepository(Protocol):
    """Rows of jobs. Deleted jobs are invisible to everything but `deleted` and `purge`."""

    def add(self, job: Job, images: Iterable[NewImage]) -> None:
        """Insert a job with all its images in bulk, in input order; `job.counts.queued` must equal their number."""

    def get(self, job_id: str) -> Job:
        """Raises JobNotFound."""

    def page(self, where: JobFilter, *, limit: int, before: str | None) -> Sequence[Job]:
        """Newest first; `before`: only jobs older than this id."""

    def several(self, job_ids: Collection[str]) -> Sequence[Job]:
        """Those of these jobs that there are, in the order of their ids."""

    def versions(self, job_ids: Collection[str]) -> Mapping[str, int]:
        """By id; what there is no longer is left out. The cheapest way to see which of many jobs changed."""

    def ahead_of(self, job_ids: Collection[str]) -> Mapping[str, int]:
        """How many unfinished jobs of the same priority are older, by id; jobs that have ended are left out."""

    def request_cancel(self, job_id: str, *, now: datetime) -> Job:
        """Cancel queued images at once and mark the job; running ones are left to their workers. Raises JobNotFound.

        A job that is finished already is returned unchanged.
        """

    def requeue_failed(self, job_id: str, *, now: datetime) -> Job:
        """Failed images back to queued (attempt and lost to 0, failure cleared); the job's started_at, finished_at and
        cancel_requested_at are cleared.

        Raises JobNotFound, JobNotFinished, and NotAllowed when the job is not partial or failed.
        """

    def mark_deleted(self, job_id: str) -> None:
        """Hide the job. Raises JobNotFound, and JobRunning while it is not finished."""

    def expired(self, *, now: datetime, limit: int) -> Sequence[str]:
        """Ids of finished jobs whose `expires_at` has passed."""

    def deleted(self, *, limit: int) -> Sequence[str]:
        """Ids of hidden jobs whose objects and rows still have to go."""

    def purge(self, job_id: str) -> None:
        """Delete the rows for good; nothing happens when they are gone."""


class ImageRepository(Protocol):
    """Rows of images. Every change is compare-and-set and keeps the job's counters, version and totals in step."""

    def get(self, job_id: str, index: int) -> JobImage:
        """Raises JobNotFound, ImageNotFound."""

    def page(
        self, job_id: str, *, status: ImageStatus | None, sort: str, limit: int, after: str | None
    ) -> tuple[Sequence[JobImage], str | None]:
        """`sort`: index, confidence, miou (both ascending, images without the value last).

        Returns the rows and the cursor of the next page. Raises JobNotFound; ValueError for a cursor it did not make.
        """

    def all(self, job_id: str) -> Iterator[JobImage]:
        """Every image in input order, fetched by key in pages: memory does not grow with the job."""

    def claim(self, piece: Slice, *, worker: str, now: datetime, lease_until: datetime) -> Claim | None:
        """Take the queued, due images of a slice: one conditional UPDATE, attempt + 1.

        None when nothing was left to take (done, canceled, held by another, deleted).
        """

    def renew(
        self, job_id: str, attempts: Mapping[int, int], *, now: datetime, lease_until: datetime
    ) -> tuple[frozenset[int], bool]:
        """Extend the leases of `attempts` (index → attempt). Returns the indices still held, and whether a cancel
        of the job was requested."""

    def finish(self, job_id: str, outcomes: Sequence[Outcome], *, now: datetime) -> Sequence[int]:
        """End attempts. Only images still running under the same attempt change; returns their indices.

        The job's counters, totals, version, started_at and finished_at follow in the same transaction.
        """

    def free_expired(self, *, now: datetime, losses: int, limit: int) -> Sequence[LostImages]:
        """Give back images whose lease ran out (lost + 1, to queued); those lost `losses` times become failed
        (`worker_lost`), those of a job with a requested cancel become canceled."""

    def resend_due(
        self, *, now: datetime, silent_since: datetime, priorities: Sequence[Priority], limit: int
    ) -> Sequence[LostImages]:
        """Queued, due images of these priorities that were not sent since they were queued again, or last sent before
        `silent_since`; oldest jobs first, at most `limit` images; marks them as sent `now`."""

    def unsend(self, pieces: Iterable[Slice]) -> None:
        """The messages of these slices came to nothing: their queued images count as not sent."""

    def newest_running(self, priority: Priority) -> datetime | None:
        """When the latest message was sent that made images of this priority run now; None when none runs."""


class DraftRepository(Protocol):
    """Jobs that are still being received: what is written to the store before the job exists is found again."""

    def open(self, job_id: str, *, now: datetime) -> None: ...

    def close(self, job_id: str) -> None: ...

    def stale(self, *, before: datetime, limit: int) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyRecord:
    key: str
    fingerprint: str | None  # of the body; None while the first request is still being read
    job_id: str | None
    created_at: datetime  # or renewed, while the first request is being read


class IdempotencyRepository(Protocol):
    def begin(self, key: str, *, now: datetime) -> IdempotencyRecord | None:
        """Reserve the key. None when it is ours now, else the record that was first."""

    def renew(self, key: str, *, now: datetime) -> None:
        """The first request is still being read. Nothing happens when it has ended."""

    def complete(self, key: str, *, fingerprint: str, job_id: str) -> None: ...

    def abandon(self, key: str) -> None:
        """The first request failed: the key is free again."""

    def forget(self, *, before: datetime) -> None:
        """Drop records made before `before`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowedModel:
    """What a worker serves under a name that it keeps up to date, such as `street@champion`.

    version: None before the first one. problem: why it is not, or may not be, what the registry names now.
    """

    name: str
    version: str | None
    problem: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerBeat:
    """A sign of life of one worker process."""

    name: str
    device: str
    models: tuple[str, ...]  # loaded ones
    beat_at: datetime
    followed: tuple[FollowedModel, ...] = ()


class WorkerRepository(Protocol):
    def beat(self, beat: WorkerBeat) -> None: ...

    def alive(self, *, since: datetime) -> Sequence[WorkerBeat]: ...

    def forget(self, *, before: datetime) -> None: ...


class UnitOfWork(Protocol):
    """One transaction. Leaving the block without `commit()` rolls back. Raises DatabaseUnavailable."""

    @property
    def jobs(self) -> JobRepository: ...
    @property
    def images(self) -> ImageRepository: ...
    @property
    def drafts(self) -> DraftRepository: ...
    @property
    def idempotency(self) -> IdempotencyRepository: ...
    @property
    def workers(self) -> WorkerRepository: ...
    def commit(self) -> None: ...


OpenUnit = Callable[[], AbstractContextManager[UnitOfWork]]


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    key: str
    size: int
    media_type: str


class Readable(Protocol):
    """What a file object must be able to do to be stored."""

    def read(self, size: int = -1, /) -> bytes: ...


class ObjectStore(Protocol):
    """Bytes by key. Every call may raise StorageUnavailable; keys never leave the store's root or bucket."""

    def put(self, key: str, data: bytes | Readable, *, media_type: str) -> int:
        """Store all of `data`, replacing what was there; a reader sees the old object or the new one, never half.

        A file object is read in pieces to its end and never held whole. Returns the size in bytes.
        """

    def get(self, key: str) -> bytes:
        """Raises ObjectNotFound."""

    def stream(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` on, `length` of them or to the end, in pieces. Raises ObjectNotFound at once,
        before the first piece."""

    def info(self, key: str) -> ObjectInfo:
        """Raises ObjectNotFound."""

    def delete(self, key: str) -> None:
        """Nothing happens when it is gone."""

    def delete_prefix(self, prefix: str) -> int:
        """Delete everything below `prefix` (which must end with `/`); returns how many objects."""

    def keys(self, prefix: str) -> Iterator[str]: ...

    def presigned_get(self, key: str, *, expires_s: int) -> str | None:
        """A URL that serves the object without us; None when the store has none to offer."""

    def check(self) -> None:
        """Raises StorageUnavailable when the store cannot be reached or written."""


class Dispatcher(Protocol):
    def dispatch(self, pieces: Iterable[Slice]) -> None:
        """Send slices to the workers. Raises QueueUnavailable; some may have been sent by then (harmless)."""

    def waiting(self, priority: Priority) -> int:
        """Messages that no worker has fetched yet. Raises QueueUnavailable."""


class ModelCatalog(Protocol):
    def list(self) -> Sequence[ModelCard]: ...

    def card(self, name: str) -> ModelCard:
        """Raises ModelNotFound, which names the models there are."""

    def label_spaces(self) -> LabelSpaces:
        """The published ones and those that models bring along."""


class Sources(Protocol):
    def read(self, source: Source) -> bytes:
        """Raises ObjectNotFound, DownloadFailed, StorageUnavailable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a segmenter says of one picture.

    label_map: at the picture's own size, in the model's own label space, with confidence;
    picture: (H, W, 3) uint8 RGB as it was decoded, upright; mean_entropy in [0, 1], relative to log C.
    """

    label_map: LabelMap
    picture: Picture
    mean_entropy: float | None
    timings_ms: Mapping[str, float]
    device: str
    model_version: str
    model_name: str = ""
    model_sha256: str = ""


class Segmenter(Protocol):
    """Image bytes → label map. Safe to call from many threads at once: calls are joined into device batches."""

    def segment(self, data: bytes, *, model: str, tile: TileOptions | None) -> Prediction:
        """Raises SegmentationError for a bad picture, ModelNotFound, ModelFailed, OutOfMemory, TimedOut."""
