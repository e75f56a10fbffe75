"""What a client may do: submit, read, list, cancel, retry, delete. Called by the API."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jobs.drafts import Draft, DraftLimits
from jobs.errors import (
    ArtifactNotFound,
    DatabaseUnavailable,
    FieldFault,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    InvalidOptions,
    JobNotFound,
    ModelNotFound,
    ObjectNotFound,
    QueueUnavailable,
    Transient,
)
from jobs.job import (
    Artifact,
    Counts,
    ImageStatus,
    Job,
    JobImage,
    Priority,
    Slice,
    SourceKind,
    default_priority,
    slice_size,
)
from jobs.key_watch import KeyWatch
from jobs.keys import job_prefix, new_job_id
from jobs.options import JobOptions
from jobs.ports import (
    Clock,
    Dispatcher,
    IdempotencyRecord,
    JobFilter,
    ModelCatalog,
    ObjectStore,
    OpenUnit,
    UnitOfWork,
)
from segmentation.errors import NoRemapping
from segmentation.label_spaces import get_label_space

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeRules:
    """Limits of one request. retention_s: None keeps jobs until they are deleted.

    key_patience_s: an idempotency key whose request shows no sign of life for so long belongs to the next one; it shows
    one every key_heartbeat_s while it is being read.
    """

    default_model: str
    max_images: int = 100_000
    max_request_bytes: int = 8 * 2**30
    max_image_bytes: int = 64 * 2**20
    retention_s: int | None = None
    largest_slice: int = 32
    key_patience_s: float = 60.0
    key_heartbeat_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a waiting client wants to know. progress in [0, 1]; queue_position: unfinished jobs that go first, None when
    nobody can tell just now."""

    progress: float
    queue_position: int | None
    eta_seconds: float | None
    images_per_second: float | None


@dataclass(frozen=True, slots=True)
class Intake:
    open_unit: OpenUnit
    objects: ObjectStore
    dispatcher: Dispatcher
    catalog: ModelCatalog
    rules: IntakeRules
    clock: Clock

    @contextmanager
    def open_draft(self, idempotency_key: str | None = None) -> Iterator[Draft]:
        """Receive one request. Leaving by an exception removes what was stored and frees the key.

        The key is the caller's whole scope (a later tenant's prefix included). Raises IdempotencyInProgress.
        """
        draft = self._new_draft(idempotency_key)
        try:
            with self._watched_key(draft):
                yield draft
        except BaseException:
            try:
                self._discard(draft)
            except Transient as error:
                extra = {"action": "draft_left", "job_id": draft.job_id, "reason": str(error)}
                logger.warning("upkeep has to remove a draft", extra=extra)
            raise

    def _watched_key(self, draft: Draft) -> AbstractContextManager[object]:
        if draft.idempotency_key is None or draft.earlier is not None:
            return nullcontext()
        return KeyWatch(self.open_unit, self.clock, draft.idempotency_key, every_s=self.rules.key_heartbeat_s)

    def _new_draft(self, idempotency_key: str | None) -> Draft:
        limits = DraftLimits(
            max_images=self.rules.max_images,
            max_bytes=self.rules.max_request_bytes,
            max_image_bytes=self.rules.max_image_bytes,
        )
        job_id, now = new_job_id(), self.clock()
        earlier = None
        with self.open_unit() as unit:
            if idempotency_key is not None:
                earlier = self._begin(unit, idempotency_key, now)
            unit.drafts.open(job_id, now=now)
            unit.commit()
        return Draft(job_id, self.objects, limits, idempotency_key=idempotency_key, earlier=earlier)

    def _begin(self, unit: UnitOfWork, key: str, now: datetime) -> IdempotencyRecord | None:
        """Reserve the key, also one whose first request has died. Returns the record of a request that ended well."""
        earlier = unit.idempotency.begin(key, now=now)
        patience = timedelta(seconds=self.rules.key_patience_s)
        if earlier is not None and earlier.job_id is None and now - earlier.created_at > patience:
            unit.idempotency.abandon(key)
            earlier = unit.idempotency.begin(key, now=now)
        if earlier is not None and earlier.job_id is None:
            raise IdempotencyInProgress("the first request with this key is still being read")
        return earlier

    def _discard(self, draft: Draft) -> None:
        """Unless it became a job after all: a commit may take effect although its answer is lost."""
        with self.open_unit() as unit:
            if _is_job(unit, draft.job_id):
                return
            if draft.idempotency_key is not None and draft.earlier is None:
                unit.idempotency.abandon(draft.idempotency_key)
            unit.commit()
        self.objects.delete_prefix(job_prefix(draft.job_id))
        with self.open_unit() as unit:
            unit.drafts.close(draft.job_id)
            unit.commit()

    def submit(self, draft: Draft, options: JobOptions, *, fingerprint: str = "") -> Job:
        """Make the draft a job: commit, then dispatch. A queue that is away loses nothing; upkeep sends again.

        fingerprint: of the request's content; needed with an idempotency key.
        Raises InvalidOptions, NoImages, IdempotencyKeyReused.
        """
        if draft.earlier is not None:
            return self._first_job(draft, fingerprint)
        received = draft.received(mask_label_space=options.mask_label_space, mask_suffix=options.mask_suffix)
        images, options = received.images, replace(options, mask_label_space=received.mask_label_space)
        job = self._make_job(draft.job_id, len(images), options, masked=any(image.mask for image in images))
        with self.open_unit() as unit:
            unit.jobs.add(job, images)
            unit.drafts.close(draft.job_id)
            if draft.idempotency_key is not None:
                unit.idempotency.complete(draft.idempotency_key, fingerprint=fingerprint, job_id=job.id)
            unit.commit()
        self._dispatch(job)
        return job

    def _first_job(self, draft: Draft, fingerprint: str) -> Job:
        assert draft.earlier is not None
        assert draft.earlier.job_id is not None
        if draft.earlier.fingerprint != fingerprint:
            raise IdempotencyKeyReused("this key was used before with another request")
        self._discard(draft)
        return self.get(draft.earlier.job_id)

    def _make_job(self, job_id: str, images: int, options: JobOptions, *, masked: bool) -> Job:
        model = options.model or self.rules.default_model
        label_space = options.label_space or self._own_label_space(model)
        self._check_spaces(model, label_space, options.mask_label_space if masked else None)
        now = self.clock()
        lifetime_s = options.expires_in or self.rules.retention_s
        priority = Priority(options.priority) if options.priority else default_priority(images)
        return Job(
            id=job_id,
            model=model,
            label_space=label_space,
            priority=priority,
            options=replace(options, model=model, label_space=label_space, priority=priority.value),
            counts=Counts(queued=images),
            created_at=now,
            expires_at=None if lifetime_s is None else now + timedelta(seconds=lifetime_s),
            metadata=options.metadata,
            slice_size=slice_size(images, largest=self.rules.largest_slice),
        )

    def _own_label_space(self, model: str) -> str:
        try:
            return self.catalog.card(model).label_space
        except ModelNotFound as error:
            raise InvalidOptions([FieldFault("model", str(error))]) from error

    def _check_spaces(self, model: str, label_space: str, mask_label_space: str | None) -> None:
        pairs = [("label_space", self._own_label_space(model)), ("mask_label_space", mask_label_space or label_space)]
        for name, origin in pairs:
            try:
                get_label_space(origin).remapping_to(get_label_space(label_space))
            except NoRemapping as error:
                raise InvalidOptions([FieldFault(name, str(error))]) from error

    def _dispatch(self, job: Job) -> None:
        try:
            self.dispatcher.dispatch(job.slices())
        except QueueUnavailable as error:
            logger.warning(
                "job accepted while the queue is away; it is sent later",
                extra={"action": "dispatch_postponed", "job_id": job.id, "reason": str(error)},
            )
            self._unsend(job)

    def _unsend(self, job: Job) -> None:
        """Upkeep sends it soon. If not even this can be written, only when it sees that later jobs overtook it."""
        whole = Slice(job_id=job.id, first=0, last=job.counts.total - 1, priority=job.priority)
        with suppress(DatabaseUnavailable), self.open_unit() as unit:
            unit.images.unsend([whole])
            unit.commit()

    def get(self, job_id: str) -> Job:
        """Raises JobNotFound."""
        with self.open_unit() as unit:
            return unit.jobs.get(job_id)

    def progress(self, job: Job) -> Progress:
        """Raises DatabaseUnavailable."""
        return self.progress_of([job])[job.id]

    def progress_without_queue(self, job: Job) -> Progress:
        """What the job itself tells; needs no database."""
        return _progress(job, self.clock(), queue_position=0 if _has_begun(job) else None)

    def progress_of(self, jobs: Sequence[Job]) -> Mapping[str, Progress]:
        """By job id, all read in one transaction; jobs that have begun need none. Raises DatabaseUnavailable."""
        waiting = [job.id for job in jobs if not _has_begun(job)]
        ahead: Mapping[str, int] = {}
        if waiting:
            with self.open_unit() as unit:
                ahead = unit.jobs.ahead_of(waiting)
        now = self.clock()
        return {job.id: _progress(job, now, queue_position=ahead.get(job.id, 0)) for job in jobs}

    def seen(self, job_ids: Collection[str]) -> Mapping[str, Job]:
        """Those of these jobs that there are, read at once."""
        with self.open_unit() as unit:
            return {job.id: job for job in unit.jobs.several(job_ids)}

    def versions(self, job_ids: Collection[str]) -> Mapping[str, int]:
        """Of those of these jobs that there are."""
        with self.open_unit() as unit:
            return unit.jobs.versions(job_ids)

    def page(self, where: JobFilter, *, limit: int, before: str | None) -> Sequence[Job]:
        """Newest first; `before`: the last id of the page before."""
        with self.open_unit() as unit:
            return unit.jobs.page(where, limit=limit, before=before)

    def images(
        self, job_id: str, *, status: ImageStatus | None = None, sort: str = "index", limit: int, after: str | None
    ) -> tuple[Sequence[JobImage], str | None]:
        """One page and the next page's cursor. Raises JobNotFound, ValueError for a foreign cursor."""
        with self.open_unit() as unit:
            return unit.images.page(job_id, status=status, sort=sort, limit=limit, after=after)

    def image(self, job_id: str, index: int) -> JobImage:
        """Raises JobNotFound, ImageNotFound."""
        with self.open_unit() as unit:
            return unit.images.get(job_id, index)

    def artifact(self, job_id: str, index: int, name: str) -> Artifact:
        """A stored result by its name, or the `input`. Raises JobNotFound, ImageNotFound, ArtifactNotFound."""
        image = self.image(job_id, index)
        if name == "input" and image.source.kind is SourceKind.OBJECT:
            return self._input(image)
        return artifact_of(image, name)

    def _input(self, image: JobImage) -> Artifact:
        try:
            info = self.objects.info(image.source.location)
        except ObjectNotFound as error:
            raise ArtifactNotFound(f"the input of image {image.index} is gone") from error
        return Artifact(name="input", key=info.key, media_type=info.media_type, size=info.size, crc32=0)

    def cancel(self, job_id: str) -> Job:
        """Queued images are canceled at once; workers stop the running ones. Raises JobNotFound."""
        with self.open_unit() as unit:
            job = unit.jobs.request_cancel(job_id, now=self.clock())
            unit.commit()
        return job

    def retry(self, job_id: str) -> Job:
        """Failed images alone go back to the queue. Raises JobNotFound, JobNotFinished, NotAllowed."""
        with self.open_unit() as unit:
            job = unit.jobs.requeue_failed(job_id, now=self.clock())
            unit.commit()
        self._dispatch(job)
        return job

    def delete(self, job_id: str) -> None:
        """Rows and objects. What a crash leaves half done, upkeep ends. Raises JobNotFound, JobRunning."""
        with self.open_unit() as unit:
            unit.jobs.mark_deleted(job_id)
            unit.commit()
        self.objects.delete_prefix(job_prefix(job_id))
        with self.open_unit() as unit:
            unit.jobs.purge(job_id)
            unit.commit()


def artifact_of(image: JobImage, name: str) -> Artifact:
    """A stored result. Raises ArtifactNotFound."""
    found = image.result.artifacts if image.result else ()
    for artifact in found:
        if artifact.name == name:
            return artifact
    known = ", ".join([artifact.name for artifact in found]) or "none yet"
    raise ArtifactNotFound(f"image {image.index} has no artifact {name!r}; there are: {known}")


def _is_job(unit: UnitOfWork, job_id: str) -> bool:
    try:
        unit.jobs.get(job_id)
    except JobNotFound:
        return False
    return True


def _has_begun(job: Job) -> bool:
    return bool(job.is_finished or job.counts.finished or job.counts.running)


def _progress(job: Job, now: datetime, *, queue_position: int | None) -> Progress:
    """Measured on the job itself: finished images since it started. No estimate before the first one."""
    rate = _rate(job, now)
    left = job.counts.queued + job.counts.running
    return Progress(
        progress=job.counts.finished / job.counts.total,
        queue_position=queue_position,
        eta_seconds=None if job.is_finished or not rate else left / rate,
        images_per_second=rate,
    )


def _rate(job: Job, now: datetime) -> float | None:
    """Images per second since the job started, or was started again."""
    finished = job.counts.finished - job.finished_before
    if job.started_at is None or not finished:
        return None
    seconds = ((job.finished_at or now) - job.started_at).total_seconds()
    return finished / seconds if seconds > 0 else None
