"""A real HTTP server on loopback whose answers a test writes down: the client is tested against sockets."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """cut_after: the connection breaks after so many bytes of the body."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None


Respond = Callable[[Received], Answer]


def as_json(value: Any, status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **named})


def problem(status: int, code: str, detail: str = "no", **headers: str) -> Answer:
    return as_json({"status": status, "code": code, "detail": detail, "request_id": "req_1"}, status, **headers)


class ToyServer:
    def __init__(self) -> None:
        self.requests: list[Received] = []
        self._answers: dict[tuple[str, str], list[Answer | Respond]] = {}
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except ConnectionError:
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                server.respond(self)

            def do_POST(self) -> None:
                server.respond(self)

            def do_PUT(self) -> None:
                server.respond(self)

            def do_DELETE(self) -> None:
                server.respond(self)

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def on(self, method: str, path: str, *answers: Answer | Respond) -> None:
        """The answers in turn; the last one again and again."""
        self._answers[method, path] = list(answers)

    def seen(self, method: str, path: str) -> list[Received]:
        return [request for request in self.requests if (request.method, request.path) == (method, path)]

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        request = _received(handler)
        self.requests.append(request)
        answers = self._answers.get((request.method, request.path), [problem(404, "not_found", request.path)])
        chosen = answers.pop(0) if len(answers) > 1 else answers[0]
        _send(handler, chosen if isinstance(chosen, Answer) else chosen(request))

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


def _received(handler: BaseHTTPRequestHandler) -> Received:
    parts = urlsplit(handler.path)
    body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
    headers = {name.lower(): value for name, value in handler.headers.items()}
    return Received(handler.command, parts.path, dict(parse_qsl(parts.query)), headers, body)


def _send(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    handler.send_response(answer.status)
    for name, value in answer.headers.items():
        handler.send_header(name, value)
    if answer.status not in (204, 304):
        handler.send_header("Content-Length", str(len(answer.body)))
    handler.end_headers()
    if answer.cut_after is not None:
        handler.wfile.write(answer.body[: answer.cut_after])
        handler.close_connection = True
        return
    handler.wfile.write(answer.body)
