"""A name for each request: taken from `X-Request-Id` or made, sent back with every answer, told in every error."""

from __future__ import annotations

import logging
import re
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.answers.problems import problem_response, unexpected
from api.answers.ranges import AnswerBrokenOff
from telemetry import trail

HEADER = "X-Request-Id"
_ALLOWED = re.compile(r"[A-Za-z0-9._:-]{1,128}")

logger = logging.getLogger(__name__)


class RequestIds:
    """Middleware, and the API's last line of defence: what nobody expected becomes a 500 that says nothing of it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        request_id = given if _ALLOWED.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        trail.begin({"request_id": request_id})
        started = False

        async def send_named(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers[HEADER] = request_id
                for name, value in scope["state"].get("answer_headers", {}).items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, send_named)
        except AnswerBrokenOff:
            raise
        except Exception:
            logger.exception("request failed", extra={"action": "request_failed", "request_id": request_id})
            if started:
                raise  # too late for another answer: the server cuts the connection
            await problem_response(unexpected(request_id))(scope, receive, send_named)
