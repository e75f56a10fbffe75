"""The guarded connection to an address that a stranger chose: only public hosts, one time limit for all of it.

The address is checked where the connection is opened, so neither a redirect nor a name that changes its mind between
the check and the connection leads inside. Follows no redirect itself: `worker.web.downloads` does, with the same check.
"""

from __future__ import annotations

import ssl
import string
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

import httpcore

from jobs.addresses import Address, is_public
from worker.web.names import NameUnresolved, resolve

_PIECE = 64 * 1024


class NotReached(Exception):
    """The request was refused or came to nothing. The message names neither addresses nor what is reachable inside.

    lasting: the same request will not fare better later.
    """

    def __init__(self, message: str, *, lasting: bool) -> None:
        super().__init__(message)
        self.lasting = lasting


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """timeout_s: from the resolution of the name to the last byte. allowed: which addresses may be connected to.

    resolve: the addresses of a host and port; raises NameUnresolved.
    """

    timeout_s: float = 30.0
    allowed: Callable[[Address], bool] = is_public
    resolve: Callable[[str, int], list[Address]] = resolve


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None


class Answer:
    """status, and what follows it as far as it is asked for. Of use inside the block of `ask` alone."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response
        self.status = response.status

    def header(self, name: str, default: str = "") -> str:
        wanted = name.lower().encode()
        found = (value for key, value in self._response.headers if key.lower() == wanted)
        return next((value.decode("utf-8", "replace") for value in found), default)

    def pieces(self) -> Iterator[bytes]:
        """Of the body, as they come."""
        return self._response.iter_stream()

    def read(self, most: int) -> bytes:
        """The body; of a longer one its first bytes, a few more than `most`."""
        body = bytearray()
        for piece in self.pieces():
            body += piece
            if len(body) > most:
                break
        return bytes(body)


@contextmanager
def ask(request: Request, guard: Guard, *, deadline: float | None = None) -> Iterator[Answer]:
    """One request over a connection of its own.

    deadline: of `time.monotonic`, where several requests share one limit. Raises NotReached, also while the answer is
    read inside the block.
    """
    url = _checked(request.url)
    deadline = time.monotonic() + guard.timeout_s if deadline is None else deadline
    headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in request.headers.items()]
    try:
        with (
            httpcore.ConnectionPool(network_backend=_GuardedBackend(guard, deadline)) as pool,
            pool.stream(request.method, url.geturl(), headers=headers, content=request.content) as response,
        ):
            yield Answer(response)
    except (httpcore.TimeoutException, TimeoutError) as error:
        raise NotReached(f"the other side took longer than {guard.timeout_s:g} s", lasting=False) from error
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
        tls = isinstance(error.__cause__ or error.__context__, ssl.SSLError)
        what = "the server's certificate was not accepted" if tls else "the connection failed"
        raise NotReached(what, lasting=tls) from error


def _checked(url: str) -> SplitResult:
    try:
        parts = _in_ascii(urlsplit(url))
    except ValueError:
        raise NotReached("the address is not a valid URL", lasting=True) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NotReached("only http and https addresses are asked", lasting=True)
    if parts.username is not None or parts.password is not None:
        raise NotReached("addresses with a user name or password are refused", lasting=True)
    return parts._replace(fragment="")


def _in_ascii(parts: SplitResult) -> SplitResult:
    """As people write addresses, with spaces and letters of all kinds, and as HTTP takes them. Raises ValueError."""
    path, query = (quote(part, safe=string.punctuation) for part in (parts.path, parts.query))
    port = "" if parts.port is None else f":{parts.port}"
    host = "" if parts.netloc.isascii() else (parts.hostname or "").encode("idna").decode()
    return parts._replace(netloc=host + port if host else parts.netloc, path=path, query=query)


class _GuardedBackend(httpcore.NetworkBackend):
    """Resolves, checks and connects to the very address it checked. Every wait ends at the deadline."""

    def __init__(self, guard: Guard, deadline: float) -> None:
        self._guard = guard
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
        addresses = self._addresses(host, port)
        for tried, address in enumerate(addresses):
            share_s = _left(self._deadline) / (len(addresses) - tried)  # a dead one leaves time for the others
            try:
                return _GuardedStream(self._inner.connect_tcp(address, port, timeout=share_s), self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or NotReached("the host has no address", lasting=False)

    def _addresses(self, host: str, port: int) -> list[str]:
        try:
            found = _in_time(lambda: self._guard.resolve(host, port), self._deadline)
        except NameUnresolved as error:
            raise NotReached("the host's name could not be resolved", lasting=error.lasting) from error
        allowed = [str(each) for each in found if self._guard.allowed(each)]
        if found and not allowed:
            raise NotReached("addresses in private networks are refused", lasting=True)
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


def _in_time(find: Callable[[], list[Address]], deadline: float) -> list[Address]:
    """The system's resolver knows no time limit, so it runs in a thread that may be left behind."""
    found: Future[list[Address]] = Future()

    def run() -> None:
        try:
            found.set_result(find())
        except NameUnresolved as error:
            found.set_exception(error)
        finally:  # whatever else it is, the thread tells; whoever waits has to hear of it too
            if not found.done():
                found.set_exception(NotReached("the host's name could not be resolved", lasting=False))

    threading.Thread(target=run, name="resolver", daemon=True).start()
    return found.result(_left(deadline))


def _left(deadline: float) -> float:
    """Seconds until the deadline. Raises httpcore.ReadTimeout after it."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("deadline")
    return left
