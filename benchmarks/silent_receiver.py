"""Does a receiver of webhooks that takes connections and never answers delay the images of the jobs that it is told of?

A real local stack. Rounds with and without the receiver alternate, in one run: the same jobs, and in every other round
each of them names the receiver for all of its events.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import socket
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks.record import median, record
from data.sample_library import open_samples
from jobs.deliveries.endpoint import EVENTS
from maskmill.local import StackOptions, running_stack
from maskmill.stack.broker import LOOPBACK

QUESTION = "images/s of jobs whose receiver never answers, against the same jobs without a receiver"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--images", type=int, default=10, help="of each job")
    parser.add_argument("--rounds", type=int, default=6, help="of each kind")
    given = parser.parse_args()
    os.environ["MASKMILL_WORKER_ALLOW_PRIVATE_ADDRESSES"] = "true"
    packed = _packed(given.images)
    rates: dict[str, list[float]] = {"without": [], "with": []}
    with tempfile.TemporaryDirectory() as home, _silent_receiver() as receiver:
        options = StackOptions(home=Path(home) / "home", port=0)
        with (
            running_stack(options, lambda notice: None) as stack,
            httpx.Client(base_url=stack.url, timeout=120) as http,
        ):
            _round(http, packed, given.jobs, None)  # the model is loaded now
            for number in range(given.rounds):
                for kind in sorted(rates, reverse=bool(number % 2)):
                    url = receiver.url if kind == "with" else None
                    rates[kind].append(given.jobs * given.images / _round(http, packed, given.jobs, url))
    figures = {f"images_per_s_{kind}": median(found) for kind, found in rates.items()}
    shares = [with_it / without for with_it, without in zip(rates["with"], rates["without"], strict=True)]
    rounds = {kind: [round(rate, 1) for rate in found] for kind, found in rates.items()}
    told = {"share_of_a_pair": median(shares), "connections_left_unanswered": receiver.connections}
    record("silent-receiver", QUESTION, {**vars(given), **figures, **told, "rounds_images_per_s": rounds})


class _Receiver:
    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._open: list[socket.socket] = []
        self.url = f"http://{LOOPBACK}:{listening.getsockname()[1]}/hook"
        threading.Thread(target=self._take_all, daemon=True).start()

    @property
    def connections(self) -> int:
        return len(self._open)

    def _take_all(self) -> None:
        while True:
            try:
                self._open.append(self._listening.accept()[0])
            except OSError:
                return


@contextmanager
def _silent_receiver() -> Iterator[_Receiver]:
    with socket.create_server((LOOPBACK, 0), backlog=100) as listening:
        yield _Receiver(listening)


def _packed(images: int) -> bytes:
    samples, data = open_samples(), io.BytesIO()
    names = sorted(samples.ids())
    with zipfile.ZipFile(data, "w") as archive:
        for number in range(images):
            archive.writestr(f"{number:04}.jpg", samples.picture(names[number % len(names)]))
    return data.getvalue()


def _round(http: httpx.Client, packed: bytes, jobs: int, url: str | None) -> float:
    """Seconds from the first request until the last job has ended."""
    options: dict[str, Any] = {"reuse": False}
    if url is not None:
        options["webhook"] = {"url": url, "events": list(EVENTS)}
    began = time.perf_counter()
    submitted = [_submit(http, packed, options) for _ in range(jobs)]
    for job in submitted:
        _wait(http, job)
    return time.perf_counter() - began


def _submit(http: httpx.Client, packed: bytes, options: dict[str, Any]) -> str:
    files = {"files": ("pictures.zip", packed, "application/zip")}
    answer = http.post("/jobs", files=files, data={"options": json.dumps(options)}).raise_for_status()
    return str(answer.json()["id"])


def _wait(http: httpx.Client, job: str) -> None:
    while True:
        found = http.get(f"/jobs/{job}", params={"wait": 30}).raise_for_status().json()
        if found["finished_at"] is not None:
            return


if __name__ == "__main__":
    main()
