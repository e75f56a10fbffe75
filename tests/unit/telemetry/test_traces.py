"""Spans: none unless somebody asks, and one trace over all parts when they do."""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
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
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=170)
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


class _Receiver(BaseHTTPRequestHandler):
    """Takes what the OTLP/HTTP exporter sends."""

    got: ClassVar[list[tuple[str, ExportTraceServiceRequest]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        plain = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        self.got.append((self.path, ExportTraceServiceRequest.FromString(plain)))
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None: ...


def test_spans_arrive_at_a_receiver_that_speaks_otlp() -> None:
    _Receiver.got.clear()
    with HTTPServer(("127.0.0.1", 0), _Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        begin_tracing("worker", settings=TraceSettings(endpoint=f"http://127.0.0.1:{server.server_port}/"))
        with span("slice", {"job_id": "job_1"}, kind="consumer"), span("image", {"image": 3}):
            pass
        end_tracing()
        server.shutdown()
    ((path, request),) = _Receiver.got
    (about,) = request.resource_spans
    spans = {each.name: each for scope in about.scope_spans for each in scope.spans}
    assert path == "/v1/traces"
    names = {each.key: each.value.string_value for each in about.resource.attributes}
    assert (names["service.name"], names["service.namespace"]) == ("maskmill-worker", "maskmill")
    assert spans["image"].parent_span_id == spans["slice"].span_id
    assert [(each.key, each.value.int_value) for each in spans["image"].attributes] == [("maskmill.image", 3)]
