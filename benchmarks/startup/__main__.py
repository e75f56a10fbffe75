"""How long until each part can be used: the client, the API, a worker, the local stack?

Each is started in a process of its own, on a home that a run before has left, so that nothing is migrated, and no
model compiled or raced; the sides take turns.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.record import median, record
from maskmill.local import StackOptions, running_stack
from maskmill.stack.broker import LOOPBACK, free_port, new_broker
from maskmill.stack.home import StackHome

QUESTION = (
    "seconds until the client is imported, the API answers, a worker with its model shows life, the stack is ready"
)
MODEL = "street-fast"
LOOK_S = 0.01
LIMIT_S = 120.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    seconds: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        _stack(home)  # makes the database
        with _broker(StackHome(home)) as url:
            environment = {**os.environ, "MASKMILL_HOME": str(home), "MASKMILL_BROKER_URL": url}
            environment.pop("PYTHONDONTWRITEBYTECODE", None)
            _worker(home, environment)  # compiles the model and measures it
            for _ in range(given.rounds):
                seconds["import_maskmill"].append(_import("maskmill", environment))
                seconds["import_client"].append(_import("maskmill.client", environment))
                seconds["api"].append(_api(environment))
                seconds["worker"].append(_worker(home, environment))
        for _ in range(given.rounds):
            seconds["stack"].append(_stack(home))
    figures = {name: {"median_s": median(each), "least_s": round(min(each), 3)} for name, each in seconds.items()}
    record("startup/startup", QUESTION, {"rounds": given.rounds, **figures})


def _import(module: str, environment: Mapping[str, str]) -> float:
    """Without the start of Python itself."""
    code = f"import time; began = time.perf_counter(); import {module}; print(time.perf_counter() - began)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(environment), capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def _api(environment: Mapping[str, str]) -> float:
    port = free_port()
    command = [sys.executable, "-m", "api", "--host", LOOPBACK, "--port", str(port)]
    with _started(command, environment) as began:
        while True:
            try:
                httpx.get(f"http://{LOOPBACK}:{port}/health", timeout=5).raise_for_status()
                return time.monotonic() - began
            except httpx.TransportError:
                _pause(began)


def _worker(home: Path, environment: Mapping[str, str]) -> float:
    for sign in (home / "run").glob("*.alive"):
        sign.unlink()
    pool = [
        "--pool",
        "threads",
        "--concurrency",
        "4",
        "--queues",
        "interactive,bulk",
        "--hostname",
        "worker-1@%h",
    ]
    quiet = ["--loglevel", "INFO", "--without-gossip", "--without-mingle"]
    command = [sys.executable, "-m", "celery", "-A", "worker.tasks", "worker", *pool, *quiet]
    with _started(command, {**environment, "MASKMILL_WORKER_PRELOAD": f'["{MODEL}"]'}) as began:
        while not any((home / "run").glob("worker-1@*.alive")):
            _pause(began)
        return time.monotonic() - began


def _stack(home: Path) -> float:
    """As `maskmill up` starts it."""
    began = time.monotonic()
    with running_stack(StackOptions(home=home, port=0), lambda notice: None):
        return time.monotonic() - began


@contextmanager
def _started(command: list[str], environment: Mapping[str, str]) -> Iterator[float]:
    """Gives when."""
    began = time.monotonic()
    with subprocess.Popen(
        command, env=dict(environment), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield began
        finally:
            process.send_signal(signal.SIGTERM)


def _pause(began: float) -> None:
    if time.monotonic() - began > LIMIT_S:
        raise TimeoutError(f"nothing came within {LIMIT_S:g} s")
    time.sleep(LOOK_S)


@contextmanager
def _broker(place: StackHome) -> Iterator[str]:
    broker = new_broker()
    with subprocess.Popen(broker.spec(place).command, stdout=subprocess.DEVNULL) as process:
        try:
            while not broker.answers():
                time.sleep(LOOK_S)
            yield broker.url
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
