"""The server around the application: `python -m api`. uvicorn, with limits that it does not have itself."""

from __future__ import annotations

import argparse
import resource
from collections.abc import Sequence

import uvicorn

from api.edge.connections import ConnectionRules, guarded
from api.settings import ApiSettings

FILES_BESIDE = 200  # that a process needs for other things than connections
GRACE_S = 8  # for requests that run when the process is asked to stop


def main(arguments: Sequence[str] | None = None) -> None:
    settings = ApiSettings()
    parser = argparse.ArgumentParser(prog="python -m api", description="Serve the HTTP interface.")
    parser.add_argument("--host", default=settings.host)
    parser.add_argument("--port", type=int, default=settings.port)
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    parser.add_argument("--access-log", action="store_true", help="a line for each request")
    given = parser.parse_args(arguments)
    uvicorn.run(
        "api.main:create_app",
        factory=True,
        host=given.host,
        port=given.port,
        log_level=given.log_level,
        access_log=given.access_log,
        http=guarded(rules_of(settings, files=_raised_file_limit())),
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )


def rules_of(settings: ApiSettings, *, files: int) -> ConnectionRules:
    """files: how many this process may have open."""
    return ConnectionRules(
        head_bytes=settings.head_bytes,
        headers=settings.max_headers,
        head_s=settings.head_s,
        stall_s=settings.stall_s,
        connections=max(1, min(settings.max_connections, files - FILES_BESIDE)),
    )


def _raised_file_limit() -> int:
    """As far as the system allows; each connection is a file."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
