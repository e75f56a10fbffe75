"""The faults, by name. Each strikes, lasts, and is over; what it broke must come right by itself."""

from __future__ import annotations

import json
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
from typing import Any

import psutil
import psycopg
import redis

from tests.faults.target import WORKERS, Target
from tests.faults.watcher import rows_of

Fault = Callable[[Target, float], None]
PATIENCE_S = 10.0
CLOCK_S = 60.0  # longer than any lease here
OVERTAKEN_S = 20.0  # until a lease has run out, its images were sent again and taken


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


def repeat_messages(target: Target, _lasts_s: float) -> None:
    """A broker delivers at least once: whatever waits or is at work is delivered once more."""
    with suppress(redis.RedisError), redis.Redis.from_url(target.broker_url, socket_timeout=5) as broker:
        waiting = [(key, broker.lrange(key, 0, -1)) for key in broker.scan_iter(_type="LIST")]
        taken = [json.loads(each) for each in broker.hvals("unacked")]  # message, exchange, key of the queue
        for key, messages in waiting:
            if messages:
                broker.lpush(key, *messages)
        for message, _, key in taken:
            broker.lpush(key, json.dumps(message))


def overtake(part: str, target: Target, lasts_s: float) -> None:
    """A worker is stopped until another one works at its images, and goes on at that moment."""
    process = _signal(part, target, signal.SIGSTOP)
    if process is None:
        return
    try:
        _wait_until_others_work(target, lasts_s + OVERTAKEN_S)
    finally:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGCONT)


def _wait_until_others_work(target: Target, patience_s: float) -> None:
    """At images whose attempt ended with a lease that ran out."""
    deadline = time.monotonic() + patience_s
    url = target.storage.resolved_database_url
    known: set[Any] | None = None
    while time.monotonic() < deadline:
        with suppress(sqlite3.Error, psycopg.Error):
            again = {(job, index, lost) for job, index, lost in rows_of(url, _AGAIN)}
            if known is not None and again - known:
                return
            known = known or again
        time.sleep(0.02)


_AGAIN = "SELECT job_id, \"index\", lost FROM job_images WHERE status = 'running' AND lost > 0"


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


def half_open(server: str, target: Target, _lasts_s: float) -> None:
    """A worker's connections are forgotten on the way: both ends keep them, and neither hears of the other again."""
    target.relays[server].abandon()


def cut_off(target: Target, lasts_s: float) -> None:
    """A worker reaches nobody for a while."""
    for relay in target.relays.values():
        relay.freeze()
    time.sleep(lasts_s)
    for relay in target.relays.values():
        relay.thaw()


def jump_clock(by_s: float, target: Target, lasts_s: float) -> None:
    """Of all parts; and back again."""
    with _removed(target.clock):
        target.clock.write_text(f"{by_s}")
        time.sleep(lasts_s)


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
    **{f"overtake {part}": partial(overtake, part) for part in WORKERS},
    "messages repeated": repeat_messages,
    "store full": fill_store,
    "store read-only": make_store_read_only,
    "store frozen": partial(suspend_server, "rclone"),
    "database locked": lock_database,
    "database frozen": partial(suspend_server, "postgres"),
    "database crashed": crash_database,
    **{f"half-open {server}": partial(half_open, server) for server in ("broker", "database", "store")},
    "worker-1 cut off": cut_off,
    "clock ahead": partial(jump_clock, CLOCK_S),
    "clock behind": partial(jump_clock, -CLOCK_S),
    "engine hangs": partial(trouble_engines, "hang"),
    "engine slow": partial(trouble_engines, "slow"),
    "engine crashes": partial(trouble_engines, "crash"),
    "engine out of memory": partial(trouble_engines, "memory"),
}
# What strikes where nothing but the database's own conditions holds, and therefore more often.
SHARP: Mapping[str, int] = {"overtake worker-1": 2, "overtake worker-2": 2, "messages repeated": 3}
OF_A_SMALL_DISK = ("store full", "store read-only")
OF_SERVERS = (
    *("store frozen", "database frozen", "database crashed"),
    *("half-open database", "half-open store", "worker-1 cut off"),
)


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
