"""Which change of a job is owed to its receiver, and what is said then."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.deliveries.delivery import Delivery
from jobs.deliveries.endpoint import COMPLETED, PING, PROGRESS, STARTED, Endpoint
from jobs.job import Job
from jobs.keys import new_delivery_id
from jobs.reporting.document import job_document
from jobs.reporting.read import progress_at

PROGRESS_EVERY_S = 5.0
BODY_BYTES = 20_000  # a body is shorter

EACH = "*"  # of several models' results
_OF_A_MODEL = (
    ("metrics", "ground_truth", "dice"),
    ("metrics", "ground_truth", "iou"),
    ("metrics", "ground_truth", "unmarked_classes"),
    ("metrics", "impossible_classes"),
    ("metrics", "class_fractions"),
    ("model_versions",),
)
# What a body does without, one after the other, where label spaces have hundreds of classes with long names.
LONG_PARTS = (
    *(path for part in _OF_A_MODEL for path in (("results", EACH, *part), part)),
    ("results",),
    ("skipped", "examples"),
    ("warnings",),
    ("metadata",),
    ("options",),
)


def event_of(before: Job, after: Job, *, now: datetime) -> str | None:
    """What a change is called, if receivers may want to hear of it."""
    if after.is_finished:
        return None if before.is_finished else COMPLETED
    if after.started_at is not None and before.started_at is None:
        return STARTED
    told_at = after.told_at or after.started_at
    if after.counts.finished <= before.counts.finished or told_at is None:
        return None
    silent = abs(now - told_at)  # told at a time yet to come: the clock was set back since
    return PROGRESS if silent >= timedelta(seconds=PROGRESS_EVERY_S) else None


def owed(before: Job, after: Job, *, now: datetime) -> Delivery | None:
    """The delivery that a change of a job causes. None where nobody wants to hear of it."""
    endpoint = after.options.webhook
    if endpoint is None:
        return None
    event = event_of(before, after, now=now)
    if event is None or event not in endpoint.events:
        return None
    return Delivery(
        id=new_delivery_id(),
        tenant=after.tenant,
        job_id=after.id,
        version=after.version,
        event=event,
        url=endpoint.url,
        body=body_of(event, job_document(after, progress_at(after, now)), now=now),
        created_at=now,
        due_at=now,
    )


def ping(tenant: str, endpoint: Endpoint, *, now: datetime) -> Delivery:
    """Tried once, at once."""
    body = body_of(PING, {"message": "the webhooks of this service arrive here"}, now=now)
    return Delivery(
        id=new_delivery_id(),
        tenant=tenant,
        job_id=None,
        version=0,
        event=PING,
        url=endpoint.url,
        body=body,
        created_at=now,
        due_at=now,
    )


def body_of(event: str, data: Mapping[str, Any], *, now: datetime) -> str:
    """JSON of less than BODY_BYTES: what is too long for that is left out, and `left_out` names it."""
    left_out: list[str] = []
    parts = iter(LONG_PARTS)
    while True:
        told = {**data, "left_out": left_out} if left_out else data
        said = {"type": event, "timestamp": now, "data": told}
        body = json.dumps(said, ensure_ascii=False, separators=(",", ":"), default=_as_text)
        if len(body.encode()) < BODY_BYTES:
            return body
        data, name = _without_next(data, parts)
        left_out.append(name)


def _without_next(data: Mapping[str, Any], parts: Iterator[tuple[str, ...]]) -> tuple[Mapping[str, Any], str]:
    """Without the next of the parts that is there."""
    for path in parts:
        shorter = _without(data, path)
        if shorter is not None:
            return shorter, ".".join(path)
    raise ValueError("a message is too long without all that it may do without")


def _without(data: Mapping[str, Any], path: tuple[str, ...]) -> Mapping[str, Any] | None:
    name, *rest = path
    if name == EACH:
        shorter = {key: _without(inner, tuple(rest)) for key, inner in data.items()}
        return {key: shorter[key] or data[key] for key in data} if any(shorter.values()) else None
    if name not in data:
        return None
    if not rest:
        return {key: value for key, value in data.items() if key != name}
    inner = _without(data[name], tuple(rest))
    return None if inner is None else {**data, name: inner}


def _as_text(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} is not JSON")
