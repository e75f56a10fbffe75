"""What do hundreds who wait cost one API process, and how soon do they hear?

A real API process on SQLite and the bundled broker, whose statements are counted. 500 long polls of one job, then 2,000
streams of it, all over loopback; this process changes the job as a worker would and listens for all of them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import uvicorn
from fastapi import FastAPI
from sqlalchemy import Engine, event

from api.edge.connections import ConnectionRules, guarded
from api.main import create_app
from benchmarks.record import record
from broker.wakeups import WakeUps
from jobs.job import Failure, Priority, Slice
from jobs.ports import Outcome
from maskmill.stack.broker import LOOPBACK, new_broker
from maskmill.stack.home import StackHome
from storage.migrate import upgrade
from storage.settings import StorageSettings
from storage.unit_of_work import Database, open_database

QUESTION = "ms until who waits hears of a change, and statements a second that it costs, on one API process"
IMAGES = 60
CHANGES = 20
MIB = 2**20


class Changes:
    """Ends one image of the job after another, as a worker would."""

    def __init__(self, database: Database, job_id: str) -> None:
        self._database, self._job_id, self._next = database, job_id, 0

    def claim_all(self) -> None:
        piece = Slice(job_id=self._job_id, first=0, last=IMAGES - 1, priority=Priority.BULK)
        with self._database.unit() as unit:
            unit.images.claim(piece, worker="benchmark", lease_s=600)
            unit.commit()

    def end_one(self) -> float:
        """When it was committed."""
        outcome = Outcome(index=self._next, attempt=1, failure=Failure("model_failed", "a benchmark"))
        self._next += 1
        with self._database.unit() as unit:
            unit.images.finish(self._job_id, [outcome])
            unit.commit()
            return time.perf_counter()


class Listener:
    """One connection that asks once and notes when the answer, or each image event in it, came."""

    def __init__(self, port: int, path: str) -> None:
        self._port, self._path = port, path
        self.heard: list[float] = []

    async def run(self) -> None:
        reader, writer = await asyncio.open_connection(LOOPBACK, self._port)
        writer.write(f"GET {self._path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        try:
            async for line in reader:
                if line.startswith((b"event: image", b"HTTP/1.1 200")):
                    self.heard.append(time.perf_counter())
                if line == b"\r\n" and "wait=" in self._path:
                    return
        finally:
            writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--polls", type=int, default=500)
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        _serve(given.serve)
        return
    with tempfile.TemporaryDirectory() as folder, _api(Path(folder) / "home") as (process, url, database):
        figures = {
            "long_polls": asyncio.run(_long_polls(url, database, given.polls)),
            "streams": asyncio.run(_streams(process, url, database, given.streams)),
        }
    record("waiting", QUESTION, figures)


async def _long_polls(url: httpx.URL, database: Database, count: int) -> dict[str, float]:
    changes, job = _job(url, database)
    waiting = [Listener(url.port or 0, f"/jobs/{job}?wait=50") for _ in range(count)]
    tasks = [asyncio.create_task(each.run()) for each in waiting]
    arrival = await _statements(url, 3)
    quiet = await _statements(url, 5)
    began = _count(url)
    committed = await asyncio.to_thread(changes.end_one)
    await asyncio.gather(*tasks)
    spent = [(each.heard[0] - committed) * 1e3 for each in waiting]
    return {
        "count": count,
        "statements_per_s_while_they_come": arrival,
        "statements_per_s_at_rest": quiet,
        "statements_of_the_change": _count(url) - began,
        **_spread(spent),
    }


async def _streams(
    process: subprocess.Popen[bytes], url: httpx.URL, database: Database, count: int
) -> dict[str, float]:
    changes, job = _job(url, database)
    before = psutil.Process(process.pid).memory_info().rss
    listening = [Listener(url.port or 0, f"/jobs/{job}/events") for _ in range(count)]
    tasks = []
    for each in listening:
        tasks.append(asyncio.create_task(each.run()))
        await asyncio.sleep(0.001)
    await asyncio.sleep(3)
    quiet = await _statements(url, 5)
    began, counted, spent = time.perf_counter(), _count(url), []
    for _ in range(CHANGES):
        known = [len(each.heard) for each in listening]
        committed = await asyncio.to_thread(changes.end_one)
        while any(len(each.heard) == had for each, had in zip(listening, known, strict=True)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        spent += [(each.heard[-1] - committed) * 1e3 for each in listening]
        await asyncio.sleep(0.5)
    busy = (_count(url) - counted) / (time.perf_counter() - began)
    grown = psutil.Process(process.pid).memory_info().rss - before
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {
        "count": count,
        "statements_per_s_at_rest": quiet,
        "statements_per_s_with_changes": round(busy, 1),
        "changes_per_s": round(CHANGES / (time.perf_counter() - began), 1),
        "memory_mib": round(grown / MIB, 1),
        **_spread(spent),
    }


def _spread(spent: Sequence[float]) -> dict[str, float]:
    return {
        "heard_after_ms_p50": round(statistics.median(spent), 1),
        "heard_after_ms_p99": round(statistics.quantiles(spent, n=100)[98], 1),
        "heard_after_ms_max": round(max(spent), 1),
    }


def _job(url: httpx.URL, database: Database) -> tuple[Changes, str]:
    inputs = [{"url": f"http://127.0.0.1:9/{index}.jpg"} for index in range(IMAGES)]
    job = str(httpx.post(url.join("/jobs"), json={"inputs": inputs}, timeout=30).raise_for_status().json()["id"])
    changes = Changes(database, job)
    changes.claim_all()
    return changes, job


async def _statements(url: httpx.URL, seconds: float) -> float:
    """Per second, over so long."""
    before = await asyncio.to_thread(_count, url)
    await asyncio.sleep(seconds)
    return round((await asyncio.to_thread(_count, url) - before) / seconds, 1)


def _count(url: httpx.URL) -> int:
    return int(httpx.get(url.join("/statements"), timeout=30).text)


@contextmanager
def _api(home: Path) -> Iterator[tuple[subprocess.Popen[bytes], httpx.URL, Database]]:
    """The process, where it answers, and its database, whose changes it is told of."""
    broker, port = new_broker(), new_broker().port
    place = StackHome(home)
    place.run.mkdir(parents=True)
    environment = {**os.environ, "MASKMILL_HOME": str(home), "MASKMILL_BROKER_URL": broker.url}
    storage = StorageSettings(home=home)
    upgrade(storage)
    wake_ups = WakeUps(broker.url)
    database = open_database(storage, on_commit=wake_ups.publish)
    command = [sys.executable, "-m", "benchmarks.waiting", "--serve", str(port)]
    with (
        subprocess.Popen(broker.spec(place).command, stdout=subprocess.DEVNULL) as valkey,
        subprocess.Popen(command, env=environment) as process,
    ):
        try:
            url = httpx.URL(f"http://{LOOPBACK}:{port}")
            _wait_until_up(url)
            yield process, url, database
        finally:
            process.terminate()
            valkey.terminate()
            database.close()
            wake_ups.close()


def _wait_until_up(url: httpx.URL) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            httpx.get(url.join("/health"), timeout=2).raise_for_status()
        except httpx.HTTPError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _serve(port: int) -> None:
    """In the process that is measured: the API, and how many statements it sent so far."""
    sent = 0

    def count(*_: Any) -> None:
        nonlocal sent
        sent += 1

    event.listen(Engine, "before_cursor_execute", count)
    app: FastAPI = create_app()
    app.add_api_route("/statements", lambda: sent)
    rules = guarded(ConnectionRules(connections=10_000))
    uvicorn.run(app, host=LOOPBACK, port=port, http=rules, ws="none", log_level="warning")


if __name__ == "__main__":
    main()
