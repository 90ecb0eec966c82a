"""Delivery through opentelemetry-exporter-otlp, by choice (FAASIGHT_EXPORTER=otlp): gRPC, own certificates, proxies.

It costs the cold start what the official exporter costs. Its calls run on a thread, so that the flush limit holds here
too.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState

import faasight
from faasight.complain import complaints

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.trace.export import SpanExporter

    from faasight.agent import Agent
    from faasight.metrics import Point
    from faasight.spans import Span

_MAX_SPANS = 4_096
_EXPORT_TIMEOUT_S = 5  # of one export on its thread; the function waits for the flush limit at most


class OfficialExporter:
    """The buffer in front of the official exporters; safe to use from several threads."""

    def __init__(self, agent: Agent) -> None:
        self.points: Callable[[], list[Point]] | None = None
        self.lines: Callable[[], list[bytes]] | None = None  # not sent: see agent.py
        self._agent = agent
        self._resource_attributes: Callable[[], dict[str, Any]] = agent.resource_attributes
        self._exporters = make_exporters(agent.settings.endpoint, agent.settings.headers)
        self.reset()

    def reset(self) -> None:
        """Start anew in a forked child, where the thread is gone."""
        self._spans: deque[Span] = deque(maxlen=_MAX_SPANS)
        self._work: queue.Queue[threading.Event] = queue.Queue(maxsize=1)
        self._thread: threading.Thread | None = None

    def close(self) -> None:
        """Shut the official exporters down."""
        for exporter in self._exporters:
            exporter.shutdown()

    def share(self, resource: Callable[[], bytes]) -> OfficialExporter:  # noqa: ARG002 - it has one resource for all
        """Return this one."""
        return self

    def add(self, span: Span) -> None:
        """Keep a finished span for the next flush."""
        self._spans.append(span)

    def waiting(self) -> int:
        """Return how many spans wait for the next flush."""
        return len(self._spans)

    def flush(self, budget: float) -> None:
        """Let the thread send what there is, and wait for it at most `budget` seconds."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="faasight-otlp", daemon=True)
            self._thread.start()
        deadline = time.monotonic() + budget
        done = threading.Event()
        try:
            self._work.put(done, timeout=max(budget, 0.001))
        except queue.Full:
            return  # the last export still hangs; what we have is kept for the next flush
        done.wait(max(deadline - time.monotonic(), 0.0))

    def _run(self) -> None:
        while True:
            done = self._work.get()
            try:
                self._export()
            except Exception as error:  # noqa: BLE001 - the thread must live on for the next flush
                complaints.say(f"export failed: {type(error).__name__}: {error}")
            done.set()

    def _export(self) -> None:
        resource = Resource(self._resource_attributes())
        spans, metrics = self._exporters
        batch = []
        while self._spans:
            batch.append(sdk_span(self._spans.popleft(), resource))
        if batch:
            spans.export(batch)
        points = self.points() if self.points else []
        if points:
            metrics.export(sdk_metrics(points, resource), timeout_millis=_EXPORT_TIMEOUT_S * 1000)


def make_exporters(endpoint: str, headers: dict[str, str]) -> tuple[SpanExporter, MetricExporter]:
    """Return the official exporters for OTEL_EXPORTER_OTLP_PROTOCOL; certificates come from its own variables."""
    if os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans

        insecure = endpoint.startswith("http://")
        return (
            GrpcSpans(endpoint, insecure=insecure, headers=headers, timeout=_EXPORT_TIMEOUT_S),
            GrpcMetrics(endpoint, insecure=insecure, headers=headers, timeout=_EXPORT_TIMEOUT_S),
        )
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return (
        OTLPSpanExporter(f"{endpoint}/v1/traces", headers=headers, timeout=_EXPORT_TIMEOUT_S),
        OTLPMetricExporter(f"{endpoint}/v1/metrics", headers=headers, timeout=_EXPORT_TIMEOUT_S),
    )


def sdk_span(span: Span, resource: Resource) -> ReadableSpan:
    """Return one of our spans as the SDK's."""
    version = faasight.__version__ if span.scope == "faasight" else ""
    return ReadableSpan(
        name=span.name,
        context=_context(span.trace_id, span.span_id, span.trace_state),
        parent=_context(span.trace_id, span.parent_id, "", remote=True) if span.parent_id else None,
        resource=resource,
        attributes={key: value for key, value in span.attributes.items() if value is not None},
        events=[Event(name, attributes, ts) for ts, name, attributes in span.events],
        links=[Link(_context(*link, remote=True)) for link in span.links],
        kind=SpanKind(span.kind - 1),
        status=Status(StatusCode(span.status), span.message or None),
        start_time=span.start_ns,
        end_time=span.end_ns,
        instrumentation_scope=InstrumentationScope(span.scope, version),
    )


def _context(trace_id: str, span_id: str, state: str, *, remote: bool = False) -> SpanContext:
    return trace.SpanContext(
        int(trace_id, 16), int(span_id, 16), remote, TraceFlags(1), TraceState.from_header([state] if state else [])
    )


def sdk_metrics(points: list[Point], resource: Resource) -> MetricsData:
    """Return the user's numbers as the SDK's data."""
    scope = InstrumentationScope("faasight", faasight.__version__)
    return MetricsData(
        [ResourceMetrics(resource, [ScopeMetrics(scope, [_sdk_metric(point) for point in points], "")], "")]
    )


def _sdk_metric(point: Point) -> Metric:
    data = NumberDataPoint(point.dimensions, point.start_ns, point.end_ns, point.value)
    if point.kind == "gauge":
        return Metric(point.name, "", point.unit, Gauge([data]))
    return Metric(point.name, "", point.unit, Sum([data], AggregationTemporality.DELTA, point.monotonic))
