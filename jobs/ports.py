"""What the use cases need from outside. An adapter keeps the promises written here; contract tests hold it to them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from jobs.corrections.ports import CorrectionRepository
from jobs.deliveries.ports import DeliveryRepository, WebhookRepository
from jobs.job import (
    Comparison,
    Failure,
    ImageResult,
    ImageWarning,
    Job,
    JobImage,
    NewImage,
    Priority,
    Slice,
)
from jobs.listing.filters import EVERY_IMAGE, ImageFilter, JobFilter
from jobs.reporting.kept_parts import PartRepository
from jobs.reuse.known import KnownRepository
from jobs.submitting.idempotency import IdempotencyRepository
from jobs.tenants.ports import CredentialRepository, TurnRepository, UsageRepository
from jobs.uploads.ports import SignedPut, UploadRepository
from jobs.watching.hints import Hint
from jobs.watching.waiting import Waiting
from jobs.watching.workers import WorkerRepository
from segmentation.label_spaces import LabelSpaces
from segmentation.measures.agreement import Agreement
from segmentation.model_card import ModelCard


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Images that this worker now holds, with the job they belong to. `images` carry their new attempt numbers."""

    job: Job
    images: tuple[JobImage, ...]

    @property
    def is_of_all_at_work(self) -> bool:
        """Whether nobody else is at the job, nor will be by what is queued now."""
        return not self.job.counts.queued and self.job.counts.running == len(self.images)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one attempt ended: exactly one of `results`, `failure`, `retry_in_s` is set, or `canceled` is true.

    results: one for each model of the job, in their order; comparison: of several. retry_in_s comes with `failure` =
    the reason so far; with `waiting_for` = the part of the service that is away, it was nobody's attempt, nor is one
    without a failure. warnings: of a result. input_sha256: hex, of the input. recipes: of the results
    (`jobs.reuse.recipe`), by which they are found again.
    """

    index: int
    attempt: int
    results: tuple[ImageResult, ...] = ()
    comparison: Comparison | None = None
    failure: Failure | None = None
    retry_in_s: float | None = None
    waiting_for: str | None = None
    canceled: bool = False
    warnings: tuple[ImageWarning, ...] = ()
    input_sha256: str | None = None
    recipes: tuple[bytes, ...] = ()


class Finished(NamedTuple):
    """ended: indices whose attempt ended by this call, in order.

    lost: those where another attempt counts, or none; what these stored is for them to remove, and nobody else does.
    An outcome that was written before, by a call whose answer was lost, is in neither.
    """

    ended: Sequence[int]
    lost: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingImages:
    """Images of one job that need a message: their indices with how often a worker vanished with each so far."""

    job: Job
    losses: Mapping[int, int]


class LostImages(NamedTuple):
    """Images of one job whose workers vanished. waiting: those that are tried again. attempts: of all of them, the one
    that was lost, by index; what it may have stored has to go."""

    waiting: WaitingImages
    attempts: Mapping[int, int]


class Remains(NamedTuple):
    """Of a job, or of a request that never became one: below the prefix lie objects that have to go."""

    job_id: str
    prefix: str


class Standing(NamedTuple):
    """How far a job is, in as few words as possible."""

    job_id: str
    tenant: str
    version: int
    finished_at: datetime | None = None


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

    def standing(self, *, since: datetime | None = None) -> Sequence[Standing]:
        """Of all jobs that have not ended, and with a time, of those that ended or were corrected since; in the order
        of their ids."""

    def large(self, *, images: int) -> Sequence[str]:
        """Those that have not ended, of so many images or more."""

    def waiting(self) -> Sequence[Waiting]:
        """By queue and tenant, in alphabetical order."""

    def ahead_of(self, job_ids: Collection[str]) -> Mapping[str, int]:
        """How many unfinished jobs of the same tenant and priority are older, by id; jobs that have ended are left
        out. Those of other tenants take turns with them, and nothing is told of them."""

    def request_cancel(self, job_id: str) -> Job:
        """Cancel queued images at once and mark the job; running ones are left to their workers. Raises JobNotFound.

        A job that is finished already is returned unchanged.
        """

    def hold_up(self, job_id: str, part: str) -> None:
        """The job waits for this part of the service; nothing happens when it has ended or is gone."""

    def requeue_failed(self, job_id: str) -> Job:
        """Failed images back to queued (their attempts excused, failure cleared); the job's started_at, finished_at
        and cancel_requested_at are cleared.

        Raises JobNotFound, JobNotFinished, and NotAllowed when the job is not partial or failed.
        """

    def mark_deleted(self, job_id: str) -> None:
        """Hide the job; its idempotency key is free again. Raises JobNotFound, JobRunning while it is not finished."""

    def expired(self, *, limit: int) -> Sequence[str]:
        """Ids of finished jobs whose `expires_at` has passed."""

    def deleted(self, *, limit: int, after: str = "") -> Sequence[Remains]:
        """Hidden jobs whose objects and rows still have to go, by id, those behind the id `after`."""

    def purge(self, job_id: str) -> None:
        """Delete the rows for good; nothing happens when they are gone."""


class ImageRepository(Protocol):
    """Rows of images. Every change is compare-and-set and keeps the job's counters, version and totals in step."""

    def get(self, job_id: str, index: int) -> JobImage:
        """Raises JobNotFound, ImageNotFound."""

    def page(
        self, job_id: str, *, where: ImageFilter = EVERY_IMAGE, sort: str, limit: int, after: str | None
    ) -> tuple[Sequence[JobImage], str | None]:
        """`sort`: index, confidence, miou, accord (all ascending, images without the value last).

        Returns the rows and the cursor of the next page. Raises JobNotFound; ValueError for a cursor it did not make.
        """

    def class_shares(self, job_id: str, *, where: ImageFilter) -> Iterable[tuple[int, Mapping[str, float] | None]]:
        """By index, of the images that fit: shares of the pixels by class name, as the first model
        has it; None without a result. In no order. Raises JobNotFound."""

    def chosen(self, job_id: str, indices: Sequence[int]) -> Sequence[JobImage]:
        """In the order asked for, those that there are. indices: some hundreds at most. Raises JobNotFound."""

    def run(self, job_id: str, *, first: int, last: int) -> Sequence[JobImage]:
        """Neighbours, in input order. Raises JobNotFound."""

    def since(self, job_id: str, version: int, *, limit: int, after: int | None = None) -> Sequence[JobImage]:
        """Images that ended in a later version of the job than `version`, by version and then by index.

        Many images may end in one version: `after` an index, also those of that very version behind it.
        Raises JobNotFound.
        """

    def claim(self, piece: Slice, *, worker: str, lease_s: float) -> Claim | None:
        """Take the queued, due images of a slice, attempt + 1.

        None when nothing was left to take (done, canceled, held by another, deleted).
        """

    def renew(self, job_id: str, attempts: Mapping[int, int], *, lease_s: float) -> tuple[frozenset[int], bool]:
        """Extend the leases of `attempts` (index → attempt) to `lease_s` from now. Returns the indices still held,
        and whether a cancel of the job was requested."""

    def finish(self, job_id: str, outcomes: Sequence[Outcome], *, claim: Claim | None = None) -> Finished:
        """End attempts. Only images still running under the same attempt change.

        The job's counters, totals, warnings, version, started_at and finished_at follow in the same transaction.
        claim: by which the images were taken; spares reading again what has not changed since.
        """

    def rescore(
        self, job_id: str, index: int, scores: Sequence[Mapping[str, Any]] | None, agreement: Agreement | None = None
    ) -> ImageResult:
        """The results, one for each model, get these fields of ImageMetrics, their comparison this agreement; the job's
        totals and version follow. scores: None where nothing can be scored; the version grows all the same.
        Returns the first result. Raises JobNotFound, ImageNotFound, ImageNotFinished."""

    def free_expired(self, *, losses: int, limit: int) -> Sequence[LostImages]:
        """Give back images whose lease ran out (lost + 1, to queued); those lost `losses` times become failed
        (`worker_lost`), those of a job with a requested cancel become canceled."""

    def resend_due(
        self, *, silent_s: float | None, priorities: Sequence[Priority], limit: int
    ) -> Sequence[WaitingImages]:
        """Queued, due images of these priorities that were not sent since they were queued again, or last sent more
        than `silent_s` ago, or by a clock that was set back since (None: not these); oldest jobs first, at most `limit`
        images; marks them as sent now."""

    def unsend(self, pieces: Iterable[Slice]) -> None:
        """The messages of these slices came to nothing: their queued images count as not sent."""

    def waiting(self, job_id: str) -> Sequence[int]:
        """Indices of the job's queued images, ascending."""

    def newest_running_s(self, priority: Priority) -> float | None:
        """Seconds since the latest message was sent that made images of this priority run now; None when none runs."""


class DraftRepository(Protocol):
    """Jobs that are still being received: what is written to the store before the job exists is found again."""

    def open(self, job_id: str, *, prefix: str) -> None: ...

    def close(self, job_id: str) -> None: ...

    def stale(self, *, older_than_s: float, limit: int, after: str = "") -> Sequence[Remains]:
        """By id, those behind the id `after`."""


class UnitOfWork(Protocol):
    """One transaction. Leaving the block without `commit()` rolls back. Raises DatabaseUnavailable.

    Opened for a tenant, it sees that tenant's rows alone, whatever is asked; opened for nobody, all.
    """

    @property
    def now(self) -> datetime:
        """The database's time, in UTC: the one clock that all hosts share. The same throughout a transaction."""

    @property
    def jobs(self) -> JobRepository: ...
    @property
    def images(self) -> ImageRepository: ...
    @property
    def parts(self) -> PartRepository: ...
    @property
    def corrections(self) -> CorrectionRepository: ...
    @property
    def known(self) -> KnownRepository: ...
    @property
    def drafts(self) -> DraftRepository: ...
    @property
    def idempotency(self) -> IdempotencyRepository: ...
    @property
    def workers(self) -> WorkerRepository: ...
    @property
    def deliveries(self) -> DeliveryRepository: ...
    @property
    def webhooks(self) -> WebhookRepository: ...
    @property
    def uploads(self) -> UploadRepository: ...
    @property
    def credentials(self) -> CredentialRepository: ...
    @property
    def usage(self) -> UsageRepository: ...
    @property
    def turns(self) -> TurnRepository: ...
    def commit(self) -> None: ...


class OpenUnit(Protocol):
    def __call__(self, tenant: str | None = None) -> AbstractContextManager[UnitOfWork]: ...


OnCommit = Callable[[Hint], None]  # told what changed; must neither wait nor raise


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

    def expect(self, keys: Iterable[str]) -> None:
        """Objects will be put soon, at these keys or others: what can be made ready, is. Raises nothing."""

    def copy(self, key: str, target: str, *, size: int | None = None) -> None:
        """The same object once more; neither changes with the other. Raises ObjectNotFound, also for one that has not
        `size` bytes any more, where that costs no further request."""

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

    def presigned_put(self, key: str, *, size: int, media_type: str, expires_s: int) -> SignedPut | None:
        """An address that takes this object, of this size and type, without us; None when there is none to offer."""

    def received(self, key: str, *, size: int) -> int:
        """How many bytes lie there of an object that comes by `append`; `size` once it is all there."""

    def append(self, key: str, data: Readable, *, offset: int, size: int, media_type: str) -> int:
        """Go on with an object of `size` bytes: `data` are those from `offset` on, which is what `received` tells, or 0
        to begin anew. What came before `data` raised is kept. Returns how many bytes lie there; with all of them the
        object is there at once, and stays as it is. Raises TooManyBytes, UploadConflict (another offset, somebody else
        is at it, or all of it is there)."""

    def abandon(self, key: str) -> None:
        """Forget what came of an object that is not all there."""

    def check(self) -> None:
        """Raises StorageUnavailable when the store cannot be reached or written."""


class Dispatcher(Protocol):
    def dispatch(self, pieces: Iterable[Slice]) -> None:
        """Send slices to the workers. Raises QueueUnavailable; some may have been sent by then (harmless)."""

    def waiting(self, priority: Priority) -> int:
        """Messages that no worker has fetched yet. Raises QueueUnavailable."""

    def call_webhooks(self) -> None:
        """Wake the process that sends webhooks: something is due. Raises QueueUnavailable."""


class ModelCatalog(Protocol):
    def list(self) -> Sequence[ModelCard]: ...

    def card(self, name: str) -> ModelCard:
        """Raises ModelNotFound, which names the models there are."""

    def label_spaces(self) -> LabelSpaces:
        """The published ones and those that models bring along."""
