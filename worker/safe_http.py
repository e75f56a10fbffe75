"""Fetching an address that a stranger chose: only public hosts, few redirects, limits on size and time.

The address is checked where the connection is opened, so neither a redirect nor a name that changes its mind between
the check and the connection leads inside.
"""

from __future__ import annotations

import ssl
import string
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import httpcore

from jobs.errors import DownloadFailed
from worker.addresses import Address, NameUnresolved, is_public, resolve

MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_RETRYABLE = frozenset({408, 425, 429})
_PIECE = 64 * 1024
_HEADERS: dict[bytes | str, bytes | str] = {
    "Accept": "image/*, */*;q=0.5",
    "Accept-Encoding": "identity",
    "User-Agent": "maskmill",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRules:
    """timeout_s: for the whole download, redirects included. allowed: which addresses may be connected to.

    resolve: the addresses of a host and port; raises NameUnresolved.
    """

    max_bytes: int = 64 * 2**20
    timeout_s: float = 30.0
    allowed: Callable[[Address], bool] = is_public
    resolve: Callable[[str, int], list[Address]] = resolve


def fetch(url: str, rules: FetchRules) -> bytes:
    """The body of `url`. Raises DownloadFailed; its message names neither addresses nor what is reachable inside."""
    deadline = time.monotonic() + rules.timeout_s
    for _ in range(MOST_REDIRECTS + 1):
        answer = _get(_checked(url), rules, deadline)
        if isinstance(answer, bytes):
            return answer
        url = urljoin(url, answer.location)
    raise DownloadFailed(f"more than {MOST_REDIRECTS} redirects", retryable=False)


@dataclass(frozen=True, slots=True)
class _Redirect:
    location: str


def _get(url: SplitResult, rules: FetchRules, deadline: float) -> bytes | _Redirect:
    """One request over a connection of its own."""
    backend = _GuardedBackend(rules, deadline)
    try:
        with (
            httpcore.ConnectionPool(network_backend=backend) as pool,
            pool.stream("GET", url.geturl(), headers=_HEADERS) as response,
        ):
            if response.status in _REDIRECTS:
                return _Redirect(_header(response, "location"))
            _check_status(response.status)
            return _read(response, rules.max_bytes)
    except (httpcore.TimeoutException, TimeoutError) as error:
        raise DownloadFailed(f"the download took longer than {rules.timeout_s:g} s", retryable=True) from error
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
        tls = isinstance(error.__cause__ or error.__context__, ssl.SSLError)
        what = "the server's certificate was not accepted" if tls else "the connection failed"
        raise DownloadFailed(what, retryable=not tls) from error


def _checked(url: str) -> SplitResult:
    try:
        parts = _in_ascii(urlsplit(url))
    except ValueError:
        raise DownloadFailed("the address is not a valid URL", retryable=False) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise DownloadFailed("only http and https addresses are fetched", retryable=False)
    if parts.username is not None or parts.password is not None:
        raise DownloadFailed("addresses with a user name or password are refused", retryable=False)
    return parts._replace(fragment="")


def _in_ascii(parts: SplitResult) -> SplitResult:
    """As people write addresses, with spaces and letters of all kinds, and as HTTP takes them. Raises ValueError."""
    path, query = (quote(part, safe=string.punctuation) for part in (parts.path, parts.query))
    port = "" if parts.port is None else f":{parts.port}"
    host = "" if parts.netloc.isascii() else (parts.hostname or "").encode("idna").decode()
    return parts._replace(netloc=host + port if host else parts.netloc, path=path, query=query)


def _check_status(status: int) -> None:
    if status != 200:
        raise DownloadFailed(f"the server answered {status}", retryable=status >= 500 or status in _RETRYABLE)


def _read(response: httpcore.Response, max_bytes: int) -> bytes:
    if _header(response, "content-encoding", "identity").lower() != "identity":
        raise DownloadFailed("the server insists on a compressed answer", retryable=False)
    announced = _header(response, "content-length", "0")
    body = bytearray()
    for piece in response.iter_stream():
        body += piece
        if len(body) > max_bytes:
            break
    if len(body) > max_bytes or (announced.isdecimal() and int(announced) > max_bytes):
        raise DownloadFailed(f"the file is larger than {max_bytes} bytes", retryable=False)
    return bytes(body)


def _header(response: httpcore.Response, name: str, default: str = "") -> str:
    return next(
        (value.decode("utf-8", "replace") for key, value in response.headers if key.lower() == name.encode()), default
    )


class _GuardedBackend(httpcore.NetworkBackend):
    """Resolves, checks and connects to the very address it checked. Every wait ends at the deadline."""

    def __init__(self, rules: FetchRules, deadline: float) -> None:
        self._rules = rules
        self._deadline = deadline
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception | None = None
        for address in self._addresses(host, port):
            try:
                stream = self._inner.connect_tcp(address, port, timeout=_left(self._deadline))
                return _GuardedStream(stream, self._deadline)
            except httpcore.ConnectError as error:
                failure = error
        raise failure or DownloadFailed("the host has no address", retryable=True)

    def _addresses(self, host: str, port: int) -> list[str]:
        try:
            found = self._rules.resolve(host, port)
        except NameUnresolved as error:
            raise DownloadFailed("the host's name could not be resolved", retryable=not error.lasting) from error
        allowed = [str(each) for each in found if self._rules.allowed(each)]
        if found and not allowed:
            raise DownloadFailed("addresses in private networks are refused", retryable=False)
        return allowed


class _GuardedStream(httpcore.NetworkStream):
    """A server that drips bytes cannot stretch the deadline: each wait gets what is left of it."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: float) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(min(max_bytes, _PIECE), timeout=_left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, timeout=_left(self._deadline))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        stream = self._inner.start_tls(ssl_context, server_hostname, timeout=_left(self._deadline))
        return _GuardedStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _left(deadline: float) -> float:
    """Seconds until the deadline. Raises httpcore.ReadTimeout after it."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("deadline")
    return left
