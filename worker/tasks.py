"""The tasks, and the app for `celery -A worker.tasks worker`. A task decodes its message and calls a use case."""

from __future__ import annotations

from broker.app import RUN_UPKEEP, SEGMENT_SLICE, app
from jobs.job import Priority, Slice
from worker.lifecycle import runtime


@app.task(name=SEGMENT_SLICE)
def segment_slice(job_id: str, first: int, last: int, priority: str) -> None:
    runtime().processing.run(Slice(job_id=job_id, first=first, last=last, priority=Priority(priority)))


@app.task(name=RUN_UPKEEP)
def run_upkeep() -> None:
    runtime().upkeep.run()


__all__ = ["app", "run_upkeep", "segment_slice"]
