"""What the process that sends webhooks counts, and what its log lines and traces belong to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Histogram

from jobs.deliveries.delivery import Delivery, Reply
from telemetry import trail
from telemetry.carrying import REQUEST_ID
from telemetry.exposition import SECONDS
from telemetry.traces import carried, span


class WebhookMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.attempts = Counter(
            "maskmill_webhook_attempts", "Tries at a delivery.", ["event", "result"], registry=registry
        )
        self.seconds = Histogram(
            "maskmill_webhook_seconds", "One try, with or without an answer.", registry=registry, buckets=SECONDS
        )

    def observe(self, delivery: Delivery, reply: Reply) -> None:
        """A `jobs.deliveries.delivering.Observe`."""
        result = "no_answer" if reply.status_code is None else f"{reply.status_code // 100}xx"
        self.attempts.labels(delivery.event, result).inc()
        self.seconds.observe(reply.duration_ms / 1e3)


@contextmanager
def traced(delivery: Delivery) -> Iterator[Mapping[str, str]]:
    """A `jobs.deliveries.delivering.Around`: a try belongs to the request that the job came from, and its trace goes on
    at the receiver."""
    where: dict[str, str | int] = {"delivery": delivery.id, "event": delivery.event}
    where |= {} if delivery.job_id is None else {"job_id": delivery.job_id}
    request = {REQUEST_ID: delivery.origin[REQUEST_ID]} if REQUEST_ID in delivery.origin else {}
    with trail.following({**where, **request}), span("webhook", where, parent=delivery.origin, kind="client"):
        yield carried()
