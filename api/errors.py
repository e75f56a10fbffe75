"""The one table from error to HTTP status, and the errors that only a way in over HTTP can make.

ApiError
├── BadRequest           the request cannot be understood
├── UnknownHost          the name that the client calls us by
├── CrossSiteRequest     a page of another site wants to change something
├── Unauthorized         no key, or one that is not good
├── Forbidden            the key does not allow it
├── NotAcceptable        no answer in a form that the client takes
├── RequestTimeout       the body stopped coming, or came too slowly
├── UploadsBusy          as many bodies are being read as there may be
├── DownloadsBusy        as many archives are being sent as there may be
├── Stopping             the process ends before the body is there
├── RangeNotSatisfiable  a range that begins behind the end
├── UnreadablePicture    as clients of before are told of a file that is no picture
├── TrackingFault        as MLflow's own clients are told
│   ├── InvalidTrackingRequest
│   └── TrackingAway
├── NotReady             a part of the service is missing
└── PredictionFailed     the one image of a prediction ended without a result; carries that image's own code
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from data.sample_library import SampleNotFound
from jobs import errors as jobs
from jobs.job import Failure
from jobs.processing.retry import WORKER_LOST
from segmentation import errors as segmentation


class ApiError(Exception):
    code = "internal_error"


class BadRequest(ApiError):
    code = "bad_request"


class UnknownHost(ApiError):
    code = "unknown_host"


class CrossSiteRequest(ApiError):
    code = "cross_site_request"


class Unauthorized(ApiError):
    """is_wrong: a key was shown."""

    code = "unauthorized"

    def __init__(self, message: str, *, is_wrong: bool = False) -> None:
        super().__init__(message)
        self.is_wrong = is_wrong


class Forbidden(ApiError):
    """scope: what a key would have to allow."""

    code = "forbidden"

    def __init__(self, message: str, *, scope: str) -> None:
        super().__init__(message)
        self.scope = scope


class NotAcceptable(ApiError):
    code = "not_acceptable"


class RequestTimeout(ApiError):
    code = "request_timeout"


class UploadsBusy(ApiError):
    code = "uploads_busy"


class DownloadsBusy(ApiError):
    code = "downloads_busy"


class Stopping(ApiError):
    code = "stopping"


class RangeNotSatisfiable(ApiError):
    """length: of the whole representation in bytes."""

    code = "range_not_satisfiable"

    def __init__(self, length: int) -> None:
        super().__init__(f"the range begins behind the end; there are {length} bytes")
        self.length = length


class UnreadablePicture(ApiError):
    code = "unreadable_image"


class TrackingFault(ApiError):
    """mlflow_code: what MLflow calls it."""

    mlflow_code = "INTERNAL_ERROR"


class InvalidTrackingRequest(TrackingFault):
    code = "bad_request"
    mlflow_code = "INVALID_PARAMETER_VALUE"


class TrackingAway(TrackingFault):
    code = "tracking_unavailable"
    mlflow_code = "TEMPORARILY_UNAVAILABLE"


class NotReady(ApiError):
    """missing: part of the service → what is wrong with it."""

    code = "not_ready"

    def __init__(self, missing: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{part}: {reason}" for part, reason in missing.items()))
        self.missing = dict(missing)


class PredictionFailed(ApiError):
    def __init__(self, failure: Failure, *, job_id: str) -> None:
        super().__init__(failure.message)
        self.code = failure.code
        self.job_id = job_id


# An error has the status of its own line, or of the nearest base class listed here.
STATUS: Mapping[type[Exception], int] = {
    jobs.JobsError: 500,
    jobs.NotFound: 404,
    jobs.NotAllowed: 409,
    jobs.Unprocessable: 422,
    jobs.NoImages: 400,
    jobs.ArchiveUnreadable: 400,
    jobs.TooLarge: 413,
    jobs.UnsupportedMedia: 415,
    jobs.OverLimit: 429,
    jobs.Transient: 503,
    jobs.ImageFailure: 500,
    jobs.OutOfMemory: 500,
    jobs.InputNotFound: 422,
    jobs.DownloadFailed: 502,
    jobs.TimedOut: 504,
    segmentation.SegmentationError: 500,
    segmentation.UnreadableImage: 422,
    segmentation.UnsupportedImage: 422,
    segmentation.ImageTooLarge: 422,
    segmentation.MaskMismatch: 422,
    segmentation.UnknownLabelSpace: 404,
    segmentation.NoRemapping: 422,
    segmentation.InvalidFormatOptions: 422,
    segmentation.UnreadableExport: 422,
    segmentation.UnavailableExport: 422,
    ApiError: 500,
    BadRequest: 400,
    UnknownHost: 421,
    CrossSiteRequest: 403,
    Unauthorized: 401,
    Forbidden: 403,
    NotAcceptable: 406,
    RequestTimeout: 408,
    UploadsBusy: 503,
    DownloadsBusy: 503,
    Stopping: 503,
    RangeNotSatisfiable: 416,
    UnreadablePicture: 400,
    InvalidTrackingRequest: 400,
    TrackingAway: 503,
    NotReady: 503,
    SampleNotFound: 404,
}

# Codes of the router's own answers, which come without an error class of ours.
ROUTER_CODES: Mapping[int, str] = {404: "not_found", 405: "method_not_allowed"}

RETRY_AFTER_S: Mapping[int, int] = {503: 5}
RETRY_AFTER_OF_CODE_S: Mapping[str, int] = {jobs.IdempotencyInProgress.code: 5}

_IMAGE_ERRORS = (jobs.ImageFailure, segmentation.SegmentationError)


def status_of(error: Exception) -> int:
    """The HTTP status of an error. Raises KeyError for one that the table does not know."""
    if isinstance(error, PredictionFailed):
        return FAILURE_STATUS.get(error.code, 500)
    return status_of_kind(type(error))


def status_of_kind(kind: type[Exception]) -> int:
    """Of a class of errors. Raises KeyError for one that the table does not know."""
    return STATUS[next(base for base in kind.__mro__ if base in STATUS)]


def families() -> Sequence[type[Exception]]:
    """The roots of the trees that the table speaks for."""
    return (jobs.JobsError, segmentation.SegmentationError, SampleNotFound, ApiError)


def _failure_statuses() -> Iterator[tuple[str, int]]:
    for kind, status in STATUS.items():
        if issubclass(kind, _IMAGE_ERRORS):
            yield vars(kind).get("code", ""), status
    yield WORKER_LOST.code, 500


FAILURE_STATUS: Mapping[str, int] = dict(_failure_statuses())
