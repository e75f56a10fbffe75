"""What `GET /metrics` tells: the process's requests, and how the service stands."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from api.metrics import KEEP_S
from jobs.errors import QueueUnavailable
from telemetry.traces import begin_tracing, end_tracing
from tests.factories import picture
from tests.unit.api.house import House

Values = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def values(client: TestClient) -> Values:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def of(found: Values, name: str, **labels: str) -> float | None:
    return found.get((name, frozenset(labels.items())))


def submit(client: TestClient, count: int = 1) -> str:
    files = [("files", (f"{n}.jpg", picture(), "image/jpeg")) for n in range(count)]
    return str(client.post("/jobs", files=files).raise_for_status().json()["id"])


def test_requests_are_counted_by_their_route_never_by_their_address(client: TestClient) -> None:
    job_id = submit(client)
    for path in (f"/jobs/{job_id}", "/jobs/job_01JD3T1M4Z8Q5R6S7T8V9WAXBY", "/nothing/here", "/nothing/there"):
        client.get(path)
    found = values(client)
    labels = {"method": "GET", "route": "/jobs/{job_id}"}
    assert of(found, "maskmill_request_seconds_count", **labels, status="200") == 1
    assert of(found, "maskmill_request_seconds_count", **labels, status="404") == 1
    assert of(found, "maskmill_request_seconds_count", method="GET", route="(none)", status="404") == 2
    routes = {dict(labels).get("route") for name, labels in found if name == "maskmill_request_seconds_count"}
    assert routes == {"/jobs", "/jobs/{job_id}", "(none)"}
    assert (of(found, "maskmill_upload_bytes_total", route="/jobs") or 0) > len(picture())


def test_what_is_refused_before_any_route_is_counted_too(client: TestClient) -> None:
    client.get("/jobs", headers={"Host": "elsewhere.example"})
    client.request("BREW", "/jobs")
    found = values(client)
    refused = [labels for name, labels in found if name == "maskmill_request_seconds_count"]
    assert {"method": "GET", "route": "(none)"}.items() <= dict(refused[0]).items()
    methods = {dict(labels).get("method") for name, labels in found if name == "maskmill_request_seconds_count"}
    assert "BREW" not in methods
    assert "OTHER" in methods


def test_what_waits_is_told_by_queue_and_tenant(client: TestClient, house: House) -> None:
    submit(client, 3)
    house.clock.advance(60)
    house.beat()
    found = values(client)
    place = {"queue": "interactive", "tenant": "default"}
    assert of(found, "maskmill_queue_images", **place) == 3
    assert of(found, "maskmill_running_images", **place) == 0
    assert of(found, "maskmill_queue_oldest_seconds", **place) == 60
    assert of(found, "maskmill_queue_backlog_seconds", **place) is None, "nobody knows the rate yet"
    assert of(found, "maskmill_slices_waiting", queue="interactive") == len(house.dispatcher.sent)
    assert of(found, "maskmill_workers") == 1
    assert of(found, "maskmill_webhooks_owed") == 0
    assert {part: of(found, "maskmill_part_up", part=part) for part in ("database", "broker", "store")} == {
        "database": 1.0,
        "broker": 1.0,
        "store": 1.0,
    }


def test_a_part_that_is_away_is_told_and_what_it_knows_left_out(
    client: TestClient, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> int:
        raise QueueUnavailable("the queue is away")

    monkeypatch.setattr(type(house.dispatcher), "waiting", away)
    house.is_database_away = True
    found = values(client)
    assert of(found, "maskmill_part_up", part="database") == 0
    assert of(found, "maskmill_part_up", part="broker") == 0
    assert not [
        name for name, _ in found if name.startswith(("maskmill_queue_", "maskmill_workers", "maskmill_slices"))
    ]


def test_being_asked_often_costs_nothing(client: TestClient, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    values(client)
    before = house.units
    for _ in range(5):
        values(client)
    assert house.units == before
    monkeypatch.setattr("api.metrics.time", SimpleNamespace(monotonic=lambda: 10**9 + KEEP_S))
    values(client)
    assert house.units > before


def test_open_metrics_is_spoken_with_who_asks_for_it(client: TestClient) -> None:
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert "maskmill_part_up" in {family.name for family in open_metrics(answer.text)}


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(record) for record in caplog.records if vars(record).get("action") == "request"]


def test_each_request_is_logged_once_without_its_query(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    job_id = submit(client)
    client.get(f"/jobs/{job_id}?wait=0&signature=0123456789abcdef", headers={"X-Request-Id": "mine-1"})
    client.get("/health")
    submitted, read = lines(caplog)
    assert (submitted["route"], submitted["status"], submitted["job_id"]) == ("/jobs", 202, job_id)
    assert (read["route"], read["job_id"]) == ("/jobs/{job_id}", job_id)
    assert not [each for each in lines(caplog) if "0123456789abcdef" in repr(each)]


def test_a_request_is_a_span_that_goes_on_from_the_callers(client: TestClient) -> None:
    exporter = InMemorySpanExporter()
    begin_tracing("api", exporter=exporter)
    try:
        client.get("/models/none", headers={"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"})
    finally:
        end_tracing()
    (found,) = exporter.get_finished_spans()
    assert (found.name, f"{found.context.trace_id:x}") == ("GET /models/{name:path}", "ab" * 16)
    assert found.attributes is not None
    assert found.attributes["http.response.status_code"] == 404
