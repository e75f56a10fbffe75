"""A real receiver of webhooks on this machine, which answers as a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SILENT_S = 60.0


@dataclass(frozen=True)
class Arrived:
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def said(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


@dataclass
class Receiver:
    """Answers with what `answer` says: a status, None for not at all."""

    answer: Callable[[Arrived], int | None] = lambda arrived: 204
    arrived: list[Arrived] = field(default_factory=list)

    def __post_init__(self) -> None:
        receiver = self
        self.over = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                arrived = Arrived(headers, self.rfile.read(int(headers["content-length"])))
                receiver.arrived.append(arrived)
                status = receiver.answer(arrived)
                if status is None:
                    receiver.over.wait(SILENT_S)
                    return
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def events(self, job_id: str) -> list[str]:
        return [each.said["type"] for each in self.arrived if each.said["data"]["id"] == job_id]

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
