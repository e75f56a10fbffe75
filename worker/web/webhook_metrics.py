"""What the process that sends webhooks counts."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from jobs.deliveries.delivery import Delivery, Reply
from telemetry.exposition import SECONDS


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
