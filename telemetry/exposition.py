"""Metrics of one process: its registry, and the small HTTP port on which a process without an API hands them out."""

from __future__ import annotations

import errno
import json
import logging
import platform
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, GCCollector, Info, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import start_http_server

from telemetry.version import version

logger = logging.getLogger(__name__)

PORTS_TRIED = 64  # from the one that is asked for
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


def process_registry(part: str) -> CollectorRegistry:
    """With what every process tells: who it is, its memory, its files, its processor time."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, with the time at which it began
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    about = Info("maskmill_build", "What runs in this process.", registry=registry)
    about.info({"version": version(), "part": part, "python": platform.python_version()})
    return registry


class Port:
    """`GET /metrics` of a registry, on a port of its own."""

    def __init__(self, server: WSGIServer, thread: threading.Thread, note: Path | None) -> None:
        self._server = server
        self._thread = thread
        self._note = note

    @property
    def number(self) -> int:
        return int(self._server.server_port)

    def close(self) -> None:
        if self._note is not None:
            self._note.unlink(missing_ok=True)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def open_port(
    registry: CollectorRegistry,
    *,
    host: str,
    first: int,
    note: Path | None = None,
    labels: Mapping[str, str] | None = None,
) -> Port | None:
    """The first free port from `first` on, so that several processes of one machine find one each; 0: any.

    note: a file that names the port to Prometheus (`file_sd_configs`), with these labels. None when there is no port:
    a worker that cannot be watched works all the same.
    """
    for number in (first,) if first == 0 else range(first, min(first + PORTS_TRIED, 65536)):
        try:
            server, thread = start_http_server(number, host, registry)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                continue
            logger.warning("no metrics: %s", error, extra={"action": "metrics_failed"})
            return None
        port = Port(server, thread, note)
        if note is not None:
            write_target(note, f"{host}:{port.number}", labels or {})
        logger.info("metrics on http://%s:%d/metrics", host, port.number, extra={"action": "metrics_served"})
        return port
    logger.warning("no metrics: no port is free from %d on", first, extra={"action": "metrics_failed"})
    return None


def write_target(note: Path, address: str, labels: Mapping[str, str]) -> None:
    """As Prometheus reads it: a list of targets with their labels."""
    target: list[dict[str, Any]] = [{"targets": [address], "labels": dict(labels)}]
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        partial = note.with_name(f".{note.name}.new")
        partial.write_text(json.dumps(target), "utf-8")
        partial.replace(note)
    except OSError as error:
        logger.warning("the port is not noted: %s", error, extra={"action": "metrics_unnoted"})
