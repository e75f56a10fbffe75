"""A hub on loopback that answers what huggingface_hub asks of one: what a revision holds, and its files."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

Files = Mapping[str, bytes]


@dataclass
class Hub:
    """commits: repository → commit → files. refs: repository → branch or pull request → commit.

    damaged: names of files whose bytes are flipped on the way. cut: names of files that break off once, half way.
    """

    commits: dict[str, dict[str, Files]] = field(default_factory=dict)
    refs: dict[str, dict[str, str]] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)
    cut: set[str] = field(default_factory=set)
    failing: bool = False
    downloads: list[str] = field(default_factory=list)
    url: str = ""

    def add(self, repository: str, ref: str, files: Files) -> str:
        """Returns the commit."""
        content = json.dumps({name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())})
        commit = hashlib.sha1(f"{repository} {content}".encode(), usedforsecurity=False).hexdigest()
        self.commits.setdefault(repository, {})[commit] = dict(files)
        self.refs.setdefault(repository, {})[ref] = commit
        return commit

    def find(self, repository: str, revision: str) -> str | None:
        if revision in self.commits.get(repository, {}):
            return revision
        return self.refs.get(repository, {}).get(revision)


def etag(name: str, data: bytes) -> str:
    """SHA-256 of what the hub keeps as a large file, git's own of the others."""
    if name.endswith((".safetensors", ".bin")):
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@contextmanager
def hub_server(hub: Hub) -> Iterator[Hub]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, *, body: bool) -> None:
        path = unquote(self.path.partition("?")[0])
        if self.hub.failing:
            self._send(503, b"{}", {}, body=body)
        elif told := re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/(.+)", path):
            self._revision(*told.groups(), body=body)
        elif told := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._file(*told.groups(), body=body)
        else:
            self._missing("RepoNotFound", body=body)

    def _revision(self, repository: str, revision: str, *, body: bool) -> None:
        commit = self.hub.find(repository, revision)
        if commit is None:
            known = repository in self.hub.commits
            self._missing("RevisionNotFound" if known else "RepoNotFound", body=body)
            return
        files = self.hub.commits[repository][commit]
        siblings = [{"rfilename": name, "size": len(data)} for name, data in files.items()]
        told: dict[str, Any] = {"id": repository, "sha": commit, "siblings": siblings, "private": False}
        self._send(200, json.dumps(told).encode(), {"Content-Type": "application/json"}, body=body)

    def _file(self, repository: str, revision: str, name: str, *, body: bool) -> None:
        commit = self.hub.find(repository, revision)
        data = self.hub.commits.get(repository, {}).get(commit or "", {}).get(name)
        if commit is None or data is None:
            self._missing("EntryNotFound", body=body)
            return
        headers = {"X-Repo-Commit": commit, "ETag": f'"{etag(name, data)}"', "Accept-Ranges": "bytes"}
        if body:
            self.hub.downloads.append(name)
        if name in self.hub.damaged:
            data = data[:-1] + bytes([data[-1] ^ 1])
        given = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if given:
            start = int(given.group(1))
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            self._send(206, data[start:], headers, body=body)
        elif body and name in self.hub.cut:
            self.hub.cut.remove(name)
            self._send(200, data, headers, body=body, upto=len(data) // 2)
        else:
            self._send(200, data, headers, body=body)

    def _missing(self, code: str, *, body: bool) -> None:
        self._send(404, b"{}", {"X-Error-Code": code, "X-Error-Message": code}, body=body)

    def _send(
        self, status: int, data: bytes, headers: Mapping[str, str], *, body: bool, upto: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        if upto is not None:
            self.close_connection = True
        self.end_headers()
        if body:
            self.wfile.write(data[:upto])
