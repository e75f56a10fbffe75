"""What a stack has to be like when the attack is over."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import psutil

from tests.factories import picture
from tests.stack import FINISHED, Stack

ENDED_S = 240.0
MOST_BYTES = {"api": 400e6, "worker": 2.5e9}


def aftermath(stack: Stack, http: httpx.Client) -> Iterator[str]:
    """What is wrong, as sentences: parts that died or grew, jobs that never end, a sound picture that is not served."""
    for name, process in stack.processes.items():
        if process.poll() is not None:
            yield f"{name} ended with {process.returncode}"
        elif (used := psutil.Process(process.pid).memory_info().rss) > MOST_BYTES.get(name, 1e9):
            yield f"{name} holds {used / 1e6:.0f} MB"
    deadline = time.monotonic() + ENDED_S
    while (waiting := list(_unfinished(http))) and time.monotonic() < deadline:
        time.sleep(0.5)
    yield from (f"{job_id} has not ended after {ENDED_S:g} s" for job_id in waiting)
    answer = http.post("/predict", files={"file": ("a.jpg", picture())})
    if answer.status_code != httpx.codes.OK:
        yield f"a sound picture is answered with {answer.status_code} {answer.text[:200]}"


def _unfinished(http: httpx.Client) -> Iterator[str]:
    cursor = None
    while True:
        page = (
            http.get("/jobs", params={"limit": 200} | ({"cursor": cursor} if cursor else {})).raise_for_status().json()
        )
        yield from (job["id"] for job in page["items"] if job["status"] not in FINISHED)
        cursor = page["next_cursor"]
        if cursor is None:
            return
