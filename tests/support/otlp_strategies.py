"""OTLP messages of all that the protocol allows, for property tests (hypothesis)."""

import time
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
    Summary,
    SummaryDataPoint,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

# Texts that could be taken for something else, among all that Unicode has; protobuf takes no lone surrogates.
texts = st.sampled_from(
    ["", "0", "1.0", "true", "null", "[]", "{}", "[1]", '{"bytesValue":"AA=="}', "nan", "\x00", "a\x00b", "🐢 żółw",
     "\n", "int a\nbool b", "\\N", "'", "\ufeff", "\u202e"]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)  # fmt: skip
keys = st.sampled_from(["http.route", "k", "n", "a b", "a\nb", "ключ", "k.", '"', "\x00", "{{x}}"]) | texts
int64 = st.sampled_from([0, 1, -1, 2**53 + 1, 2**63 - 1, -(2**63)]) | st.integers(-(2**63), 2**63 - 1)
uint32 = st.sampled_from([0, 1, 2**32 - 1]) | st.integers(0, 2**32 - 1)
doubles = st.sampled_from([0.0, -0.0, 1.0, 1e300, 5e-324, 1e22, -1.5]) | st.floats(allow_nan=True, allow_infinity=True)
scalars = st.one_of(
    st.builds(AnyValue),
    st.builds(AnyValue, string_value=texts),
    st.builds(AnyValue, bool_value=st.booleans()),
    st.builds(AnyValue, int_value=int64),
    st.builds(AnyValue, double_value=doubles),
    st.builds(AnyValue, bytes_value=st.binary(max_size=8)),
)


def _pairs(inner: st.SearchStrategy[AnyValue], most: int = 4) -> st.SearchStrategy[list[KeyValue]]:
    return st.lists(st.builds(KeyValue, key=keys, value=inner), max_size=most, unique_by=lambda pair: pair.key)


def _nest(inner: st.SearchStrategy[AnyValue]) -> st.SearchStrategy[AnyValue]:
    arrays = st.builds(ArrayValue, values=st.lists(inner, max_size=3))
    maps = st.builds(KeyValueList, values=_pairs(inner, 3))
    return st.builds(AnyValue, array_value=arrays) | st.builds(AnyValue, kvlist_value=maps)


any_values = st.recursive(scalars, _nest, max_leaves=8)
attributes = _pairs(any_values)


def _within(days: float) -> st.SearchStrategy[int]:
    """Return times in ns around now: others are clamped, which a test of its own looks at."""
    now = time.time_ns()
    return st.integers(now - int(days * 86400e9), now)


def _resources(function: str) -> st.SearchStrategy[Resource]:
    name = KeyValue(key="faas.name", value=AnyValue(string_value=function))
    others = attributes.map(lambda pairs: [name, *(pair for pair in pairs if pair.key != "faas.name")])
    return st.builds(Resource, attributes=others, dropped_attributes_count=uint32)


_scopes = st.builds(
    InstrumentationScope, name=texts, version=texts, attributes=attributes, dropped_attributes_count=uint32
)
_trace_ids, _span_ids = st.binary(min_size=16, max_size=16), st.binary(min_size=8, max_size=8)
_events = st.builds(
    Span.Event,
    time_unix_nano=st.integers(0, 2**64 - 1),
    name=texts,
    attributes=attributes,
    dropped_attributes_count=uint32,
)
_links = st.builds(
    Span.Link,
    trace_id=_trace_ids | st.binary(max_size=20),
    span_id=_span_ids | st.binary(max_size=10),
    trace_state=texts,
    attributes=attributes,
    dropped_attributes_count=uint32,
    flags=uint32,
)
_spans = st.builds(
    Span,
    trace_id=_trace_ids,
    span_id=_span_ids,
    parent_span_id=st.just(b"") | _span_ids,
    trace_state=texts,
    flags=uint32,
    name=texts,
    kind=st.integers(0, 5),
    start_time_unix_nano=_within(1),
    end_time_unix_nano=_within(1),
    attributes=attributes,
    dropped_attributes_count=uint32,
    events=st.lists(_events, max_size=2),
    dropped_events_count=uint32,
    links=st.lists(_links, max_size=2),
    dropped_links_count=uint32,
    status=st.builds(Status, code=st.integers(0, 2), message=texts),
)
# These two have columns of their own, and one is told for the other: a test of its own looks at them.
_log_attributes = attributes.map(lambda pairs: [p for p in pairs if p.key not in {"request_id", "faas.invocation_id"}])
_records = st.builds(
    LogRecord,
    time_unix_nano=st.just(0) | _within(1),
    observed_time_unix_nano=st.just(0) | _within(1),
    severity_number=st.integers(0, 24),
    severity_text=texts,
    body=any_values,
    attributes=_log_attributes,
    dropped_attributes_count=uint32,
    flags=uint32,
    trace_id=st.just(b"") | _trace_ids,
    span_id=st.just(b"") | _span_ids,
    event_name=texts,
)


uint64 = st.sampled_from([0, 1, 2**53 + 1, 2**64 - 1]) | st.integers(0, 2**64 - 1)
sint32 = st.integers(-(2**31), 2**31 - 1)
_exemplars = st.lists(
    st.builds(Exemplar, as_double=doubles) | st.builds(Exemplar, as_int=int64),
    max_size=2,
).flatmap(
    lambda found: st.tuples(*(_dressed(exemplar) for exemplar in found)).map(list)  # with what all of them have
)


def _dressed(exemplar: Exemplar) -> st.SearchStrategy[Exemplar]:
    more = st.builds(
        Exemplar,
        time_unix_nano=uint64,
        trace_id=st.just(b"") | _trace_ids,
        span_id=st.just(b"") | _span_ids,
        filtered_attributes=attributes,
    )
    return more.map(lambda other: _merged(exemplar, other))


def _merged(exemplar: Exemplar, other: Exemplar) -> Exemplar:
    both = Exemplar()
    both.CopyFrom(exemplar)
    both.MergeFrom(other)
    return both


_common = {"attributes": attributes, "time_unix_nano": _within(1), "start_time_unix_nano": uint64, "flags": uint32}
_numbers = st.lists(
    st.builds(NumberDataPoint, **_common, exemplars=_exemplars, as_double=doubles)
    | st.builds(NumberDataPoint, **_common, exemplars=_exemplars, as_int=int64)
    | st.builds(NumberDataPoint, **_common),
    min_size=1,
    max_size=3,
)
_optional = {name: st.none() | doubles for name in ("sum", "min", "max")}
_histograms = st.lists(
    st.builds(
        HistogramDataPoint,
        **_common,
        **_optional,
        exemplars=_exemplars,
        count=uint64,
        bucket_counts=st.lists(uint64, max_size=4),
        explicit_bounds=st.lists(doubles, max_size=3),
    ),
    min_size=1,
    max_size=2,
)
_buckets = st.builds(ExponentialHistogramDataPoint.Buckets, offset=sint32, bucket_counts=st.lists(uint64, max_size=4))
_exponentials = st.lists(
    st.builds(
        ExponentialHistogramDataPoint,
        **_common,
        **_optional,
        exemplars=_exemplars,
        count=uint64,
        scale=sint32,
        zero_count=uint64,
        zero_threshold=doubles,
        positive=_buckets,
        negative=_buckets,
    ),
    min_size=1,
    max_size=2,
)
_quantiles = st.builds(SummaryDataPoint.ValueAtQuantile, quantile=doubles, value=doubles)
_summaries = st.lists(
    st.builds(SummaryDataPoint, **_common, count=uint64, sum=doubles, quantile_values=st.lists(_quantiles, max_size=3)),
    min_size=1,
    max_size=2,
)
_temporality = st.integers(0, 2)
_data: dict[str, st.SearchStrategy[Any]] = {
    "gauge": st.builds(Gauge, data_points=_numbers),
    "sum": st.builds(Sum, data_points=_numbers, aggregation_temporality=_temporality, is_monotonic=st.booleans()),
    "histogram": st.builds(Histogram, data_points=_histograms, aggregation_temporality=_temporality),
    "exponential_histogram": st.builds(
        ExponentialHistogram, data_points=_exponentials, aggregation_temporality=_temporality
    ),
    "summary": st.builds(Summary, data_points=_summaries),
}
# One description a metric: the store keeps the newest of a source, not one for each point.
_metrics = st.one_of(
    st.builds(Metric, name=texts, unit=texts, description=st.just("what it is"), **{kind: data})
    for kind, data in _data.items()
)


def _requests(
    function: str,
    request: Callable[..., Any],
    top: Callable[..., Any],
    scoped: Callable[..., Any],
    item: st.SearchStrategy[Any],
    names: tuple[str, str, str],
) -> st.SearchStrategy[Any]:
    items = st.lists(item, min_size=1, max_size=4)
    scopes = st.builds(scoped, scope=_scopes, schema_url=texts, **{names[2]: items})
    tops = st.builds(
        top, resource=_resources(function), schema_url=texts, **{names[1]: st.lists(scopes, min_size=1, max_size=2)}
    )
    return st.builds(request, **{names[0]: st.lists(tops, min_size=1, max_size=2)})


def trace_requests(function: str) -> st.SearchStrategy[ExportTraceServiceRequest]:
    """Return requests with spans of one function."""
    names = ("resource_spans", "scope_spans", "spans")
    return _requests(function, ExportTraceServiceRequest, ResourceSpans, ScopeSpans, _spans, names)


def log_requests(function: str) -> st.SearchStrategy[ExportLogsServiceRequest]:
    """Return requests with log records of one function."""
    names = ("resource_logs", "scope_logs", "log_records")
    return _requests(function, ExportLogsServiceRequest, ResourceLogs, ScopeLogs, _records, names)


def metric_requests(function: str) -> st.SearchStrategy[ExportMetricsServiceRequest]:
    """Return requests with metric points of one function."""
    names = ("resource_metrics", "scope_metrics", "metrics")
    return _requests(function, ExportMetricsServiceRequest, ResourceMetrics, ScopeMetrics, _metrics, names)
