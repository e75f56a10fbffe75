"""Spans of OpenTelemetry, where somebody asked for them; otherwise nothing is imported and nothing is done.

A trace goes from a request over the message to the worker's images.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from telemetry.settings import TraceSettings

logger = logging.getLogger(__name__)

_NONE = nullcontext()

TRACEPARENT = "traceparent"  # of W3C Trace Context: in HTTP headers, in messages


class _Tracing:
    tracer: Any = None
    provider: Any = None


def begin_tracing(part: str, *, settings: TraceSettings | None = None, exporter: Any = None) -> None:
    """Raises ModuleNotFoundError when traces are wanted and OpenTelemetry is not installed. exporter: for tests."""
    settings = settings or TraceSettings()
    if exporter is None and settings.endpoint is None:
        return
    sdk = importlib.import_module("opentelemetry.sdk.trace")
    export = importlib.import_module("opentelemetry.sdk.trace.export")
    sampling = importlib.import_module("opentelemetry.sdk.trace.sampling")
    resource = importlib.import_module("opentelemetry.sdk.resources").Resource
    about = {"service.name": f"{settings.service}-{part}", "service.namespace": settings.service}
    sampler = sampling.ParentBased(sampling.TraceIdRatioBased(settings.share))
    provider = sdk.TracerProvider(resource=resource.create(about), sampler=sampler)
    if exporter is None:
        otlp = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
        exporter = otlp.OTLPSpanExporter(f"{str(settings.endpoint).rstrip('/')}/v1/traces", timeout=5)
        provider.add_span_processor(export.BatchSpanProcessor(exporter))
    else:
        provider.add_span_processor(export.SimpleSpanProcessor(exporter))
    _Tracing.provider, _Tracing.tracer = provider, provider.get_tracer("maskmill")


def end_tracing() -> None:
    """What was not sent yet is sent."""
    provider, _Tracing.provider, _Tracing.tracer = _Tracing.provider, None, None
    if provider is not None:
        provider.shutdown()


def span(
    name: str,
    about: Mapping[str, str | int] | None = None,
    *,
    parent: Mapping[str, str] | None = None,
    kind: str = "internal",
) -> AbstractContextManager[Any]:
    """Around a piece of work; an error that leaves the block is noted. Gives the span, or None.

    parent: headers that may hold a `traceparent`; None: the span that runs.
    """
    if _Tracing.tracer is None:
        return _NONE
    trace = importlib.import_module("opentelemetry.trace")
    context = None if parent is None else _propagator().extract(parent)
    begun: AbstractContextManager[Any] = _Tracing.tracer.start_as_current_span(
        name,
        context=context,
        kind=trace.SpanKind[kind.upper()],
        attributes={f"maskmill.{key}": value for key, value in (about or {}).items()},
    )
    return begun


def carried() -> dict[str, str]:
    """Headers with which the trace goes on elsewhere; none without a trace."""
    headers: dict[str, str] = {}
    if _Tracing.tracer is not None:
        _propagator().inject(headers)
    return headers


def _propagator() -> Any:
    return importlib.import_module("opentelemetry.trace.propagation.tracecontext").TraceContextTextMapPropagator()
