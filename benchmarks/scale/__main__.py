"""Does an image of a large job cost what one of a small job costs, and do pages and archives stay as quick?

A real local stack (SQLite, a directory, the bundled broker, one worker) with a model of one convolution, on pictures of
64×48 pixels: what is left is the machinery. Each size is a job of its own on a fresh stack.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.receiving.upload_memory import MIB, memory_of
from benchmarks.record import median, record
from benchmarks.scale.noop import finished, noop_stack, submit
from maskmill.local import LocalStack

QUESTION = "cost of an image, memory of each process, sizes, pages and archive by the number of images of a job"
PAGES = 15
PAGE = 200
SETTLE_S = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="100,1000,10000", help="images of each job")
    given = parser.parse_args()
    figures = {size: _of(int(size)) for size in given.sizes.split(",")}
    record("scale", QUESTION, {"load": [round(each, 1) for each in os.getloadavg()], "images": figures})


def _of(count: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, noop_stack(Path(folder)) as stack:
        with httpx.Client(base_url=stack.url, timeout=600) as http:
            finished(http, submit(http, 4))  # the first ones load the model
            before = _cpu_s(stack)
            began = time.perf_counter()
            job = submit(http, count)
            submit_s = time.perf_counter() - began
            done = finished(http, job)
            time.sleep(SETTLE_S)  # the last beats and rounds
            spent = {name: seconds - before[name] for name, seconds in _cpu_s(stack).items()}
            told: dict[str, Any] = {"submit_s": round(submit_s, 2), "images_per_s": done["images_per_second"]}
            told["cpu_ms_per_image"] = {name: round(1e3 * each / count, 2) for name, each in spent.items()}
            told |= _reading(http, job)
            told["peak_mb"] = {name: _peak_mb(pid) for name, pid in _pids(stack).items()}
        home = stack.home.root
        told["database_bytes_per_image"] = round(sum(each.stat().st_size for each in home.glob("*.db*")) / count)
        told["store_bytes_per_image"] = round(_size(home / "objects") / count)
        return told


def _reading(http: httpx.Client, job: str) -> dict[str, Any]:
    """ms: the list of jobs, the first page of images, the last one; the archive's first byte, and its rate."""
    pages = f"/jobs/{job}/images"
    cursor: str | None = None
    while (found := _page(http, pages, cursor))["next_cursor"] is not None:
        cursor = found["next_cursor"]
    began = time.perf_counter()
    with http.stream("GET", f"/jobs/{job}/archive") as answer:
        answer.raise_for_status()
        pieces = answer.iter_bytes()
        size = len(next(pieces))
        first_byte_s = time.perf_counter() - began
        size += sum(map(len, pieces))
        assert size == int(answer.headers["Content-Length"])
    return {
        "list_of_jobs_ms": _ms(lambda: http.get("/jobs").raise_for_status()),
        "first_page_ms": _ms(lambda: _page(http, pages, None)),
        "last_page_ms": _ms(lambda: _page(http, pages, cursor)),
        "archive_first_byte_ms": median([1e3 * first_byte_s]),
        "archive_s": median([time.perf_counter() - began]),
        "archive_mb": median([size / 1e6]),
    }


def _page(http: httpx.Client, path: str, cursor: str | None) -> Any:
    where: dict[str, Any] = {"limit": PAGE} | ({} if cursor is None else {"cursor": cursor})
    return http.get(path, params=where).raise_for_status().json()


def _ms(call: Callable[[], object]) -> float:
    spent = []
    for _ in range(PAGES):
        began = time.perf_counter()
        call()
        spent.append((time.perf_counter() - began) * 1e3)
    return median(spent)


def _pids(stack: LocalStack) -> Mapping[str, int]:
    return {name: process.pid for name, process in stack.home.parts().items()}


def _cpu_s(stack: LocalStack) -> dict[str, float]:
    found = {}
    for name, pid in _pids(stack).items():
        times = psutil.Process(pid).cpu_times()
        found[name] = times.user + times.system
    return found


def _peak_mb(pid: int) -> float:
    return median([memory_of(pid)["VmHWM"] / MIB])


def _size(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())


if __name__ == "__main__":
    main()
