"""Where work came from, as it is written down to go on elsewhere: the request, and the trace. Nothing depends on it."""

from __future__ import annotations

from collections.abc import Mapping

from telemetry import trail
from telemetry.traces import carried

REQUEST_ID = "request_id"


def origin() -> Mapping[str, str]:
    """Of the work at hand; empty where it came from no request and nothing is traced."""
    request_id = trail.request_id()
    return {**({} if request_id is None else {REQUEST_ID: request_id}), **carried()}
