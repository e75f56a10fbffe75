"""How many images a second can one worker process take through the queue, when the model costs next to nothing?

A real local stack (SQLite, a directory, the bundled broker, one worker); a model of one convolution, tiny pictures.
A worker's rate is from the job's first claim to its last image; that of the whole counts receiving the ZIP too.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from datetime import datetime
from pathlib import Path

import httpx

from benchmarks.record import median, record
from benchmarks.scale.noop import finished, noop_stack, submit

QUESTION = "images/s of one worker process with a model that costs nothing"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    rates, whole, spent = [], [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        noop_stack(Path(folder)) as stack,
        httpx.Client(base_url=stack.url, timeout=600) as http,
    ):
        worker = next(each for name, each in stack.home.parts().items() if name.startswith("worker"))
        finished(http, submit(http, 16))
        for _ in range(given.rounds):
            before, began = sum(worker.cpu_times()[:2]), time.perf_counter()
            job = finished(http, submit(http, given.images))
            whole.append(given.images / (time.perf_counter() - began))
            started, ended = (datetime.fromisoformat(job[each]) for each in ("started_at", "finished_at"))
            rates.append(given.images / (ended - started).total_seconds())
            spent.append(1e3 * (sum(worker.cpu_times()[:2]) - before) / given.images)
    figures = {
        "images_per_s": median(rates),
        "lowest_and_highest": [median([min(rates)]), median([max(rates)])],
        "with_receiving_images_per_s": median(whole),
        "worker_cpu_ms_per_image": median(spent),
    }
    about = {"images": given.images, "rounds": given.rounds, "load": [round(each, 1) for each in os.getloadavg()]}
    record("queue", QUESTION, {**about, **figures})


if __name__ == "__main__":
    main()
