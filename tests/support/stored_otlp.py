"""OTLP in one normal form, made of the message that was sent and of the rows that are stored, so that both compare.

A value is a pair of its type and itself, for Python takes True for 1 and 1 for 1.0; ids are hex, times ns.
"""

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from faasight_store import Store, values
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar, Metric
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

Tagged = tuple[str, Any]
Document = dict[str, Any]


def tagged(value: values.Value) -> Tagged:
    """Return a value with its type, also within arrays and maps."""
    if value is None:
        return ("none", None)
    if isinstance(value, list):
        return ("array", [tagged(item) for item in value])
    if isinstance(value, dict):
        return ("map", {key: tagged(value[key]) for key in sorted(value)})
    if isinstance(value, float):
        return ("double", repr(value))  # NaN equals itself, and -0.0 is not 0.0
    names: dict[type, str] = {bool: "bool", int: "int", str: "string", bytes: "bytes"}
    return (names[type(value)], value)


def of_any(value: AnyValue) -> Tagged:
    """Return the value that a message holds."""
    kind = value.WhichOneof("value")
    if kind is None:
        return ("none", None)
    if kind == "array_value":
        return ("array", [of_any(item) for item in value.array_value.values])
    if kind == "kvlist_value":
        return ("map", of_pairs(value.kvlist_value.values))
    return tagged(getattr(value, kind))


def of_pairs(pairs: Iterable[KeyValue]) -> dict[str, Tagged]:
    """Return the attributes that a message holds."""
    return {pair.key: of_any(pair.value) for pair in sorted(pairs, key=lambda pair: pair.key)}


def _stored(texts: Mapping[str, str], types: str) -> dict[str, Tagged]:
    return {key: tagged(value) for key, value in sorted(values.attributes(texts, types).items())}


def _sent_pairs(encoded: Iterable[str]) -> dict[str, Tagged]:
    """Return attributes that are kept as they were sent."""
    return of_pairs(KeyValue.FromString(base64.b64decode(data)) for data in encoded)


def _place(resource: Resource, resource_url: str, scope: InstrumentationScope, scope_url: str) -> Document:
    return {
        "resource": of_pairs(resource.attributes),
        "resource_dropped": resource.dropped_attributes_count,
        "resource_url": resource_url,
        "scope": (scope.name, scope.version),
        "scope_attributes": of_pairs(scope.attributes),
        "scope_dropped": scope.dropped_attributes_count,
        "scope_url": scope_url,
    }


def _stored_place(origin: str, resource: Mapping[str, str] | None, name: str | None, version: str | None) -> Document:
    more = json.loads(origin or "{}")
    texts = more.get("resource", {}) if resource is None else resource
    return {
        "resource": _stored(texts, more.get("resource_types", "")),
        "resource_dropped": more.get("resource_dropped_attributes", 0),
        "resource_url": more.get("resource_schema_url", ""),
        "scope": (
            more.get("scope_name", "") if name is None else name,
            more.get("scope_version", "") if version is None else version,
        ),
        "scope_attributes": _sent_pairs(more.get("scope_attributes", [])),
        "scope_dropped": more.get("scope_dropped_attributes", 0),
        "scope_url": more.get("scope_schema_url", ""),
    }


def _sent(signal: str, requests: Iterable[Any], each: Callable[[Any], Iterable[Document]]) -> list[Document]:
    """Return what `each` makes of every scope of some requests, with its place, in an order of its own."""
    found = [
        _place(top.resource, top.schema_url, scoped.scope, scoped.schema_url) | document
        for request in requests
        for top in getattr(request, f"resource_{signal}")
        for scoped in getattr(top, f"scope_{signal}")
        for document in each(scoped)
    ]
    return sorted(found, key=repr)


# -- spans ------------------------------------------------------------------------------------------------------------


def sent_spans(*requests: ExportTraceServiceRequest) -> list[Document]:
    """Return all spans of some requests, in an order that depends on nothing but what they say."""
    return _sent("spans", requests, lambda scoped: map(_span, scoped.spans))


def _span(span: Span) -> Document:
    return {
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent": span.parent_span_id.hex(),
        "trace_state": span.trace_state,
        "flags": span.flags,
        "name": span.name,
        "kind": span.kind,
        "start": span.start_time_unix_nano,
        "duration": max(0, span.end_time_unix_nano - span.start_time_unix_nano),
        "status": (span.status.code, span.status.message),
        "attributes": of_pairs(span.attributes),
        "dropped": (span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count),
        "events": [
            (event.time_unix_nano, event.name, of_pairs(event.attributes), event.dropped_attributes_count)
            for event in span.events
        ],
        "links": [
            (
                link.trace_id.hex(),
                link.span_id.hex(),
                link.trace_state,
                of_pairs(link.attributes),
                link.dropped_attributes_count,
                link.flags,
            )
            for link in span.links
        ],
    }


_SPANS = """SELECT lower(hex(trace_id)), lower(hex(span_id)), lower(hex(parent_span_id)), trace_state, flags, name,
    kind, start_ns, duration_ns, status, status_message, attributes, types,
    (dropped_attributes, dropped_events, dropped_links),
    arrayMap(e -> (e.ns, e.name, e.attributes, e.types, e.dropped_attributes), events),
    arrayMap(l -> (lower(hex(l.trace_id)), lower(hex(l.span_id)), l.trace_state,
                   arrayMap(pair -> base64Encode(pair), l.attributes), l.dropped_attributes_count, l.flags), links),
    origin, resource, scope_name, scope_version
FROM spans WHERE function = {function:String}"""


def stored_spans(store: Store, function: str) -> list[Document]:
    """Return all spans that are stored of a function, in the order of `sent_spans`."""
    return sorted(map(_stored_span, store.query(_SPANS, {"function": function})), key=repr)


def _stored_span(row: Sequence[Any]) -> Document:
    (trace_id, span_id, parent, state, flags, name, kind, start, duration, status, message, texts, types, dropped,
     events, links, *place) = row  # fmt: skip
    return _stored_place(*place) | {
        "trace_id": trace_id,
        "span_id": span_id,
        "parent": parent,
        "trace_state": state,
        "flags": flags,
        "name": name,
        "kind": kind,
        "start": start,
        "duration": duration,
        "status": (status, message),
        "attributes": _stored(texts, types),
        "dropped": tuple(dropped),
        "events": [(ns, event, _stored(told, kinds), more) for ns, event, told, kinds, more in events],
        "links": [(*ids, _sent_pairs(told), count, bits) for *ids, told, count, bits in links],
    }


# -- log records ------------------------------------------------------------------------------------------------------


def sent_logs(*requests: ExportLogsServiceRequest) -> list[Document]:
    """Return all log records of some requests, in an order that depends on nothing but what they say."""
    return _sent("logs", requests, lambda scoped: map(_record, scoped.log_records))


def _record(record: LogRecord) -> Document:
    return {
        "time": record.time_unix_nano or record.observed_time_unix_nano,
        "observed": record.observed_time_unix_nano,
        "severity": (record.severity_number, record.severity_text),
        "body": of_any(record.body),
        "event": record.event_name,
        "trace_id": record.trace_id.hex() or "0" * 32,
        "span_id": record.span_id.hex() or "0" * 16,
        "flags": record.flags,
        "attributes": of_pairs(record.attributes),
        "dropped": record.dropped_attributes_count,
    }


_LOGS = """SELECT event_ns, observed_ns, severity, severity_text, message, toString(body_type), event_name,
    lower(hex(trace_id)), lower(hex(span_id)), flags, attributes, types, dropped_attributes, logger, request_id, origin
FROM logs WHERE function = {function:String}"""


def stored_logs(store: Store, function: str) -> list[Document]:
    """Return all log records that are stored of a function, in the order of `sent_logs`."""
    return sorted(map(_stored_record, store.query(_LOGS, {"function": function})), key=repr)


def _stored_record(row: Sequence[Any]) -> Document:
    (time, observed, severity, severity_text, message, body_type, event, trace_id, span_id, flags, texts, types,
     dropped, logger, request_id, origin) = row  # fmt: skip
    place = _stored_place(origin, None, None, None)
    # What has a column of its own is not among the attributes.
    columns = {} if logger in ("", place["scope"][0]) else {"logger": logger}
    if request_id and not {"request_id", "faas.invocation_id"} & set(texts):
        columns["request_id"] = request_id
    return place | {
        "time": time,
        "observed": observed,
        "severity": (severity, severity_text),
        "body": tagged(values.decode(message, body_type)),
        "event": event,
        "trace_id": trace_id,
        "span_id": span_id,
        "flags": flags,
        "attributes": _stored({**texts, **columns}, types),
        "dropped": dropped,
    }


# -- metric points ----------------------------------------------------------------------------------------------------


def sent_points(*requests: ExportMetricsServiceRequest) -> list[Document]:
    """Return all points of some requests, each with what its metric, scope and resource say, in their order."""
    return _sent("metrics", requests, lambda scoped: (point for metric in scoped.metrics for point in _points(metric)))


def _points(metric: Metric) -> Iterator[Document]:
    kind = metric.WhichOneof("data") or ""
    data = getattr(metric, kind)
    for point in data.data_points:
        yield {
            "metric": (metric.name, metric.unit, metric.description),
            "kind": (kind, getattr(data, "aggregation_temporality", 0), getattr(data, "is_monotonic", False)),
            "attributes": of_pairs(point.attributes),
            "times": (point.time_unix_nano, point.start_time_unix_nano),
            "flags": point.flags,
            **_figures(kind, point),
            "exemplars": [_exemplar(exemplar) for exemplar in getattr(point, "exemplars", [])],
        }


def _figures(kind: str, point: Any) -> Document:
    if kind in ("gauge", "sum"):
        member = point.WhichOneof("value")
        return {"value": tagged(None if member is None else getattr(point, member))}
    if kind == "summary":
        pairs = [(repr(pair.quantile), repr(pair.value)) for pair in point.quantile_values]
        return {"value": tagged(point.sum), "count": point.count, "quantiles": pairs}
    known = {name: tagged(getattr(point, name) if point.HasField(name) else None) for name in ("sum", "min", "max")}
    common = {"value": known["sum"], "count": point.count, "range": (known["min"], known["max"])}
    if kind == "histogram":
        return common | {"bounds": list(map(repr, point.explicit_bounds)), "counts": list(point.bucket_counts)}
    return common | {
        "scale": point.scale,
        "zero": (point.zero_count, repr(point.zero_threshold)),
        "positive": (point.positive.offset, list(point.positive.bucket_counts)),
        "negative": (point.negative.offset, list(point.negative.bucket_counts)),
    }


def _exemplar(exemplar: Exemplar) -> Document:
    member = exemplar.WhichOneof("value")
    return {
        "time": exemplar.time_unix_nano,
        "value": tagged(getattr(exemplar, member or "as_double")),
        "ids": (exemplar.trace_id.hex(), exemplar.span_id.hex()),
        "attributes": of_pairs(exemplar.filtered_attributes),
    }


_POINTS = """SELECT p.metric, s.unit, s.description, toString(p.kind), s.temporality, s.monotonic, l.attributes,
    l.types, p.event_ns, p.start_ns, p.flags, p.value, p.int_value, p.count, p.low, p.high, p.bounds, p.bucket_counts,
    p.quantile_values, p.scale, p.zero_count, p.zero_threshold, p.positive_offset, p.negative_offset, p.negative_counts,
    arrayMap(e -> (e.ns, e.value, e.int_value, lower(hex(e.trace_id)), lower(hex(e.span_id)),
                   arrayMap(pair -> hex(pair), e.attributes)), p.exemplars),
    s.origin, s.resource, s.scope_name, s.scope_version
FROM metric_points AS p
JOIN (SELECT DISTINCT series, source, attributes, types FROM metric_series) AS l ON l.series = p.series
JOIN (SELECT DISTINCT source, unit, description, temporality, monotonic, origin, resource, scope_name, scope_version
      FROM metric_sources WHERE function = {function:String}) AS s ON s.source = l.source"""


def stored_points(store: Store, function: str) -> list[Document]:
    """Return all metric points that are stored of a function, in the order of `sent_points`."""
    return sorted(map(_stored_point, store.query(_POINTS, {"function": function})), key=repr)


def _stored_point(row: Sequence[Any]) -> Document:
    (metric, unit, description, kind, temporality, monotonic, texts, types, time, start, flags, *figures, exemplars,
     origin, resource, scope_name, scope_version) = row  # fmt: skip
    return _stored_place(origin, resource, scope_name, scope_version) | {
        "metric": (metric, unit, description),
        "kind": (kind, temporality, monotonic),
        "attributes": _stored(texts, types),
        "times": (time, start),
        "flags": flags,
        **_stored_figures(kind, figures),
        "exemplars": [_stored_exemplar(*exemplar) for exemplar in exemplars],
    }


def _stored_figures(kind: str, figures: Sequence[Any]) -> Document:
    (value, whole, count, low, high, bounds, counts, quantiles, scale, zeros, threshold, positive, negative,
     negatives) = figures  # fmt: skip
    if kind in ("gauge", "sum"):
        return {"value": tagged(value if whole is None else whole)}
    if kind == "summary":
        pairs = [(repr(at), repr(what)) for at, what in zip(bounds, quantiles, strict=True)]
        return {"value": tagged(value), "count": count, "quantiles": pairs}
    common = {"value": tagged(value), "count": count, "range": (tagged(low), tagged(high))}
    if kind == "histogram":
        return common | {"bounds": list(map(repr, bounds)), "counts": list(counts)}
    return common | {
        "scale": scale,
        "zero": (zeros, repr(threshold)),
        "positive": (positive, list(counts)),
        "negative": (negative, list(negatives)),
    }


def _stored_exemplar(time: int, value: float, whole: int | None, trace_id: str, span_id: str, pairs: Any) -> Document:
    return {
        "time": time,
        "value": tagged(value if whole is None else whole),
        "ids": (trace_id, span_id),
        "attributes": of_pairs([KeyValue.FromString(bytes.fromhex(pair)) for pair in pairs]),
    }


def resources(
    request: ExportTraceServiceRequest | ExportLogsServiceRequest | ExportMetricsServiceRequest,
) -> Iterator[Resource]:
    """Yield every resource of a request."""
    names = ("resource_spans", "resource_logs", "resource_metrics")
    for top in next(getattr(request, name) for name in names if hasattr(request, name)):
        yield top.resource
