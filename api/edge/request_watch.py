"""Each request is counted, timed, logged and traced once, when its answer is over: by its route, not by its address."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics import UNMATCHED, ApiMetrics
from jobs.keys import ULID
from telemetry import trail
from telemetry.traces import TRACEPARENT, span

QUIET = frozenset({"/health", "/ready", "/metrics"})  # asked every few seconds by machines: logged when they fail
CUT_OFF = 499  # as nginx counts clients that went away before there was an answer
_JOB = re.compile(f"job_{ULID}")

logger = logging.getLogger(__name__)


@dataclass
class _Exchange:
    """body: bytes of it that came in. status 0: there is no answer yet."""

    scope: Scope
    began: float = field(default_factory=time.perf_counter)
    body: int = 0
    status: int = 0
    job_id: str | None = None

    @property
    def route(self) -> str:
        return str(getattr(self.scope.get("route"), "path", UNMATCHED))

    @property
    def job(self) -> str | None:
        """The job of the path, or the one that was made."""
        return self.scope.get("path_params", {}).get("job_id") or self.job_id

    def saw(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
            headers = Headers(raw=message.get("headers", []))
            found = _JOB.search(headers.get("x-job-id") or headers.get("location") or "")
            self.job_id = found and found.group()


class RequestWatch:
    """Middleware, the outermost: it sees what is refused before any route too."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope)

        async def receive_counted() -> Message:
            message = await receive()
            exchange.body += len(message.get("body", b""))
            return message

        async def send_seen(message: Message) -> None:
            exchange.saw(message)
            await send(message)

        requests = scope["app"].state.requests
        requests.add(task := asyncio.current_task())
        parent = {TRACEPARENT: Headers(scope=scope).get(TRACEPARENT, "")}
        with self._metrics.at_once.track_inprogress(), span("request", parent=parent, kind="server") as begun:
            try:
                await self._app(scope, receive_counted, send_seen)
            finally:
                requests.discard(task)
                self._tell(exchange, begun)

    def _tell(self, exchange: _Exchange, begun: Any) -> None:
        seconds, method = time.perf_counter() - exchange.began, str(exchange.scope["method"])
        status, route = exchange.status or CUT_OFF, exchange.route
        self._metrics.request_ended(method, route, status, seconds)
        if exchange.body:
            self._metrics.upload_bytes.labels(route).inc(exchange.body)
        said = {"method": method, "route": route, "status": status, "milliseconds": round(seconds * 1e3, 1)}
        if begun is not None:
            begun.update_name(f"{method} {route}")
            begun.set_attributes({"http.request.method": method, "http.route": route})
            begun.set_attribute("http.response.status_code", status)
            begun.set_attribute("maskmill.request_id", str(trail.request_id()))
        if exchange.job is not None:
            said["job_id"] = exchange.job
            if begun is not None:
                begun.set_attribute("maskmill.job_id", exchange.job)
        level = logging.DEBUG if route in QUIET and status < 500 else logging.INFO
        path = quote(exchange.scope["path"])  # without its query, which may be signed
        logger.log(level, "%s %s: %d", method, path, status, extra={"action": "request", **said})
