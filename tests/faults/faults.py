"""The faults, by name. Each strikes, lasts, and is over; what it broke must come right by itself."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil
import redis

from tests.faults.target import WORKERS, Target

Fault = Callable[[Target, float], None]
PATIENCE_S = 10.0


def kill(part: str, target: Target, _lasts_s: float) -> None:
    _signal(part, target, signal.SIGKILL)


def suspend(part: str, target: Target, lasts_s: float) -> None:
    process = _signal(part, target, signal.SIGSTOP)
    time.sleep(lasts_s)
    with suppress(psutil.NoSuchProcess):
        if process is not None:
            process.send_signal(signal.SIGCONT)


def flush_broker(target: Target, _lasts_s: float) -> None:
    with suppress(redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError):  # dead already
        redis.Redis.from_url(target.broker_url, socket_timeout=5).flushall()


def wipe_broker(target: Target, _lasts_s: float) -> None:
    """Its folder is emptied under it, then it is killed: it starts with nothing."""
    for path in (target.home.root / "redis").iterdir():
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    _signal("broker", target, signal.SIGKILL)


def fill_store(target: Target, lasts_s: float) -> None:
    ballast = target.objects / "ballast"
    with _removed(ballast):
        until = time.monotonic() + lasts_s
        while time.monotonic() < until:  # whatever somebody frees is taken too
            with suppress(OSError), ballast.open("ab", buffering=0) as file:
                while time.monotonic() < until:
                    file.write(bytes(64 * 1024))
            time.sleep(0.05)


def make_store_read_only(target: Target, lasts_s: float) -> None:
    """Only while nobody has a file open for writing can it be made so; somebody mostly has."""
    if not _remounted(target, "ro"):
        return
    time.sleep(lasts_s)
    assert _remounted(target, "rw"), "the store stays read-only"


def lock_database(target: Target, lasts_s: float) -> None:
    """No write gets through, as under somebody's backup or a stuck transaction."""
    connection = sqlite3.connect(target.database, timeout=PATIENCE_S, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        time.sleep(lasts_s)
        connection.execute("ROLLBACK")
    finally:
        connection.close()


FAULTS: Mapping[str, Fault] = {
    **{f"kill {part}": partial(kill, part) for part in (*WORKERS, "api", "scheduler", "broker")},
    **{f"suspend {part}": partial(suspend, part) for part in (*WORKERS, "api", "broker")},
    "flush broker": flush_broker,
    "wipe broker": wipe_broker,
    "store full": fill_store,
    "store read-only": make_store_read_only,
    "database locked": lock_database,
}
OF_THE_STORE = ("store full", "store read-only")


def _signal(part: str, target: Target, number: signal.Signals) -> psutil.Process | None:
    """The process, None when the part waits to be started again."""
    process = target.process(part)
    with suppress(psutil.NoSuchProcess):
        if process is not None:
            os.kill(process.pid, number)
    return process


@contextmanager
def _removed(path: Path) -> Iterator[None]:
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _remounted(target: Target, mode: str) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        command = ["mount", "-o", f"remount,{mode}", str(target.objects)]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return True
        time.sleep(0.01)
    return False
