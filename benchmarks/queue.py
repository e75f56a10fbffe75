"""How many images a second can worker processes take through the queue, when the model costs next to nothing?

A real local stack (the bundled broker, API, scheduler); a model of one convolution, tiny pictures. On SQLite and a
directory, or with `--on servers` on a PostgreSQL and an S3 server that are started for it, as the tests start them;
their processes share the machine. With `servers_in_memory` the S3 server keeps no files, which are most of what it does
for a small object. A rate is from the job's first claim to its last image; that of the whole counts
receiving the ZIP too.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from benchmarks.record import median, record
from benchmarks.scale.noop import finished, noop_stack, submit

QUESTION = "images/s of worker processes with a model that costs nothing"
EMBEDDED, SERVERS, IN_MEMORY = "embedded", "servers", "servers_in_memory"
DURABLE: Sequence[str] = ()  # settings of PostgreSQL: as it comes, a commit waits for the disk


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--on", nargs="+", choices=(EMBEDDED, SERVERS, IN_MEMORY), default=[EMBEDDED])
    parser.add_argument("--workers", type=int, nargs="+", default=[1])
    given = parser.parse_args()
    figures: dict[str, Any] = {}
    for home in given.on:
        for workers in given.workers:
            with tempfile.TemporaryDirectory() as folder, settings_of(home, Path(folder)) as settings:
                found = measured(Path(folder), settings, workers, given.images, given.rounds)
            figures.setdefault(home, {})[f"workers_{workers}"] = found
    about = {"images": given.images, "rounds": given.rounds, "load": [round(each, 1) for each in os.getloadavg()]}
    record("queue", QUESTION, {**about, **figures})


@contextmanager
def settings_of(home: str, folder: Path) -> Iterator[Mapping[str, str]]:
    """Where rows and objects lie, while the servers run that it takes."""
    if home == EMBEDDED:
        yield {}
        return
    from tests.services.postgres import postgres
    from tests.services.s3 import rclone

    in_memory = home == IN_MEMORY
    with postgres(folder / "postgres", DURABLE) as database, rclone(folder / "s3", in_memory=in_memory) as store:
        yield {
            "MASKMILL_STORAGE_DATABASE_URL": database.create("maskmill"),
            **store.create_bucket().environment(),
        }


def measured(folder: Path, home: Mapping[str, str], workers: int, images: int, rounds: int) -> Mapping[str, Any]:
    rates, whole, spent = [], [], []
    with (
        noop_stack(folder, workers=workers, home=home) as stack,
        httpx.Client(base_url=stack.url, timeout=600) as http,
    ):
        parts = [each for name, each in stack.home.parts().items() if name.startswith("worker")]
        finished(http, submit(http, 16 * workers))
        for _ in range(rounds):
            before, began = processor_s(parts), datetime.now(UTC)
            started, ended = worked(http, submit(http, images))
            whole.append(images / (ended - began).total_seconds())
            rates.append(images / (ended - started).total_seconds())
            spent.append(1e3 * (processor_s(parts) - before) / images)
    return {
        "images_per_s": median(rates),
        "lowest_and_highest": [median([min(rates)]), median([max(rates)])],
        "with_receiving_images_per_s": median(whole),
        "worker_cpu_ms_per_image": median(spent),
    }


def worked(http: httpx.Client, job: str) -> tuple[datetime, datetime]:
    """From when to when. Looks twice a second: to be told of each change takes the processors that are measured."""
    while True:
        found = http.get(f"/jobs/{job}").raise_for_status().json()
        if found["finished_at"] is not None:
            assert found["status"] == "succeeded", found
            return datetime.fromisoformat(found["started_at"]), datetime.fromisoformat(found["finished_at"])
        time.sleep(0.5)


def processor_s(parts: Sequence[Any]) -> float:
    """By these processes so far."""
    return float(sum(sum(each.cpu_times()[:2]) for each in parts))


if __name__ == "__main__":
    main()
