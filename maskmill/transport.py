"""HTTP calls with patience: what may safely be sent again is sent again, refusals become exceptions, and a stream of
events goes on where its connection broke."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from urllib.parse import quote

import httpx

from maskmill.errors import APIError, InvalidInput, NotMaskmill, Problem, ServerUnreachable, api_error

BUSY = frozenset({429, 502, 503, 504})
FIRST_DELAY_S = 0.25
LONGEST_DELAY_S = 8.0
LONGEST_RETRY_AFTER_S = 30.0
AGAIN_S = 75.0  # a key whose request died with its server is free after a minute
LEAST_S = 0.1  # an attempt is given so long at least
PIECE = 1 << 20
STREAM = "text/event-stream"
SILENCE_S = 40.0  # the server shows every 15 s that it is alive


def takes_proxy(address: str) -> bool:
    """Whether the environment's proxies are asked: not for this machine, where another would answer in its place."""
    url = httpx.URL(address)
    return url.scheme == "https" or url.host not in ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. repeatable: sending it twice does no more than sending it once.

    content: bytes, or an iterable that starts anew each time it is iterated. again_on: further error codes after which
    the same call is sent again, for AGAIN_S at least where there is any patience. read_timeout_s: how long the server
    may take at least; silence_s: at most. within_s: for all attempts together, with the pauses between them.
    """

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    content: Any = None
    repeatable: bool = True
    again_on: tuple[str, ...] = ()
    read_timeout_s: float | None = None
    silence_s: float | None = None
    within_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """patience_s: for how long a call that failed is tried again before its error is raised."""

    http: httpx.Client
    patience_s: float = 10.0

    def send(self, call: Call, *, patience_s: float | None = None) -> httpx.Response:
        """The answer, read whole. Raises APIError, ServerUnreachable."""
        attempts = _Attempts(self.patience_s if patience_s is None else patience_s, call.within_s)
        while True:
            with attempts.guard(call), self._opened(call, attempts.left_s) as response:
                response.read()
                refuse(response)
                return response

    def json(self, call: Call, *, holds: tuple[str, ...] = (), patience_s: float | None = None) -> dict[str, Any]:
        """The object that is the answer. holds: names that it has. Raises as `send`, and NotMaskmill."""
        return json_of(self.send(call, patience_s=patience_s), holds)

    def rows(self, path: str, params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Of a list that comes in pages, all. Raises as `send`."""
        cursor: str | None = None
        while True:
            page = self.json(Call(method="GET", path=path, params={**params, "cursor": cursor}), holds=("items",))
            yield from page["items"]
            cursor = page.get("next_cursor")
            if not cursor:
                return

    @contextmanager
    def stream(self, call: Call) -> Iterator[httpx.Response]:
        """The answer with its body still to be read. Tried once. Raises APIError, ServerUnreachable."""
        with translated(), self._opened(call) as response:
            if response.is_error:
                response.read()
            refuse(response)
            yield response

    @contextmanager
    def _opened(self, call: Call, left_s: float | None = None) -> Iterator[httpx.Response]:
        response = self.http.send(self._request(call, self._timeout(call, left_s)), stream=True)
        try:
            _require_ours(call, response)
            yield response
        finally:
            response.close()

    def _timeout(self, call: Call, left_s: float | None) -> httpx.Timeout:
        """Of each step of an attempt. left_s: of the call's time."""
        usual = self.http.timeout
        read = usual.read
        if call.read_timeout_s is not None:
            read = max(call.read_timeout_s, read or 0)
        if call.silence_s is not None:
            read = call.silence_s
        return httpx.Timeout(_least(usual.connect, call.silence_s, left_s), read=_least(read, left_s))

    def _request(self, call: Call, timeout: httpx.Timeout) -> httpx.Request:
        try:
            return self.http.build_request(
                call.method,
                call.path,
                params={name: value for name, value in call.params.items() if value is not None} or None,  # not {}
                headers=call.headers,
                json=call.json,
                content=call.content,
                timeout=timeout,
            )
        except (TypeError, ValueError) as error:  # NaN, a date, a name whose bytes are no UTF-8
            raise InvalidInput(f"what is asked cannot be sent: {error}") from error


def _least(*limits: float | None) -> float | None:
    return min((each for each in limits if each is not None), default=None)


def segment(text: str) -> str:
    """One part of a path, whatever it holds. Raises InvalidInput for what would make another path of it."""
    if not text.strip(".") or "/" in text:
        raise InvalidInput(f"{text!r} is no name that the service could know")
    try:
        return quote(text, safe="")
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{text!r} is no text in UTF-8") from error


def json_of(response: httpx.Response, holds: tuple[str, ...] = ()) -> dict[str, Any]:
    """The object that an answer holds. Raises NotMaskmill for any other: of a sign-in page, or of the page of masks."""
    try:
        told = response.json()
    except ValueError:
        told = None
    if not isinstance(told, dict) or not all(name in told for name in holds):
        kind = response.headers.get("content-type", "").partition(";")[0] or "nothing"
        raise NotMaskmill(
            f"what answers {response.request.method} {response.url} is no Maskmill service (it gives {kind}); is it "
            "the address of its API?"
        )
    return told


def _require_ours(call: Call, response: httpx.Response) -> None:
    """Raises NotMaskmill where the request was sent elsewhere, and became another one on the way."""
    if response.request.method != call.method:
        raise NotMaskmill(
            f"{response.history[0].url} sends elsewhere by {response.history[0].status_code}, which makes "
            f"{response.request.method} of {call.method}: nothing was done; use the address that it names, "
            f"{response.url}"
        )
    if response.status_code in (301, 302, 303, 307):  # 304 is an answer, and so is 308 to an upload
        raise NotMaskmill(f"{response.url} sends elsewhere and does not say where")


class FileContent:
    """The bytes of a file, from its beginning each time."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(0)
        while piece := self._file.read(PIECE):
            yield piece


@dataclass(frozen=True, slots=True)
class Event:
    """kind: `job` or `image`; data: its view. No kind: nothing happens, but the server is there."""

    kind: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


class Events:
    """Of one job. An event is given once, whatever happens to the connection."""

    def __init__(self, transport: Transport, path: str, *, only_job: bool) -> None:
        self._transport = transport
        self._path = path
        self._only_job = only_job
        self._last: str | None = None

    def read(self, *, silence_s: float = SILENCE_S) -> Iterator[Event]:
        """Of one connection, until it ends or breaks; a sign of life of the server is an event without a kind.

        Raises APIError, NotFound among them when the job is not there.
        """
        headers = {"Accept": STREAM} | ({} if self._last is None else {"Last-Event-ID": self._last})
        params = {"only": "job"} if self._only_job else {}
        call = Call(method="GET", path=self._path, params=params, headers=headers, silence_s=silence_s)
        with _passing(), self._transport.stream(call) as response:
            if not response.headers.get("content-type", "").startswith(STREAM):
                return  # a page of somebody between us: to ask again would bring it again
            fields: dict[str, str] = {}
            for line in _lines(response):
                if line.startswith(":"):
                    yield Event()
                elif line:
                    name, _, value = line.partition(":")
                    fields[name] = value.removeprefix(" ")
                elif fields:
                    self._last = fields.get("id", self._last)
                    yield Event(fields.get("event"), json.loads(fields.get("data", "null")))
                    fields = {}


def _lines(response: httpx.Response) -> Iterator[str]:
    """As streams of events have them: httpx's own also end at U+2028 and its like, which JSON may hold as they are."""
    rest = b""
    for piece in response.iter_bytes():
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line.removesuffix(b"\r").decode(errors="replace") for line in whole)


@contextmanager
def _passing() -> Iterator[None]:
    """A connection that breaks ends the reading; so does a server that cannot just now, or has no such stream."""
    try:
        yield
    except ServerUnreachable:
        return
    except APIError as error:
        if error.code == "job_not_found" or error.status not in (404, 406, *BUSY):
            raise


@contextmanager
def translated() -> Iterator[None]:
    """httpx's errors as ours."""
    try:
        yield
    except (httpx.TooManyRedirects, httpx.DecodingError) as error:
        raise NotMaskmill(f"{error.request.url} gives no answer of a Maskmill service: {error}") from error
    except httpx.TransportError as error:
        raise _unreachable(error) from error
    except httpx.InvalidURL as error:
        raise ServerUnreachable(f"not an address: {error}") from error


def refuse(response: httpx.Response) -> None:
    """Raises APIError for an error status; the body must have been read. 304 is no error."""
    if not response.is_error:
        return
    try:
        body = response.json()
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    detail = body.get("detail") or body.get("title") or f"{response.status_code} {response.reason_phrase}"
    raise api_error(
        Problem(
            status=response.status_code,
            code=str(body.get("code") or "unknown"),
            detail=detail if isinstance(detail, str) else str(detail),
            errors=tuple(fault for fault in body.get("errors") or () if isinstance(fault, dict)),
            request_id=body.get("request_id"),
            retry_after_s=_retry_after(response.headers.get("retry-after")),
        )
    )


class _Attempts:
    """Patience begins to run with the first failure: an upload that took minutes may be sent again too. within_s begins
    to run now."""

    def __init__(self, patience_s: float, within_s: float | None = None) -> None:
        self._patience_s = patience_s
        self._deadline = None if within_s is None else time.monotonic() + within_s
        self._began: float | None = None
        self._failures = 0

    @property
    def left_s(self) -> float | None:
        return None if self._deadline is None else max(LEAST_S, self._deadline - time.monotonic())

    @contextmanager
    def guard(self, call: Call) -> Iterator[None]:
        """Swallow what another attempt may mend, after the pause it asks for; raise the rest as ours."""
        try:
            with translated():
                yield
        except NotMaskmill:
            raise  # it will be no other one in a minute
        except ServerUnreachable as error:
            never_sent = isinstance(error.__cause__, (httpx.ConnectError, httpx.ConnectTimeout))
            if not (call.repeatable or never_sent) or not self._pause(None):
                raise
        except APIError as error:
            least_s = AGAIN_S if self._patience_s and error.code in call.again_on else 0.0
            if not may_repeat(call, error) or not self._pause(error.retry_after_s, least_s=least_s):
                raise

    def _pause(self, wanted_s: float | None, *, least_s: float = 0.0) -> bool:
        """False when the patience is used up, or the time."""
        now = time.monotonic()
        self._began = self._began or now
        backoff = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2**self._failures) * random.uniform(0.7, 1.3)
        delay = backoff if wanted_s is None else min(LONGEST_RETRY_AFTER_S, wanted_s)
        if now + delay > self._began + max(self._patience_s, least_s):
            return False
        if self._deadline is not None and now + delay >= self._deadline:
            time.sleep(max(0.0, self._deadline - now))  # until then there was hope
            return False
        self._failures += 1
        time.sleep(delay)
        return True


def may_repeat(call: Call, error: APIError) -> bool:
    if error.code == "quota_exceeded":
        return False
    refused = error.status in (429, 503)  # the server did nothing
    return error.code in call.again_on or refused or (call.repeatable and error.status in BUSY)


def _unreachable(error: httpx.TransportError) -> ServerUnreachable:
    try:
        url = error.request.url
        place = f"{url.scheme}://{url.netloc.decode()}"
    except RuntimeError:
        place = "the server"
    if isinstance(error, httpx.ConnectError):
        return ServerUnreachable(f"nobody answers at {place} ({error})")
    if isinstance(error, httpx.TimeoutException):
        return ServerUnreachable(f"{place} did not answer in time ({type(error).__name__})")
    return ServerUnreachable(f"the connection to {place} broke ({str(error) or type(error).__name__})")


def _retry_after(value: str | None) -> float | None:
    try:
        return None if value is None else max(0.0, float(value))
    except ValueError:
        return None  # a date: back off as usual
