"""The official OpenTelemetry exporters send, the real engine stores: what was sent is what is there."""

import json
import math
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
import requests
import stored_otlp
from faasight_collector import Collector
from faasight_store import Store
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter
from opentelemetry.metrics import Observation
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

StartCollector = Callable[..., Collector]
Eventually = Callable[[Callable[[], object]], None]
MakeTraces = Callable[..., bytes]


@dataclass(frozen=True)
class Way:
    """One protocol with one compression."""

    grpc: bool
    gzip: bool

    def options(self, collector: Collector, path: str) -> dict[str, Any]:
        """Return what the exporters of this way take."""
        if self.grpc:
            compression = grpc.Compression.Gzip if self.gzip else grpc.Compression.NoCompression
            return {"endpoint": f"http://{collector.grpc_address}", "insecure": True, "compression": compression}
        compression = Compression.Gzip if self.gzip else Compression.NoCompression
        return {"endpoint": f"http://{collector.http_address}{path}", "compression": compression}


START = time.time_ns() - 10_000_000_000
WAYS = [Way(grpc, gzip) for grpc in (False, True) for gzip in (False, True)]
by_every_way = pytest.mark.parametrize(
    "way", WAYS, ids=lambda way: f"{'grpc' if way.grpc else 'http'}{'-gzip' * way.gzip}"
)


def rows(store: Store, sql: str, **parameters: object) -> Sequence[tuple[Any, ...]]:
    return store.query(sql, parameters)


# What Python's SDK takes as an attribute, and as what it sends it.
VALUES: dict[str, Any] = {
    "zero": 0, "no": False, "yes": True, "empty": "", "digits": "0", "text": "żółw 🐢 \x00 \n", "largest": 2**63 - 1,
    "least": -(2**63), "above": 2**53 + 1, "float": 1.0, "tiny": 5e-324, "minus zero": -0.0, "nan": math.nan,
    "infinite": -math.inf, "list": [1, 2], "texts": ["a", "", "0"], "floats": [0.0, math.nan], "none": [],
}  # fmt: skip
NESTED: dict[str, Any] = {"bytes": b"\x00\xff", "map": {"list": [1, [0.5, {"k": False}]], "empty": {}, "nothing": None}}


def tags(sent: Mapping[str, Any]) -> dict[str, stored_otlp.Tagged]:
    return {key: stored_otlp.tagged(value) for key, value in sorted(sent.items())}


@by_every_way
def test_spans(
    shared_store: Store, start_collector: StartCollector, eventually: Eventually, way: Way, unique: str
) -> None:
    collector = start_collector(shared_store)
    exporter = (GrpcSpanExporter if way.grpc else HttpSpanExporter)(**way.options(collector, "/v1/traces"))
    resource = Resource({"service.name": "shop", "faas.name": unique, "cpus": 2}, "https://example.com/resource")
    provider = TracerProvider(resource=resource, span_limits=SpanLimits(max_links=1, max_events=1))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("t", "1.2", "https://example.com/scope", {"of": "scope", "n": 1})
    state = TraceState([("faasight", "f:a"), ("vendor", "x")])
    parent = SpanContext(secrets.randbits(128), secrets.randbits(64), True, TraceFlags(1), state)
    links = [Link(SpanContext(secrets.randbits(128), secrets.randbits(64), is_remote=True), {"n": n}) for n in range(2)]
    context = set_span_in_context(NonRecordingSpan(parent))
    span = tracer.start_span("outer", context, SpanKind.CONSUMER, VALUES, links, start_time=START)
    span.add_event("dropped", {"n": 1})
    span.add_event("happened", {"n": 0, "ok": False}, timestamp=START + 5)
    span.set_status(StatusCode.ERROR, "it broke")
    span.end(START + 1_000_000)
    provider.shutdown()
    eventually(lambda: stored_otlp.stored_spans(shared_store, unique))
    (stored,) = stored_otlp.stored_spans(shared_store, unique)
    assert stored["attributes"] == tags(VALUES)
    assert stored["trace_id"] == f"{parent.trace_id:032x}"
    assert stored["parent"] == f"{parent.span_id:016x}"
    assert stored["trace_state"] == "faasight=f:a,vendor=x"
    assert (stored["kind"], stored["status"]) == (5, (2, "it broke"))
    assert (stored["start"], stored["duration"]) == (START, 1_000_000)
    assert stored["events"] == [(START + 5, "happened", tags({"n": 0, "ok": False}), 0)]
    assert stored["links"][0][0] == f"{links[1].context.trace_id:032x}"
    assert stored["links"][0][3] == tags({"n": 1})
    assert stored["dropped"] == (0, 1, 1)
    assert (stored["resource"]["cpus"], stored["resource_url"]) == (("int", 2), "https://example.com/resource")
    assert (stored["scope"], stored["scope_url"]) == (("t", "1.2"), "https://example.com/scope")
    assert stored["scope_attributes"] == tags({"of": "scope", "n": 1})


@by_every_way
def test_logs(
    shared_store: Store, start_collector: StartCollector, eventually: Eventually, way: Way, unique: str
) -> None:
    collector = start_collector(shared_store)
    exporter = (GrpcLogExporter if way.grpc else HttpLogExporter)(**way.options(collector, "/v1/logs"))
    provider = LoggerProvider(resource=Resource({"service.name": unique}))
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    logger = provider.get_logger("payments", "1.2", "https://example.com/scope", {"of": "scope"})
    bodies = ["it is late ⏰", "", 0, False, 1.0, [1, "a"], NESTED, b"\x00\xff"]
    for n, body in enumerate(bodies):
        logger.emit(
            body=body,
            timestamp=START + n,
            observed_timestamp=START + 100,
            severity_number=SeverityNumber.WARN2,
            severity_text="WARNING",
            attributes={**VALUES, **NESTED},
            event_name="checked",
        )
    provider.shutdown()
    eventually(lambda: len(stored_otlp.stored_logs(shared_store, unique)) == len(bodies))
    stored = sorted(stored_otlp.stored_logs(shared_store, unique), key=lambda line: line["time"])
    assert [line["body"] for line in stored] == [stored_otlp.tagged(body) for body in bodies]
    for n, line in enumerate(stored):
        assert line["attributes"] == tags({**VALUES, **NESTED})
        assert (line["time"], line["observed"]) == (START + n, START + 100)
        assert (line["severity"], line["event"]) == ((14, "WARNING"), "checked")
        assert (line["scope"], line["scope_url"]) == (("payments", "1.2"), "https://example.com/scope")


@by_every_way
def test_metrics(
    shared_store: Store,
    start_collector: StartCollector,
    journaled: Callable[..., list[bytes]],
    eventually: Eventually,
    way: Way,
    unique: str,
) -> None:
    collector = start_collector(shared_store)
    options = way.options(collector, "/v1/metrics") | {"timeout": 180}
    exporter = (GrpcMetricExporter if way.grpc else HttpMetricExporter)(**options)
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000, export_timeout_millis=180_000)
    exponential = View(instrument_name="sizes", aggregation=ExponentialBucketHistogramAggregation())
    resource = Resource({"service.name": "shop", "faas.name": unique})
    provider = MeterProvider(metric_readers=[reader], resource=resource, views=[exponential])
    meter = provider.get_meter("m", "1.2", "https://example.com/scope", {"of": "scope"})
    labels = {
        key: value for key, value in VALUES.items() if key not in ("nan", "floats")
    }  # equal to nothing, a series each
    meter.create_counter("orders", "{order}", "how many").add(3, labels)
    meter.create_counter("largest").add(2**63 - 1)
    meter.create_up_down_counter("queued").add(-0.5)
    meter.create_gauge("zero").set(0)
    meter.create_observable_gauge("observed", [lambda _: [Observation(5e-324)]])  # (NaN and infinities it never sends)
    latency = meter.create_histogram("latency", "ms", explicit_bucket_boundaries_advisory=[0.0, 5.0, 10.0])
    sizes = meter.create_histogram("sizes")
    context = SpanContext(secrets.randbits(128), secrets.randbits(64), is_remote=False, trace_flags=TraceFlags(1))
    for value in (0.0, 4.0, 7.5, 1e9):
        latency.record(value, context=set_span_in_context(NonRecordingSpan(context)))
        sizes.record(value)
    provider.shutdown(180_000)
    eventually(lambda: len(stored_otlp.stored_points(shared_store, unique)) == 7)
    points = stored_otlp.stored_points(shared_store, unique)
    assert {(point["metric"][0], *point["kind"], point["value"]) for point in points} == {
        ("orders", "sum", 2, True, ("int", 3)),
        ("largest", "sum", 2, True, ("int", 2**63 - 1)),
        ("queued", "sum", 2, False, ("double", repr(-0.5))),
        ("zero", "gauge", 0, False, ("int", 0)),
        ("observed", "gauge", 0, False, stored_otlp.tagged(5e-324)),
        ("latency", "histogram", 2, False, stored_otlp.tagged(1e9 + 11.5)),
        ("sizes", "exponential_histogram", 2, False, stored_otlp.tagged(1e9 + 11.5)),
    }
    of = {point["metric"][0]: point for point in points}
    assert of["orders"]["attributes"] == tags(labels)
    assert of["orders"]["metric"] == ("orders", "{order}", "how many")
    assert (of["latency"]["bounds"], of["latency"]["counts"]) == (["0.0", "5.0", "10.0"], [1, 1, 1, 1])
    assert {exemplar["ids"][0] for exemplar in of["latency"]["exemplars"]} == {f"{context.trace_id:032x}"}
    assert (of["sizes"]["count"], of["sizes"]["zero"][0], sum(of["sizes"]["positive"][1])) == (4, 1, 3)
    requests = map(ExportMetricsServiceRequest.FromString, journaled(collector, "metrics"))
    assert points == stored_otlp.sent_points(*requests), "the store has all that was accepted"


def test_all_doors_lead_to_the_same_tables(
    shared_store: Store, start_collector: StartCollector, eventually: Eventually, unique: str
) -> None:
    """OTLP in JSON, JSON logs and Lambda telemetry, each seen in the store."""
    collector = start_collector(shared_store)
    url = f"http://{collector.http_address}"
    trace_id = secrets.token_hex(16)
    span = {
        "traceId": trace_id.upper(),
        "spanId": "00f067aa0ba902b7",
        "name": "json",
        "startTimeUnixNano": "17" + "0" * 17,
    }
    spans = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    assert requests.post(f"{url}/v1/traces", json=spans, timeout=180).ok
    lines = [
        {"message": f"line {n}", "level": "ERROR", "function": unique, "request_id": "r-1", "cart": {"items": n}}
        for n in range(3)
    ]
    assert requests.post(f"{url}/v1/json-logs", "\n".join(map(json.dumps, lines)), timeout=180).ok
    measured = {"durationMs": 1000.0, "billedDurationMs": 1000, "memorySizeMB": 128, "maxMemoryUsedMB": 77}
    report = {"requestId": unique, "status": "timeout", "metrics": measured}
    events = [
        {"time": "2026-01-02T03:04:05.678Z", "type": "platform.start", "record": {"requestId": unique, "version": "3"}},
        {"time": "2026-01-02T03:04:05.700Z", "type": "function", "record": "just text\n"},
        {"time": "2026-01-02T03:04:06.678Z", "type": "platform.report", "record": report},
    ]
    headers = {"X-Faasight-Function": unique, "X-Faasight-Region": "eu-west-1", "X-Faasight-Memory-MB": "128"}
    assert requests.post(f"{url}/v1/aws/telemetry", json=events, headers=headers, timeout=180).ok

    find_logs = (
        "SELECT message, level, attributes['cart'] FROM logs WHERE function = {function:String} ORDER BY message"
    )
    find_facts = """SELECT witness, outcome, region, memory_used_mb FROM invocation_facts
        WHERE request_id = {function:String} ORDER BY witness"""
    eventually(lambda: len(rows(shared_store, find_logs, function=unique)) == 4)
    eventually(lambda: len(rows(shared_store, find_facts, function=unique)) == 2)
    find_span = "SELECT name FROM spans WHERE trace_id = unhex({id:String})"
    eventually(lambda: rows(shared_store, find_span, id=trace_id) == [("json",)])
    assert rows(shared_store, find_logs, function=unique)[:2] == [
        ("just text", "INFO", ""),
        ("line 0", "ERROR", '{"items":0}'),
    ]
    assert rows(shared_store, find_facts, function=unique) == [
        ("start", "", "eu-west-1", None),
        ("report", "timeout", "eu-west-1", 77.0),
    ]


# -- gRPC's own errors ------------------------------------------------------------------------------------------------

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def call(collector: Collector, body: bytes, method: str = EXPORT) -> bytes:
    with grpc.insecure_channel(collector.grpc_address) as channel:
        answer: bytes = channel.unary_unary(method)(body, timeout=180)
        return answer


def test_an_accepted_call_answers_the_empty_message(
    collector: Collector, make_traces: MakeTraces, journaled: Callable[..., list[bytes]]
) -> None:
    body = make_traces(3)
    assert call(collector, body) == b""
    assert call(collector, b"") == b""
    assert journaled(collector, "traces") == [body]


def test_bad_data_is_an_invalid_argument(collector: Collector) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        call(collector, b"\xff\xff")
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "ExportTraceServiceRequest" in refused.value.details()


def test_an_unknown_service_is_unimplemented(collector: Collector) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        call(collector, b"", EXPORT.replace("Trace", "Profiles"))
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_message_beyond_the_limit_is_refused_and_not_to_be_repeated(
    collector: Collector, make_traces: MakeTraces
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        call(collector, make_traces(80_000))
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "grpc-status-details-bin" not in dict(refused.value.trailing_metadata())


def test_overload_is_unavailable_with_the_time_to_wait(
    start_collector: StartCollector, make_traces: MakeTraces
) -> None:
    collector = start_collector(journal_budget_bytes=1_000)
    with pytest.raises(grpc.RpcError) as refused:
        call(collector, make_traces(100))
    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
    status = Status.FromString(dict(refused.value.trailing_metadata())["grpc-status-details-bin"])
    detail = RetryInfo()
    assert status.details[0].Unpack(detail)
    assert detail.retry_delay.seconds > 0
