"""What `GET /metrics` of the API tells: its requests, and how the whole service stands, as the database says.

The second is read every few seconds at most, however often and by however many it is asked for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from api.readiness import Answer
from jobs.deliveries.delivery import Backlog as Owed
from jobs.watching.backlog import Backlog
from telemetry.exposition import SECONDS, process_registry

KEEP_S = 5.0
UNMATCHED = "(none)"  # no route of ours
PARTS = ("database", "broker", "store")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

Standing = Mapping[str, Answer]


class ApiMetrics:
    """Of one process. Lives on the event loop."""

    def __init__(self, *, keep_s: float = KEEP_S) -> None:
        self.registry = process_registry("api")
        self.requests = Histogram(
            "maskmill_request_seconds",
            "From a request's head to the end of its answer; waiting and streaming included.",
            ["method", "route", "status"],
            registry=self.registry,
            buckets=SECONDS,
        )
        self.at_once = Gauge("maskmill_requests_running", "Requests that are being answered.", registry=self.registry)
        self.upload_bytes = Counter(
            "maskmill_upload_bytes", "Bytes of request bodies that came in.", ["route"], registry=self.registry
        )
        self.damaged_files = Counter(
            "maskmill_damaged_files",
            "Stored files that were sent whole and had other bytes than were stored.",
            registry=self.registry,
        )
        self._keep_s = keep_s
        self._read_at = -keep_s
        self._standing: Standing = {}
        self._reading = asyncio.Lock()
        self.registry.register(_Service(lambda: self._standing))

    def request_ended(self, method: str, route: str, status: int, seconds: float) -> None:
        self.requests.labels(method if method in METHODS else "OTHER", route, str(status)).observe(seconds)

    async def refresh(self, read: Callable[[], Awaitable[Standing]]) -> None:
        """Look at the service, unless somebody just did."""
        async with self._reading:
            if time.monotonic() - self._read_at >= self._keep_s:
                self._standing = await read()
                self._read_at = time.monotonic()

    def forget_tenants(self) -> None:
        """Until the service is looked at again."""
        self._standing = {part: answer for part, answer in self._standing.items() if part in PARTS}


class _Service(Collector):
    def __init__(self, standing: Callable[[], Standing]) -> None:
        self._standing = standing

    def describe(self) -> Sequence[Any]:
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """What could not be read is left out: no number is better than a wrong one."""
        standing = self._standing()
        parts = GaugeMetricFamily("maskmill_part_up", "Whether a part of the service answers.", labels=["part"])
        for part, answer in standing.items():
            if part in PARTS:
                parts.add_metric([part], float(answer.fault is None))
        yield parts
        yield from _of_workers(standing.get("database"))
        yield from _of_broker(standing.get("broker"))
        yield from _of_backlog(standing.get("backlog"))
        yield from _of_webhooks(standing.get("webhooks"))


def _of_workers(answer: Answer | None) -> Iterator[GaugeMetricFamily]:
    if answer is not None and answer.fault is None:
        yield GaugeMetricFamily("maskmill_workers", "Workers that gave a sign of life.", value=len(answer.value))


def _of_broker(answer: Answer | None) -> Iterator[GaugeMetricFamily]:
    waiting = GaugeMetricFamily(
        "maskmill_slices_waiting", "Slices in the broker that no worker has fetched.", labels=["queue"]
    )
    for queue, slices in ((answer and answer.value) or {}).items():
        waiting.add_metric([queue], slices)
    yield waiting


def _of_backlog(answer: Answer | None) -> Iterator[GaugeMetricFamily]:
    def gauge(name: str, what: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"maskmill_{name}", what, labels=["queue", "tenant"])

    queued = gauge("queue_images", "Images that wait for a worker.")
    running = gauge("running_images", "Images that a worker holds.")
    oldest = gauge("queue_oldest_seconds", "Since the oldest job came that has images waiting; none that was retried.")
    backlog = gauge("queue_backlog_seconds", "Waiting images over the rate at which this queue's jobs end theirs.")
    found: Sequence[Backlog] = (answer and answer.value) or ()
    for each in found:
        labels = [each.priority.value, each.tenant]
        queued.add_metric(labels, each.queued)
        running.add_metric(labels, each.running)
        oldest.add_metric(labels, each.oldest_s)
        if each.backlog_s is not None:
            backlog.add_metric(labels, each.backlog_s)
    yield from (queued, running, oldest, backlog)


def _of_webhooks(answer: Answer | None) -> Iterator[GaugeMetricFamily]:
    if answer is not None and answer.fault is None:
        owed: Owed = answer.value
        yield GaugeMetricFamily("maskmill_webhooks_owed", "Deliveries that have not arrived yet.", value=owed.pending)
        yield GaugeMetricFamily(
            "maskmill_webhooks_oldest_seconds",
            "Age of the change that the oldest tells of.",
            value=owed.oldest_s,
        )
