"""What can go wrong with a job. Errors carry a stable `code`; they know neither HTTP nor Celery.

JobsError
├── NotFound          JobNotFound, ImageNotFound, ArtifactNotFound, InputNotKept, ModelNotFound, ObjectNotFound,
│                     DeliveryNotFound, WebhookNotFound, UploadNotFound, CredentialNotFound,
│                     CorrectionNotFound
├── NotAllowed        JobNotFinished, ImageNotFinished, JobRunning, IdempotencyInProgress, IdempotencyKeyLost,
│                     IllegalTransition, UploadConflict, NothingToCompare, InputChanged
├── Unprocessable     InvalidOptions, IdempotencyKeyReused, NoImages, ArchiveUnreadable, MaskUnknownIds,
│                     FilmUnreadable, FilmUnsupported
├── TooLarge          TooManyBytes, TooManyImages
├── OverLimit         RateLimited, QuotaExceeded
├── UnsupportedMedia
├── Transient         QueueUnavailable, StorageUnavailable (StorageSilent), DatabaseUnavailable, SenderUnavailable
└── ImageFailure      InputNotFound, DownloadFailed, ModelFailed, OutOfMemory, TimedOut (TookTooLong)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.tenants.standing import Standing


class JobsError(Exception):
    """The message is a sentence for the caller; it never holds a path, a stack or another tenant's data."""

    code = "internal_error"


class NotFound(JobsError):
    code = "not_found"


class JobNotFound(NotFound):
    code = "job_not_found"


class ImageNotFound(NotFound):
    code = "image_not_found"


class ArtifactNotFound(NotFound):
    code = "artifact_not_found"


class InputNotKept(NotFound):
    """It was fetched from the web, and is not fetched again."""

    code = "input_not_kept"


class ModelNotFound(NotFound):
    code = "model_not_found"


class ObjectNotFound(NotFound):
    code = "object_not_found"


class DeliveryNotFound(NotFound):
    code = "delivery_not_found"


class WebhookNotFound(NotFound):
    code = "webhook_not_found"


class UploadNotFound(NotFound):
    code = "upload_not_found"


class CredentialNotFound(NotFound):
    code = "key_not_found"


class CorrectionNotFound(NotFound):
    code = "correction_not_found"


class NotAllowed(JobsError):
    code = "not_allowed"


class IllegalTransition(NotAllowed):
    code = "illegal_transition"


class JobNotFinished(NotAllowed):
    code = "job_not_finished"


class ImageNotFinished(NotAllowed):
    """It has no result yet, or never will."""

    code = "image_not_finished"


class JobRunning(NotAllowed):
    code = "job_running"


class NothingToCompare(NotAllowed):
    """The job has one model."""

    code = "nothing_to_compare"


class InputChanged(NotAllowed):
    """Where the input lay, something else lies now than what was segmented."""

    code = "input_changed"


class IdempotencyInProgress(NotAllowed):
    code = "idempotency_in_progress"


class IdempotencyKeyLost(IdempotencyInProgress):
    """The request showed no sign of life for so long that another one with its key has taken its place."""


class UploadConflict(NotAllowed):
    """The bytes that came are not those that are missing, or somebody else is sending them."""

    code = "upload_conflict"


class Unprocessable(JobsError):
    code = "unprocessable"


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One field of a request that cannot be accepted. `field` is a dotted path such as `tile.size`."""

    field: str
    message: str


class InvalidOptions(Unprocessable):
    code = "invalid_options"

    def __init__(self, faults: Sequence[FieldFault]) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.message}" for fault in faults))
        self.faults = tuple(faults)


class IdempotencyKeyReused(Unprocessable):
    code = "idempotency_key_reused"


class NoImages(Unprocessable):
    code = "no_images"


class ArchiveUnreadable(Unprocessable):
    code = "archive_unreadable"


class FilmUnreadable(Unprocessable):
    """Damaged, without pictures, or made to take more time or memory than a film may."""

    code = "film_unreadable"


class FilmUnsupported(Unprocessable):
    """Nothing is installed here that reads films."""

    code = "film_unsupported"


class MaskUnknownIds(Unprocessable):
    """Ids that the label space does not know."""

    code = "mask_unknown_ids"


class TooLarge(JobsError):
    code = "too_large"


class TooManyBytes(TooLarge):
    code = "too_large"


class TooManyImages(TooLarge):
    code = "too_many_images"


class OverLimit(JobsError):
    """standing: with the limit that it is about, as it was before."""

    code = "over_limit"

    def __init__(self, message: str, standing: Standing) -> None:
        super().__init__(message)
        self.standing = standing


class RateLimited(OverLimit):
    code = "rate_limited"


class QuotaExceeded(OverLimit):
    code = "quota_exceeded"


class UnsupportedMedia(JobsError):
    """Neither an image nor an archive of images, by its name and declared type."""

    code = "unsupported_media_type"


class Transient(JobsError):
    """The same call may succeed later."""

    code = "unavailable"


class QueueUnavailable(Transient):
    code = "queue_unavailable"


class StorageUnavailable(Transient):
    code = "storage_unavailable"


class StorageSilent(StorageUnavailable):
    """It did not even answer: who asks again waits as long again."""


class DatabaseUnavailable(Transient):
    code = "database_unavailable"


class SenderUnavailable(Transient):
    """No process that sends webhooks took one in time."""

    code = "webhooks_unavailable"


class ImageFailure(JobsError):
    """One image could not be processed; its neighbours are not concerned."""

    code = "model_failed"


class InputNotFound(ImageFailure):
    """What the client named as an input is not there."""

    code = "input_not_found"


class DownloadFailed(ImageFailure):
    """`retryable`: the same address may answer later (time-outs, 5xx); not so for 4xx and refused addresses."""

    code = "download_failed"

    def __init__(self, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.retryable = retryable


class ModelFailed(ImageFailure):
    code = "model_failed"


class OutOfMemory(ImageFailure):
    code = "out_of_memory"


class TimedOut(ImageFailure):
    code = "timed_out"


class TookTooLong(TimedOut):
    """The image itself, and it would again."""
