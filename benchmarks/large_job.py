"""What does a job of 100,000 inputs cost before any model runs?

A real local stack (SQLite, a directory, the bundled broker, one worker). The inputs are addresses that the workers
refuse to fetch, so every image ends at once and what is left is the machinery itself.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from benchmarks.record import median, record
from maskmill.local import StackOptions, running_stack

QUESTION = "seconds until a job of that many inputs is answered, pages of it, and images/s through the queue alone"
PAGES = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        options = StackOptions(home=Path(home) / "home", port=0)
        with (
            running_stack(options, lambda notice: None) as stack,
            httpx.Client(base_url=stack.url, timeout=120) as http,
        ):
            rounds = [_round(http, given.inputs) for _ in range(given.rounds)]
    figures = {name: median(each[name] for each in rounds) for name in rounds[0]}
    record("large-job", QUESTION, {"inputs": given.inputs, "rounds": given.rounds, **figures})


def _round(http: httpx.Client, inputs: int) -> dict[str, float]:
    body = json.dumps({"inputs": [{"url": f"http://127.0.0.1:9/{index}.jpg"} for index in range(inputs)]}).encode()
    began = time.perf_counter()
    answer = http.post("/jobs", content=body, headers={"Content-Type": "application/json"}).raise_for_status()
    submit_s = time.perf_counter() - began
    job = answer.json()["id"]
    figures = {"submit_s": submit_s, "page_of_200_ms": _page_ms(http, job), "images_per_s": _drain(http, job)}
    http.delete(f"/jobs/{job}").raise_for_status()
    return figures


def _page_ms(http: httpx.Client, job: str) -> float:
    """Of one page among the first, while the job runs."""
    cursor, spent = None, []
    for _ in range(PAGES):
        parameters: dict[str, Any] = {"limit": 200} if cursor is None else {"limit": 200, "cursor": cursor}
        began = time.perf_counter()
        page = http.get(f"/jobs/{job}/images", params=parameters).raise_for_status().json()
        spent.append((time.perf_counter() - began) * 1e3)
        cursor = page["next_cursor"]
    return median(spent)


def _drain(http: httpx.Client, job: str) -> float:
    """Images that end per second, over the job's whole life."""
    while True:
        found = http.get(f"/jobs/{job}", params={"wait": 30}).raise_for_status().json()
        if found["finished_at"] is not None:
            return float(found["images_per_second"])


if __name__ == "__main__":
    main()
