"""Submitting: one request received into the store, and then made a job. Called by the API."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from jobs.callers import DEFAULT, Caller
from jobs.deliveries.endpoint import Endpoint, refuse_private
from jobs.errors import (
    FieldFault,
    IdempotencyInProgress,
    IdempotencyKeyLost,
    IdempotencyKeyReused,
    InvalidOptions,
    JobNotFound,
    ModelNotFound,
    StorageSilent,
    Transient,
)
from jobs.job import Counts, Job, JobTotals, NewImage, Priority, SourceKind
from jobs.keys import attempt_keys, job_prefix, new_job_id
from jobs.options import JobOptions
from jobs.ports import Dispatcher, ModelCatalog, ObjectStore, OpenUnit, UnitOfWork
from jobs.spaces import JobSpaces
from jobs.submitting.drafts import Draft, DraftLimits, Received
from jobs.submitting.idempotency import IdempotencyRecord
from jobs.submitting.key_watch import KeyWatch
from jobs.submitting.sending import default_priority, send, slice_size
from jobs.tenants.quotas import admit, refuse_if_used_up
from jobs.uploads.buckets import Buckets
from jobs.uploads.upload import id_in
from segmentation.errors import NoRemapping
from segmentation.label_space import LabelSpace
from segmentation.label_spaces import is_published
from segmentation.picture_files.film import FilmLimits

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitRules:
    """Limits of one request. retention_s: None keeps jobs until they are deleted.

    key_patience_s: an idempotency key whose request shows no sign of life for so long belongs to the next one; it shows
    one every key_heartbeat_s while it is being read. private_webhooks: whether they may go into private networks.
    spool: where films lie while their request is read; None: the system's place.
    """

    default_model: str
    max_images: int = 100_000
    max_request_bytes: int = 8 * 2**30
    max_image_bytes: int = 64 * 2**20
    retention_s: int | None = None
    largest_slice: int = 32
    key_patience_s: float = 60.0
    key_heartbeat_s: float = 10.0
    private_webhooks: bool = False
    films: FilmLimits = field(default_factory=FilmLimits)
    spool: Path | None = None


@dataclass(frozen=True, slots=True)
class Submitting:
    open_unit: OpenUnit
    objects: ObjectStore
    dispatcher: Dispatcher
    catalog: ModelCatalog
    rules: SubmitRules
    caller: Caller = DEFAULT
    buckets: Buckets | None = None

    @contextmanager
    def open_draft(self, idempotency_key: str | None = None) -> Iterator[Draft]:
        """Receive one request. Leaving by an exception removes what was stored and frees the idempotency key.

        Raises IdempotencyInProgress, QuotaExceeded.
        """
        draft = self._new_draft(idempotency_key)
        try:
            with self._watched_key(draft):
                yield draft
        except BaseException as reason:
            try:
                self._discard(draft, objects_too=not isinstance(reason, StorageSilent))
            except Transient as error:
                extra = {"action": "draft_left", "job_id": draft.job_id, "reason": str(error)}
                logger.warning("upkeep has to remove a draft", extra=extra)
            raise
        finally:
            draft.close()

    def submit(self, draft: Draft, options: JobOptions, *, fingerprint: str = "") -> Job:
        """Make the draft a job: commit, then dispatch. A queue that is away loses nothing; upkeep sends again.

        fingerprint: of the request's content; needed with an idempotency key.
        Raises InvalidOptions, NoImages, IdempotencyKeyReused, IdempotencyKeyLost, QuotaExceeded, TooManyImages.
        """
        if draft.earlier is not None:
            return self._first_job(draft, fingerprint)
        received = draft.received(
            mask_label_space=options.mask_label_space, mask_suffix=options.mask_suffix, every_s=options.every
        )
        if options.every is not None and received.every_s is None:
            raise InvalidOptions([FieldFault("every", "is of films; the request holds none that is read here")])
        every_s = received.every_s or draft.frames_of_jobs_s
        options = replace(options, mask_label_space=received.mask_label_space, every=every_s)
        if options.webhook is not None:
            refuse_private(options.webhook, allowed=self.rules.private_webhooks, field="webhook.url")
        self._check_output(options.output)
        with self._unit() as unit:
            unit.drafts.close(draft.job_id)  # first, so that what is read belongs to the transaction that writes
            told = replace(options, webhook=options.webhook or self._default_webhook(unit))
            job = self._make_job(draft, received, told, now=unit.now)
            _use_uploads(unit, received.images)
            unit.jobs.add(job, received.images)
            admit(unit, self.caller, len(received.images))
            if draft.idempotency_key is not None:
                unit.idempotency.complete(
                    draft.idempotency_key, holder=draft.holder, fingerprint=fingerprint, job_id=job.id
                )
            unit.commit()
        send(job, self.dispatcher, self.open_unit)
        self.objects.expect(attempt_keys(job, 0, attempt=1))  # while the first picture is on its way
        return job

    def _default_webhook(self, unit: UnitOfWork) -> Endpoint | None:
        """As it is now: a job keeps what it was submitted with."""
        found = unit.webhooks.find(self.caller.tenant)
        return None if found is None else found.default

    def _check_output(self, output: str | None) -> None:
        if output is None:
            return
        bucket = output.partition("/")[0]
        if self.buckets is None or not self.buckets.allows(bucket, self.caller.tenant, output=True):
            raise InvalidOptions([FieldFault("output", f"{bucket!r} is no bucket that results may be put into")])

    def _unit(self) -> AbstractContextManager[UnitOfWork]:
        return self.open_unit(self.caller.tenant)

    def _watched_key(self, draft: Draft) -> AbstractContextManager[object]:
        if draft.idempotency_key is None or draft.earlier is not None:
            return nullcontext()
        return KeyWatch(self._unit, draft.idempotency_key, draft.holder, every_s=self.rules.key_heartbeat_s)

    def _new_draft(self, idempotency_key: str | None) -> Draft:
        limits = DraftLimits(
            max_images=self.rules.max_images,
            max_bytes=self.rules.max_request_bytes,
            max_image_bytes=self.rules.max_image_bytes,
            films=self.rules.films,
        )
        job_id, holder = new_job_id(), secrets.token_hex(16)
        prefix = job_prefix(self.caller.tenant, job_id)
        earlier = None
        with self._unit() as unit:
            if idempotency_key is not None:
                earlier = self._begin(unit, idempotency_key, holder)
            if earlier is None:
                refuse_if_used_up(unit, self.caller)
            unit.drafts.open(job_id, prefix=prefix)
            unit.commit()
        return Draft(
            *(job_id, prefix, self.objects, limits),
            idempotency_key=idempotency_key,
            holder=holder,
            earlier=earlier,
            spool=self.rules.spool,
        )

    def _begin(self, unit: UnitOfWork, idempotency_key: str, holder: str) -> IdempotencyRecord | None:
        """Reserve the key, also one whose first request has died. Returns the record of a request that ended well."""
        earlier = unit.idempotency.begin(idempotency_key, holder=holder, patience_s=self.rules.key_patience_s)
        if earlier is not None and earlier.job_id is None:
            raise IdempotencyInProgress("the first request with this key is still being read")
        return earlier

    def _discard(self, draft: Draft, *, objects_too: bool = True) -> None:
        """Unless it became a job after all: a commit may take effect although its answer is lost.

        objects_too False: they are left to upkeep, which knows of the draft.
        """
        with self._unit() as unit:
            unit.drafts.close(draft.job_id)  # waits for a commit that is on its way, which closes it too
            if _is_job(unit, draft.job_id):
                return
            if draft.idempotency_key is not None and draft.earlier is None:
                unit.idempotency.abandon(draft.idempotency_key, holder=draft.holder)
            unit.drafts.open(draft.job_id, prefix=draft.prefix)  # until its objects are gone
            unit.commit()
        if not objects_too:
            return
        self.objects.delete_prefix(draft.prefix)
        with self._unit() as unit:
            unit.drafts.close(draft.job_id)
            unit.commit()

    def _first_job(self, draft: Draft, fingerprint: str) -> Job:
        assert draft.earlier is not None
        assert draft.earlier.job_id is not None
        if draft.earlier.fingerprint != fingerprint:
            raise IdempotencyKeyReused("this key was used before with another request")
        self._discard(draft)
        try:
            with self._unit() as unit:
                return unit.jobs.get(draft.earlier.job_id)
        except JobNotFound as error:
            raise IdempotencyKeyLost("the job of this key was deleted just now; send the request again") from error

    def _make_job(self, draft: Draft, received: Received, options: JobOptions, *, now: datetime) -> Job:
        models = options.models or (options.model or self.rules.default_model,)
        own = [self._own_label_space(each, field="models" if options.models else "model") for each in models]
        label_space = options.label_space or own[0]
        images, masked = len(received.images), any(image.mask for image in received.images)
        spaces = self._spaces(own, label_space, options.mask_label_space, masked=masked)
        draft.masks_of_jobs.check_classes(spaces.get(options.mask_label_space or label_space))
        _check_classes(options.classes, spaces.get(label_space))
        lifetime_s = options.expires_in or self.rules.retention_s
        priority = Priority(options.priority) if options.priority else default_priority(images)
        return Job(
            id=draft.job_id,
            tenant=self.caller.tenant,
            credential=self.caller.credential,
            prefix=draft.prefix,
            models=models,
            totals=(JobTotals(),) * len(models),
            label_space=label_space,
            priority=priority,
            options=replace(options, model=models[0], label_space=label_space, priority=priority.value),
            counts=Counts(queued=images),
            created_at=now,
            expires_at=None if lifetime_s is None else now + timedelta(seconds=lifetime_s),
            metadata=options.metadata,
            slice_size=slice_size(images, largest=self.rules.largest_slice),
            spaces=spaces,
            skipped=received.skipped,
        )

    def _own_label_space(self, model: str, *, field: str) -> str:
        try:
            return self.catalog.card(model).label_space
        except ModelNotFound as error:
            raise InvalidOptions([FieldFault(field, str(error))]) from error

    def _spaces(self, own: Sequence[str], label_space: str, mask_label_space: str | None, *, masked: bool) -> JobSpaces:
        """What the names mean now, for as long as the job lives. Raises InvalidOptions where no way leads there.

        own: of each model.
        """
        known = self.catalog.label_spaces()
        origins = [("label_space", known.get(each)) for each in own]
        found = []
        for name, wanted in (("label_space", label_space), ("mask_label_space", mask_label_space or label_space)):
            space = known.find(wanted)
            if space is None:
                raise InvalidOptions([FieldFault(name, f"must be one of {', '.join(known.names())}, got {wanted!r}")])
            found.append(space)
        target, of_masks = found
        for name, origin in (*origins, *([("mask_label_space", of_masks)] if masked else [])):
            try:
                origin.remapping_to(target)
            except NoRemapping as error:
                said = f"the masks are in {of_masks.name}, the results in {target.name}: {error}; choose another model"
                raise InvalidOptions([FieldFault(name, str(error) if name == "label_space" else said)]) from error
        named = [space for _, space in origins] + found
        unpublished = tuple(dict.fromkeys(space for space in named if not is_published(space)))
        models = () if {*own} == {label_space} else tuple(own)
        unmarked = masked and bool(target.missing_from(of_masks))
        archived, leaves_out = target in unpublished, len(models) > 1
        return JobSpaces(models, unpublished, archived=archived, leaves_out=leaves_out, unmarked=unmarked)


def _check_classes(names: Sequence[str], space: LabelSpace) -> None:
    """Raises InvalidOptions for those that the space does not have."""
    known = [each.name for each in space.classes]
    unknown = [repr(each) for each in names if each not in known]
    if unknown:
        said = f"{space.name} has no class {', '.join(unknown)}; it has {', '.join(known)}"
        raise InvalidOptions([FieldFault("classes", said)])


def _use_uploads(unit: UnitOfWork, images: Iterable[NewImage]) -> None:
    """They stay as long as the job does. Raises InvalidOptions when one expired since it was looked up."""
    sources = (place for image in images for place in (image.source, image.mask) if place is not None)
    used = {id_in(place.location) for place in sources if place.kind is SourceKind.UPLOAD}
    if used and unit.uploads.use(used) != len(used):
        raise InvalidOptions([FieldFault("inputs", "an upload has expired meanwhile")])


def _is_job(unit: UnitOfWork, job_id: str) -> bool:
    try:
        unit.jobs.get(job_id)
    except JobNotFound:
        return False
    return True
