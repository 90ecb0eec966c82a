"""The OpenTelemetry SDK beside us: spans of the user's tracers reach the same buffer, under the invocation's span."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from faasight import mask, tracing
from faasight.context import current
from faasight.spans import CLIENT, PRODUCER, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from faasight.agent import Agent


_TURNED_AWAY = {
    "http.response.status_code": (429,),
    "http.status_code": (429,),
    "rpc.grpc.status_code": (8,),
    "rpc.response.status_code": ("RESOURCE_EXHAUSTED",),
    "error.type": ("429", "RESOURCE_EXHAUSTED", "ResourceExhausted", "google.api_core.exceptions.ResourceExhausted"),
}


def join(agent: Agent) -> None:
    """Feed the process's tracer provider into our buffer: the user's own if there is one, else one that we set up."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        attributes: dict[str, Any] = agent.resource_attributes()
        provider = TracerProvider(sampler=ALWAYS_ON, resource=Resource(attributes), shutdown_on_exit=False)
        trace.set_tracer_provider(provider)
    if isinstance(provider, TracerProvider):
        provider.add_span_processor(Feed(agent))
        tracing.bridge = make_current
        tracing.foreign_parent = current_span_id


class Feed(SpanProcessor):
    """Hands each finished span to the buffer."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def on_end(self, span: ReadableSpan) -> None:
        """Convert and keep it."""
        converted = convert(span)
        if converted is not None:
            around = current.get()
            invocation = around.invocation if around is not None else None
            (invocation.delivery if invocation is not None else self._agent.delivery).add(converted)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what there is, within the flush limit of the settings and not the SDK's."""
        self._agent.delivery.flush(min(self._agent.settings.flush_timeout, timeout_millis / 1000))
        return True


def convert(span: ReadableSpan) -> Span | None:
    """Return an SDK span as ours; None if it has no context or is not sampled."""
    context = span.context
    if context is None or not context.trace_flags.sampled:
        return None
    ours = Span(span.name, span.kind.value + 1, trace.format_trace_id(context.trace_id), start_ns=span.start_time or 0)
    ours.span_id = trace.format_span_id(context.span_id)
    ours.parent_id = trace.format_span_id(span.parent.span_id) if span.parent else ""
    ours.trace_state = context.trace_state.to_header()
    ours.end_ns = span.end_time or ours.start_ns
    ours.attributes = _masked(span.attributes)
    if ours.kind in (CLIENT, PRODUCER) and _is_throttled(ours.attributes):
        ours.attributes["faasight.throttled"] = True
    ours.events = [(event.timestamp, event.name, _masked(event.attributes)) for event in span.events]
    ours.links = [
        (
            trace.format_trace_id(link.context.trace_id),
            trace.format_span_id(link.context.span_id),
            link.context.trace_state.to_header(),
        )
        for link in span.links
    ]
    ours.status, ours.message = span.status.status_code.value, mask.text(span.status.description or "")
    ours.scope = span.instrumentation_scope.name if span.instrumentation_scope else "opentelemetry"
    return ours


def _is_throttled(attributes: Mapping[str, Any]) -> bool:
    """Whether a callee turned a call away: HTTP 429, gRPC's RESOURCE_EXHAUSTED; by old and new conventions."""
    return any(attributes.get(key) in said for key, said in _TURNED_AWAY.items())


def _masked(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: mask.value(key, value) for key, value in (attributes or {}).items()}


def make_current(span: Span) -> Callable[[], None]:
    """Make our span the current one for OpenTelemetry, as a parent that records nothing; return what undoes it."""
    context = trace.SpanContext(
        int(span.trace_id, 16), int(span.span_id, 16), is_remote=False, trace_flags=trace.TraceFlags(1)
    )
    token = otel_context.attach(trace.set_span_in_context(trace.NonRecordingSpan(context)))
    return lambda: otel_context.detach(token)


def current_span_id(trace_id: str) -> str:
    """Return the id of OpenTelemetry's current span if it belongs to the trace, else ""."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid or context.trace_id != int(trace_id, 16):
        return ""
    return trace.format_span_id(context.span_id)
