"""Somebody else, in a process of its own: one picture after the other, and how long each took.

`python -m tests.attacks.bystander URL KEY` goes on until its input ends, then writes what it saw as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.stack import picture

PAUSE_S = 0.1
PATIENCE_S = 60.0


@dataclass
class Seen:
    """seconds: of each answer that was a result. refused: of the others, by status; 0: none came."""

    seconds: list[float] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)


@contextmanager
def bystander(url: str, key: str) -> Iterator[Seen]:
    """It is at work when the block begins; what it saw is there when the block has ended."""
    seen = Seen()
    command = [sys.executable, "-m", "tests.attacks.bystander", url, key]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()  # it has had its first answer
    try:
        yield seen
    finally:
        said, _ = process.communicate()
        found = json.loads(said)
        seen.seconds, seen.refused = found["seconds"], found["refused"]


def main() -> None:
    url, key = sys.argv[1:]
    over = threading.Event()
    threading.Thread(target=_wait_for_end, args=(over,), daemon=True).start()
    seen = Seen()
    pictures = [picture(number) for number in range(8)]
    with httpx.Client(base_url=url, timeout=PATIENCE_S, headers={"Authorization": f"Bearer {key}"}) as http:
        _look(http, pictures[0], Seen())
        sys.stdout.write("\n")
        sys.stdout.flush()
        while not over.wait(PAUSE_S):
            _look(http, pictures[len(seen.seconds) % len(pictures)], seen)
    json.dump({"seconds": seen.seconds, "refused": seen.refused}, sys.stdout)


def _wait_for_end(over: threading.Event) -> None:
    sys.stdin.read()
    over.set()


def _look(http: httpx.Client, content: bytes, seen: Seen) -> None:
    began = time.perf_counter()
    try:
        status = http.post("/predict", files={"file": ("a.jpg", content)}).status_code
    except httpx.TransportError:
        status = 0
    if status == httpx.codes.OK:
        seen.seconds.append(time.perf_counter() - began)
    else:
        seen.refused[str(status)] = seen.refused.get(str(status), 0) + 1


if __name__ == "__main__":
    main()
