"""What a message carries beside its ids: the request that it came from, and the trace. Nothing depends on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telemetry.carrying import REQUEST_ID
from telemetry.traces import TRACEPARENT


def carried_by(request: Any) -> Mapping[str, str]:
    """request: the `Task.request` of what runs."""
    found = {name: request.get(name) for name in (REQUEST_ID, TRACEPARENT)}
    return {name: value for name, value in found.items() if isinstance(value, str)}
