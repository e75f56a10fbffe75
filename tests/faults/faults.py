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
import psycopg
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


def damage_broker(target: Target, _lasts_s: float) -> None:
    """What it wrote is overwritten in the middle, then it is killed: it cannot read its log."""
    for path in (target.home.root / "redis").rglob("*.aof"):
        with suppress(OSError), path.open("r+b") as log:
            log.seek(path.stat().st_size // 2)
            log.write(b"\0damaged\0" * 8)
    _signal("broker", target, signal.SIGKILL)


def trouble_engines(kind: str, target: Target, lasts_s: float) -> None:
    """kind: one of `inside/sitecustomize.py`."""
    with _removed(target.trouble):
        target.trouble.write_text(f"{kind} {time.time() + lasts_s}")
        time.sleep(lasts_s)


def suspend_server(name: str, target: Target, lasts_s: float) -> None:
    processes = target.server(name)
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.suspend()
    time.sleep(lasts_s)
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.resume()


def crash_database(target: Target, _lasts_s: float) -> None:
    """One connection's process is killed: PostgreSQL ends all of them and recovers."""
    for process in target.server("postgres")[1:]:
        with suppress(psutil.NoSuchProcess):
            if any("idle" in word or "maskmill" in word for word in process.cmdline()):
                process.kill()
                return


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
    if target.full:
        _lock_tables(target, lasts_s)
        return
    connection = sqlite3.connect(target.database, timeout=PATIENCE_S, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        time.sleep(lasts_s)
        connection.execute("ROLLBACK")
    finally:
        connection.close()


def _lock_tables(target: Target, lasts_s: float) -> None:
    url = target.storage.resolved_database_url.replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        connection.execute(f"SET lock_timeout = '{PATIENCE_S:g}s'")
        connection.execute("LOCK TABLE jobs IN EXCLUSIVE MODE")
        time.sleep(lasts_s)
        connection.rollback()


FAULTS: Mapping[str, Fault] = {
    **{f"kill {part}": partial(kill, part) for part in (*WORKERS, "api", "scheduler", "broker", "webhooks")},
    **{f"suspend {part}": partial(suspend, part) for part in (*WORKERS, "api", "scheduler", "broker", "webhooks")},
    "flush broker": flush_broker,
    "wipe broker": wipe_broker,
    "damage broker": damage_broker,
    "store full": fill_store,
    "store read-only": make_store_read_only,
    "store frozen": partial(suspend_server, "rclone"),
    "database locked": lock_database,
    "database frozen": partial(suspend_server, "postgres"),
    "database crashed": crash_database,
    "engine hangs": partial(trouble_engines, "hang"),
    "engine slow": partial(trouble_engines, "slow"),
    "engine crashes": partial(trouble_engines, "crash"),
    "engine out of memory": partial(trouble_engines, "memory"),
}
OF_A_SMALL_DISK = ("store full", "store read-only")
OF_SERVERS = ("store frozen", "database frozen", "database crashed")


def faults_of(target: Target) -> list[str]:
    """Those that can strike there."""
    missing = (() if target.store_can_fail else OF_A_SMALL_DISK) + (() if target.full else OF_SERVERS)
    return [name for name in FAULTS if name not in missing]


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
