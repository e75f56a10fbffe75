"""The tasks, and the app for `celery -A worker.tasks worker`. A task decodes its message and calls a use case."""

from __future__ import annotations

from typing import Any

from celery import Task

from broker.app import RUN_UPKEEP, SEGMENT_SLICE, app
from broker.carrying import carried_by, slice_in
from worker.lifecycle import runtime


@app.task(name=SEGMENT_SLICE, bind=True)
def segment_slice(self: Task[Any, Any], job_id: str, first: int, last: int, priority: str) -> None:
    at_work, piece = runtime(), slice_in(job_id, first, last, priority)
    at_work.metrics.watch(piece, at_work.take_turn, carried_by(self.request))


@app.task(name=RUN_UPKEEP)
def run_upkeep() -> None:
    at_work = runtime()
    at_work.metrics.upkeep_done(at_work.upkeep.run())
    at_work.outputs.run()


__all__ = ["app", "run_upkeep", "segment_slice"]
