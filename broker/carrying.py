"""What a message says: its slice, and beside it the request that it came from and the trace, which nothing needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.job import Priority, Slice
from telemetry.carrying import REQUEST_ID
from telemetry.traces import TRACEPARENT


def carried_by(request: Any) -> Mapping[str, str]:
    """request: the `Task.request` of what runs."""
    found = {name: request.get(name) for name in (REQUEST_ID, TRACEPARENT)}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def slice_in(job_id: str, first: int, last: int, priority: str) -> Slice:
    """What a message's named arguments say."""
    return Slice(job_id=job_id, first=first, last=last, priority=Priority(priority))
