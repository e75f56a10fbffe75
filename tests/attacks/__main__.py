"""`make attacks`: what a bystander's `/predict` takes during each attack, and what API and worker hold at most.

Ends with 1 when one of them passes its limit. Written to build/attacks.json, as it goes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

import data
from benchmarks.record import stamp, write_document
from tests.attacks.attacks import attacks, under
from tests.attacks.bystander import Seen, bystander
from tests.services.valkey import valkey
from tests.stack import Stack, running_stack

LARGEST_RATIO = 3.0
MOST_BYTES = {"api": 400e6, "worker": 2.5e9}
LOOK_S = 0.1
SETTLE_S = 5.0
FILES = 4_096
Attacked = Callable[[], AbstractContextManager[None]]


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES, hard), hard))
    said: dict[str, Any] = {**stamp(), "seconds": given.seconds, "attacks": {}}
    with tempfile.TemporaryDirectory(prefix="maskmill-attacks-") as folder, _stack(Path(folder)) as stack:
        keys = [_new_key(stack, tenant) for tenant in ("bystander", "attacker")]
        _during(stack, keys[0], given.seconds)  # the first pictures load the model
        for name, attack in attacks():
            if given.only and name not in given.only:
                continue
            idle = _during(stack, keys[0], given.seconds)[0]
            seen, peaks = _during(stack, keys[0], given.seconds, partial(under, attack, stack.url, keys[1]))
            said["attacks"][name] = found = _judged(idle, seen, peaks)
            write_document(given.results, said)
            _say(f"{name:<24}{json.dumps(found)}")
            time.sleep(SETTLE_S)
    failed = [name for name, found in said["attacks"].items() if found["breaches"]]
    _say(f"{len(said['attacks'])} attacks, not held out: {', '.join(failed) or 'none'}; {given.results}")
    return int(bool(failed))


@contextmanager
def _stack(folder: Path) -> Iterator[Stack]:
    """With the bundled models, and the limits that the product ships."""
    models = json.dumps([str(Path(data.__file__).parent / "models")])
    with valkey(folder / "broker") as broker:
        parts = {"MASKMILL_BROKER_URL": broker.url, "MASKMILL_STORAGE_MODEL_FOLDERS": models}
        usual = {"MASKMILL_WORKER_LEASE_S": "30", "MASKMILL_WORKER_HEARTBEAT_S": "4"}
        with running_stack(folder, {**parts, **usual}) as stack:
            yield stack


def _new_key(stack: Stack, tenant: str) -> str:
    command = [sys.executable, "-m", "maskmill", "keys", "create", "--tenant", tenant]
    command += ["--scope", "submit", "--json"]
    environment = {**os.environ, **stack.environment}
    done = subprocess.run(command, cwd=stack.folder, env=environment, capture_output=True, text=True, check=True)
    return str(json.loads(done.stdout)["key"])


def _during(stack: Stack, key: str, seconds: float, attacked: Attacked = nullcontext) -> tuple[Seen, dict[str, int]]:
    """What the bystander saw in so many seconds, and what the parts held at most, in bytes."""
    peaks: dict[str, int] = {}
    over = threading.Event()
    thread = threading.Thread(target=_watch, args=(stack, peaks, over))
    thread.start()
    with attacked(), bystander(stack.url, key) as seen:
        time.sleep(seconds)
    over.set()
    thread.join()
    return seen, peaks


def _watch(stack: Stack, peaks: dict[str, int], over: threading.Event) -> None:
    """A part with its children."""
    while not over.wait(LOOK_S):
        for name in MOST_BYTES:
            held = 0
            process = psutil.Process(stack.processes[name].pid)
            for each in (process, *process.children(recursive=True)):
                try:
                    held += each.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            peaks[name] = max(peaks.get(name, 0), held)


def _judged(idle: Seen, seen: Seen, peaks: dict[str, int]) -> dict[str, Any]:
    breaches = [f"{name} held {peaks[name] / 1e6:.0f} MB" for name, most in MOST_BYTES.items() if peaks[name] >= most]
    breaches += [f"{count} answers were {status}" for status, count in seen.refused.items()]
    before, during = p95(idle.seconds), p95(seen.seconds)
    if not during < LARGEST_RATIO * before:
        breaches.append(f"p95 {1000 * during:.0f} ms of {1000 * before:.0f}")
    return {
        "idle_p95_ms": round(1000 * before, 1),
        "p95_ms": round(1000 * during, 1),
        "ratio": round(during / before, 2),
        "answers": len(seen.seconds),
        **{f"{name}_mb": round(held / 1e6) for name, held in peaks.items()},
        "breaches": breaches,
    }


def p95(seconds: Sequence[float]) -> float:
    """Infinite when nothing was answered."""
    return float(np.percentile(seconds, 95)) if seconds else float("inf")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make attacks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each attack, and of the quiet before it (20)")
    parser.add_argument("--only", action="append", metavar="NAME", help="this attack alone; may be given several times")
    parser.add_argument("--results", type=Path, default=Path("build/attacks.json"))
    return parser


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
