"""Connections in front of the application: what a request's head may weigh and take, and who has to make room.

`server.py` gives this protocol to uvicorn. The application never sees what is refused here.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.answers.ranges import AnswerBrokenOff

REFUSALS = {
    431: ("headers_too_large", "Request Header Fields Too Large", "the head of the request is larger than allowed"),
    503: ("too_many_connections", "Service Unavailable", "there are as many connections as this process serves"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionRules:
    """head_bytes: of request line and headers together, and of whatever else is no body. head_s: from the connection,
    or the first byte of a later request, to the end of its head. stall_s: how long a client may take nothing of an
    answer. connections: of this process; beyond, those on which nothing is asked make room."""

    head_bytes: int = 64 * 1024
    headers: int = 100
    head_s: float = 20.0
    stall_s: float = 60.0
    connections: int = 4000


class GuardedProtocol(HttpToolsProtocol):
    rules: ClassVar[ConnectionRules] = ConnectionRules()

    _pending = 0  # bytes since a head or a piece of a body was whole
    _has_moved = False
    _headers = 0
    _head_bytes = 0
    _is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.head = _Alarm(self.loop)
        self._stall = _Alarm(self.loop)
        self._expect_head()
        if len(self.connections) > self.rules.connections and not self._find_room():
            self._refuse(503)

    def connection_lost(self, exc: Exception | None) -> None:
        self.head.stop()
        self._stall.stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._has_moved = False
        super().data_received(data)
        self._pending = 0 if self._has_moved else self._pending + len(data)
        if self._pending > self.rules.head_bytes and not self.transport.is_closing():
            self._refuse(431)

    def send_400_response(self, msg: str) -> None:
        """Also what the parser does with an error of ours."""
        if self._is_refused:
            self._refuse(431)
        else:
            super().send_400_response(msg)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._headers = self._head_bytes = 0
        if not self.head.is_set:
            self._expect_head()

    def on_url(self, url: bytes) -> None:
        self._weigh(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers += 1
        self._weigh(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._has_moved = True
        self.head.stop()
        super().on_headers_complete()
        is_old = self.scope["http_version"] == "1.0"
        self.cycle.__class__ = _OldCycle if is_old else _Cycle  # its task begins with the loop's next turn
        self.cycle.waiting_for_100_continue &= not is_old

    def on_body(self, body: bytes) -> None:
        self._has_moved = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._has_moved = True
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall.start(self.rules.stall_s, self.transport.abort)

    def resume_writing(self) -> None:
        self._stall.stop()
        super().resume_writing()

    @property
    def is_idle(self) -> bool:
        """Nothing was asked, or everything is answered."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _weigh(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self.rules.head_bytes or self._headers > self.rules.headers:
            self._is_refused = True
            raise ValueError("the head is too large")  # the parser stops and calls send_400_response

    def _expect_head(self) -> None:
        self.head.start(self.rules.head_s, self._end_late_head)

    def _end_late_head(self) -> None:
        self.head.stop()
        if self.is_idle:
            self.transport.close()
        else:  # the next request on a connection whose last one is still being answered
            self._expect_head()

    def _find_room(self) -> bool:
        """The connection ends on which nothing was asked for longest."""
        others = [each for each in self.connections if isinstance(each, GuardedProtocol) and each is not self]
        idle = [each for each in others if each.is_idle and not each.transport.is_closing()]
        if idle:
            min(idle, key=lambda each: each.head.due).transport.close()
        return bool(idle)

    def _refuse(self, status: int) -> None:
        code, phrase, detail = REFUSALS[status]
        problem = {"type": f"urn:maskmill:error:{code}", "title": code.replace("_", " ").capitalize()}
        body = json.dumps({**problem, "status": status, "detail": detail, "code": code}).encode()
        head = f"HTTP/1.1 {status} {phrase}\r\nContent-Type: application/problem+json\r\nConnection: close\r\n"
        retry = "Retry-After: 5\r\n" if status == 503 else ""
        self.transport.write(f"{head}{retry}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        self.transport.close()


class _Cycle(RequestResponseCycle):
    async def send_500_response(self) -> None:
        """The application answers whatever goes wrong in it. What is left was given up at the end of the process, and
        nobody knows whether it was done: no answer says so."""
        self.transport.close()


class _OldCycle(_Cycle):
    """Of HTTP/1.0, which knows no chunks: they would be part of the file. An answer of unknown length ends with its
    connection. Source: RFC 9112, section 6.1."""

    _ends_with_connection = False

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            if all(name.lower() != b"content-length" for name, _ in message.get("headers", ())):
                self._ends_with_connection, self.chunked_encoding = True, False
        elif message["type"] == "http.response.body" and self._ends_with_connection:
            self.expected_content_length = len(message.get("body", b""))
        await super().send(message)


def guarded(rules: ConnectionRules) -> type[GuardedProtocol]:
    """The protocol with these rules. uvicorn says no more of answers that broke off: our own line tells why."""
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    return type("Guarded", (GuardedProtocol,), {"rules": rules})


def _is_news(record: logging.LogRecord) -> bool:
    return record.exc_info is None or not isinstance(record.exc_info[1], AnswerBrokenOff)


class _Alarm:
    """Something that happens after a time unless it is stopped."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_set(self) -> bool:
        return self._timer is not None

    @property
    def due(self) -> float:
        """On the loop's clock; of a connection that was used before and waits for more: soon."""
        return 0.0 if self._timer is None else self._timer.when()

    def start(self, after_s: float, action: Callable[[], None]) -> None:
        self.stop()
        self._timer = self._loop.call_later(after_s, action)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
