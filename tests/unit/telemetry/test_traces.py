"""Spans: none unless somebody asks, and one trace over all parts when they do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from telemetry.settings import TraceSettings
from telemetry.traces import begin_tracing, carried, end_tracing, span


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    begin_tracing("test", exporter=exporter)
    yield exporter
    end_tracing()


def test_nothing_is_traced_and_nothing_imported_unless_asked_for() -> None:
    program = (
        "import sys, telemetry.traces as t\n"
        "t.begin_tracing('api')\n"
        "with t.span('x') as begun: assert begun is None\n"
        "assert t.carried() == {}\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_trace_goes_on_where_its_headers_are_carried_to(spans: InMemorySpanExporter) -> None:
    with span("request", {"request_id": "r-1"}, kind="server"):
        headers = carried()
    with span("slice", parent=headers, kind="consumer"), span("image", {"image": 3}):
        pass
    request, image, piece = spans.get_finished_spans()
    assert (request.name, image.name, piece.name) == ("request", "image", "slice")
    contexts = [each.context for each in (request, piece) if each.context is not None]
    assert len({each.trace_id for each in contexts}) == 1
    assert [each.span_id for each in contexts] == [each.parent.span_id for each in (piece, image) if each.parent]
    assert image.attributes == {"maskmill.image": 3}


def test_without_headers_a_new_trace_begins(spans: InMemorySpanExporter) -> None:
    with span("slice", parent={}):
        pass
    (alone,) = spans.get_finished_spans()
    assert alone.parent is None


def test_a_share_of_nothing_keeps_nothing() -> None:
    exporter = InMemorySpanExporter()
    begin_tracing("test", settings=TraceSettings(share=0), exporter=exporter)
    with span("request"):
        pass
    end_tracing()
    assert exporter.get_finished_spans() == ()
