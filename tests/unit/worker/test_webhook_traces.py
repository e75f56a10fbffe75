"""A webhook belongs to the request that its job came from: in the trace, and in the log."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from io import StringIO

import pytest
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from jobs.deliveries.delivering import Delivering, DeliveryRules
from jobs.deliveries.delivery import Reply
from telemetry.log_lines import formatter_for
from telemetry.traces import begin_tracing, end_tracing
from tests.factories import picture
from tests.unit.api.conftest import client, house, open_client
from tests.unit.api.house import House
from worker.web.webhook_metrics import traced

__all__ = ["client", "house", "open_client"]

REQUEST = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01", "X-Request-Id": "mine-1"}


class Receiver:
    def __init__(self) -> None:
        self.headers: list[Mapping[str, str]] = []

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        self.headers.append(headers)
        return Reply(status_code=204)


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    begin_tracing("test", exporter=exporter)
    yield exporter
    end_tracing()


def submit(client: TestClient) -> None:
    hook = {"webhook": '{"url": "https://example.org/hook"}'}
    answer = client.post("/jobs", files={"files": ("a.jpg", picture())}, data=hook, headers=REQUEST)
    assert answer.status_code == 202, answer.text


def deliver(house: House) -> Mapping[str, str]:
    receiver = Receiver()
    delivering = Delivering(house.database.unit, receiver, DeliveryRules(), around=traced)
    for each in delivering.claim(9):
        delivering.deliver(each)
    (headers,) = receiver.headers
    return headers


def test_a_trace_goes_from_the_request_to_the_receiver(
    client: TestClient, house: House, spans: InMemorySpanExporter
) -> None:
    submit(client)
    house.work()
    headers = deliver(house)
    (sent,) = [each for each in spans.get_finished_spans() if each.name == "webhook"]
    assert headers["traceparent"] == f"00-{'ab' * 16}-{sent.context.span_id:016x}-01"
    assert sent.attributes is not None
    assert sent.attributes["maskmill.event"] == "job.completed"
    assert headers["webhook-id"] == sent.attributes["maskmill.delivery"]


def test_without_tracing_no_header_is_added(client: TestClient, house: House) -> None:
    submit(client)
    house.work()
    assert "traceparent" not in deliver(house)


def test_a_log_line_of_a_webhook_names_the_request(client: TestClient, house: House) -> None:
    submit(client)
    house.work()
    written = StringIO()
    handler, logger = logging.StreamHandler(written), logging.getLogger("jobs.deliveries.delivering")
    handler.setFormatter(formatter_for("json"))
    logger.addHandler(handler)
    before = logger.level
    logger.setLevel(logging.INFO)
    try:
        deliver(house)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
    line = json.loads(written.getvalue())
    assert (line["action"], line["request_id"], line["event"]) == ("webhook_tried", "mine-1", "job.completed")
