"""How soon does the archive of a large job begin, and how fast does it come?

A real local stack with a model of one convolution, on tiny pictures: what is left is the laying out and the reading.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import httpx

from benchmarks.record import median, record
from benchmarks.scale.noop import finished, noop_stack, submit

QUESTION = "first byte and rate of the archive of a large job"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        noop_stack(Path(folder)) as stack,
        httpx.Client(base_url=stack.url, timeout=600) as http,
    ):
        job = submit(http, given.images)
        finished(http, job)
        downloads = [_download(http, job) for _ in range(given.rounds)]
    first, whole, size = zip(*downloads, strict=True)
    figures = {
        "first_byte_ms": median(first),
        "whole_s": median(whole),
        "mb": median(size),
        "lowest_and_highest_first_byte_ms": [median([min(first)]), median([max(first)])],
    }
    about = {"images": given.images, "rounds": given.rounds, "load": [round(each, 1) for each in os.getloadavg()]}
    record("archive", QUESTION, {**about, **figures})


def _download(http: httpx.Client, job: str) -> tuple[float, float, float]:
    """Milliseconds to the first byte, seconds to the last, megabytes."""
    began = time.perf_counter()
    with http.stream("GET", f"/jobs/{job}/archive") as answer:
        answer.raise_for_status()
        pieces = answer.iter_bytes()
        size = len(next(pieces))
        first_ms = 1e3 * (time.perf_counter() - began)
        size += sum(map(len, pieces))
    return first_ms, time.perf_counter() - began, size / 1e6


if __name__ == "__main__":
    main()
