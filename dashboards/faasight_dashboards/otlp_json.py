"""A stored trace as OTLP/JSON, to paste into any tool that reads it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from faasight_store.types import Span, Trace

_NS = 1_000_000_000

Json = dict[str, Any]


def otlp_json(trace: Trace) -> Json:
    """Return an `ExportTraceServiceRequest` in OTLP's JSON form: ids hex, 64-bit numbers as strings.

    Attributes are strings, as the store keeps them.
    """
    resources: dict[tuple[tuple[str, str], ...], dict[str, list[Json]]] = {}
    for span in trace.spans:
        scopes = resources.setdefault(tuple(sorted(span.resource.items())), {})
        scopes.setdefault(span.scope_name, []).append(_span(span))
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _attributes(dict(resource))},
                "scopeSpans": [{"scope": {"name": name}, "spans": spans} for name, spans in scopes.items()],
            }
            for resource, scopes in resources.items()
        ]
    }


def _span(span: Span) -> Json:
    told: Json = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "parentSpanId": span.parent_span_id,
        "traceState": span.trace_state,
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.start_ns + span.duration_ns),
        "attributes": _attributes(span.attributes),
        "events": [
            {"timeUnixNano": str(_ns(event.ts)), "name": event.name, "attributes": _attributes(event.attributes)}
            for event in span.events
        ],
        "links": [
            {"traceId": link.trace_id, "spanId": link.span_id, "attributes": _attributes(link.attributes)}
            for link in span.links
        ],
        "status": _without_empty({"code": span.status, "message": span.status_message}.items()),
    }
    return _without_empty(told.items())


def _attributes(values: Mapping[str, str]) -> list[Json]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in sorted(values.items())]


def _without_empty(pairs: Iterable[tuple[str, Any]]) -> Json:
    return {name: value for name, value in pairs if value not in ("", [], 0)}


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * _NS + moment.microsecond * 1000
