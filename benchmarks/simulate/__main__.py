"""How many workers do so many images a day need, so that a lone picture in the busiest hour does not wait?"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.record import RESULTS, record
from benchmarks.simulate.model import Service, day_of, is_bulk, simulate

QUESTION = "seconds that jobs take in the busiest hour of a day, by the number of workers"
LOST_PER_HOUR = 0.5  # a worker; machines that may be taken away at any time do worse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-day", type=int, nargs="+", default=[1_000_000, 10_000_000], help="images")
    parser.add_argument("--per-job", type=int, default=200, help="images, in the mean")
    parser.add_argument("--rate", type=float, default=_measured_rate(), help="images per second of a worker")
    parser.add_argument("--workers", type=int, nargs="+", help="else as many as lead to 60, 75 and 90 per cent of work")
    given = parser.parse_args()
    figures = {}
    for images in given.per_day:
        needed = images / 86_400 * 3 / given.rate
        counts = given.workers or sorted({max(1, round(needed / share)) for share in (0.9, 0.75, 0.6)})
        jobs = max(1, images // given.per_job)
        figures[str(images)] = {str(count): _figures(images, jobs, count, given.rate) for count in counts}
    record(
        "scaling/simulate",
        QUESTION,
        {"images_per_s_of_a_worker": given.rate, "lost_per_hour": LOST_PER_HOUR, **figures},
    )


def _measured_rate() -> float:
    """As `python -m benchmarks.pipeline` left it: whole pictures of 1024×512."""
    found: dict[str, Any] = json.loads((RESULTS / "pipeline-1024x512.json").read_text())["figures"]
    return float(found["worker_images_per_s"])


def _figures(images: int, jobs: int, workers: int, rate: float) -> dict[str, float]:
    service = Service(workers=workers, image_s=1 / rate, lost_per_hour=LOST_PER_HOUR)
    found = simulate(day_of(images, jobs=jobs), service)
    alone = [took for took, size in zip(found.took_s, found.images, strict=True) if not is_bulk(size)]
    large = [took for took, size in zip(found.took_s, found.images, strict=True) if is_bulk(size)]
    return {
        "busy": round(found.busy, 2),
        "small_jobs_p50_s": _at(alone, 50),
        "small_jobs_p99_s": _at(alone, 99),
        "large_jobs_p50_s": _at(large, 50),
        "large_jobs_p99_s": _at(large, 99),
        "workers_lost": found.lost,
    }


def _at(values: Sequence[float], percent: int) -> float:
    return round(statistics.quantiles(values, n=100)[percent - 1], 2) if len(values) > 1 else 0.0


if __name__ == "__main__":
    main()
