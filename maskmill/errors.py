"""What can go wrong between a caller and a server.

MaskmillError
├── InvalidInput        what was given to submit cannot be sent (no such file, nothing to send)
├── ServerUnreachable   nobody answers at the address
│   └── NotMaskmill     somebody else does, or sends the request elsewhere as another one
├── WaitTimeout         the job did not end in the time given
├── DownloadBroken      the archive did not arrive whole, or holds names that may not be unpacked
├── StackError          the local stack could not be started (see maskmill.stack)
└── APIError            the server's answer: code, status, detail, errors
    ├── BadRequest 400, 415     ├── NotFound 404        ├── Unprocessable 422
    ├── Unauthorized 401        ├── Conflict 409        ├── RateLimited 429
    ├── Forbidden 403           ├── TooLarge 413        └── ServerError 5xx ─ Unavailable 503
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class MaskmillError(Exception):
    """The message is a sentence for the person at the keyboard."""


class InvalidInput(MaskmillError):
    pass


class ServerUnreachable(MaskmillError):
    pass


class NotMaskmill(ServerUnreachable):
    pass


class WaitTimeout(MaskmillError):
    """job_id: of the job, which goes on."""

    def __init__(self, message: str, job_id: str = "") -> None:
        super().__init__(message)
        self.job_id = job_id


class DownloadBroken(MaskmillError):
    pass


class StackError(MaskmillError):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An `application/problem+json` answer. errors: field faults, each with `field` and `message`."""

    status: int
    code: str
    detail: str
    errors: Sequence[Mapping[str, Any]] = ()
    request_id: str | None = None
    retry_after_s: float | None = None


class APIError(MaskmillError):
    """The server said no. `code` is stable and machine-readable; `detail` is for people."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem

    @property
    def status(self) -> int:
        return self.problem.status

    @property
    def code(self) -> str:
        return self.problem.code

    @property
    def detail(self) -> str:
        return self.problem.detail

    @property
    def errors(self) -> Sequence[Mapping[str, Any]]:
        return self.problem.errors

    @property
    def request_id(self) -> str | None:
        return self.problem.request_id

    @property
    def retry_after_s(self) -> float | None:
        return self.problem.retry_after_s


class BadRequest(APIError):
    pass


class Unauthorized(APIError):
    pass


class Forbidden(APIError):
    pass


class NotFound(APIError):
    pass


class Conflict(APIError):
    pass


class TooLarge(APIError):
    pass


class Unprocessable(APIError):
    pass


class RateLimited(APIError):
    pass


class ServerError(APIError):
    pass


class Unavailable(ServerError):
    pass


_BY_STATUS: Mapping[int, type[APIError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    415: BadRequest,
    422: Unprocessable,
    429: RateLimited,
    503: Unavailable,
}


def api_error(problem: Problem) -> APIError:
    """The class that fits the status."""
    fallback = ServerError if problem.status >= 500 else APIError
    return _BY_STATUS.get(problem.status, fallback)(problem)


# What /predict answers where an image fails while it is waited for; 500 for any other code.
_OF_FAILURES: Mapping[str, int] = {
    "input_not_found": 422,
    "unreadable_image": 422,
    "unsupported_image": 422,
    "image_too_large": 422,
    "mask_mismatch": 422,
    "download_failed": 502,
    "timed_out": 504,
}


def image_error(row: Mapping[str, Any]) -> APIError:
    """Of an image that ended without a result, as /predict would have told it. row: as the service gives it."""
    error = row.get("error")
    if error is None:
        return Conflict(Problem(status=409, code="image_canceled", detail=f"{row['name']} was canceled"))
    status = _OF_FAILURES.get(error["code"], 500)
    return api_error(Problem(status=status, code=error["code"], detail=error["message"]))
