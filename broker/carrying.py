"""What a message carries beside its ids: the request that it came from, and the trace. Nothing depends on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telemetry import trail
from telemetry.traces import TRACEPARENT, carried

REQUEST_ID = "request_id"


def headers_of_message() -> dict[str, str]:
    """Of the work at hand; empty where it came from no request."""
    request_id = trail.request_id()
    return {**({} if request_id is None else {REQUEST_ID: request_id}), **carried()}


def carried_by(request: Any) -> Mapping[str, str]:
    """request: the `Task.request` of what runs."""
    found = {name: request.get(name) for name in (REQUEST_ID, TRACEPARENT)}
    return {name: value for name, value in found.items() if isinstance(value, str)}
