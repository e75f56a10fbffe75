"""Starts and ends this process's runtime when Celery says so. Built after a fork, or before the threads of a pool."""

from __future__ import annotations

import gc
import logging
import os
import socket
import sys
import threading
from typing import Any

from celery.signals import (
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)

from storage.settings import StorageSettings
from worker.runtime import Runtime, build
from worker.settings import WorkerSettings

SWITCH_S = (
    0.0005  # a thread whose query was answered waits so long for one that computes; Python's own is ten times that
)
OBJECTS_BETWEEN_COLLECTIONS = 20_000  # a slice makes thousands, hardly any in a cycle: Python would look every 700

logger = logging.getLogger(__name__)


class _Process:
    runtime: Runtime | None = None


def runtime() -> Runtime:
    """Of this process. Raises RuntimeError before it was started."""
    if _Process.runtime is None:
        raise RuntimeError("the worker's runtime was not started")
    return _Process.runtime


def start(name: str) -> None:
    _Process.runtime = build(name, WorkerSettings(), StorageSettings())
    settle()


def settle() -> None:
    """How Python runs in a worker that has imported and built all that it needs."""
    sys.setswitchinterval(SWITCH_S)
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    gc.freeze()  # no collection has to look at it again


@worker_init.connect
def _start_before_threads(sender: Any, **_: object) -> None:
    if "prefork" in str(sender.pool_cls):
        return  # each child starts its own
    _start_or_exit(str(sender.hostname))


@worker_process_init.connect
def _start_after_fork(**_: object) -> None:
    if _Process.runtime is not None:
        return  # the solo pool sends this without forking
    _start_or_exit(f"{socket.gethostname()}-{os.getpid()}")
    runtime().show_life()


@worker_ready.connect
def _show_life(**_: object) -> None:
    if _Process.runtime is not None:
        _Process.runtime.show_life()


@worker_shutting_down.connect
def _stop_taking(**_: object) -> None:
    """Called inside a signal handler, where nothing may be waited for."""
    if _Process.runtime is not None:
        threading.Thread(target=_Process.runtime.stop_taking, name="stopping", daemon=True).start()


@worker_shutdown.connect
@worker_process_shutdown.connect
def _close(**_: object) -> None:
    closing, _Process.runtime = _Process.runtime, None
    if closing is not None:
        closing.close()


def _start_or_exit(name: str) -> None:
    """Celery logs what a signal's receiver raises and goes on; a worker without its runtime must not."""
    try:
        start(name)
    except Exception as error:
        logger.critical("the worker could not start", exc_info=error, extra={"action": "start_failed"})
        raise SystemExit(1) from error
