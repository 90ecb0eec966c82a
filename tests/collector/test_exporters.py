"""The official OpenTelemetry exporters send, the real engine stores: what was sent is what is there."""

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
import requests
from faasight_collector import Collector
from faasight_store import Store
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

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


WAYS = [Way(grpc, gzip) for grpc in (False, True) for gzip in (False, True)]
by_every_way = pytest.mark.parametrize(
    "way", WAYS, ids=lambda way: f"{'grpc' if way.grpc else 'http'}{'-gzip' * way.gzip}"
)


def rows(store: Store, sql: str, **parameters: object) -> Sequence[tuple[Any, ...]]:
    return store.query(sql, parameters)


@by_every_way
def test_spans(
    shared_store: Store, start_collector: StartCollector, eventually: Eventually, way: Way, unique: str
) -> None:
    collector = start_collector(shared_store)
    exporter = (GrpcSpanExporter if way.grpc else HttpSpanExporter)(**way.options(collector, "/v1/traces"))
    provider = TracerProvider(resource=Resource({"service.name": "shop", "faas.name": unique}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    attributes = {"zero": 0, "no": False, "empty": "", "text": "żółw 🐢", "big": (1 << 63) - 1, "list": [1, 2]}
    with provider.get_tracer("t").start_as_current_span("outer", attributes=attributes) as outer:
        with provider.get_tracer("t").start_as_current_span("inner"):
            pass
        outer.add_event("happened", {"n": 1})
    provider.shutdown()
    columns = "name, hex(trace_id), hex(span_id), attributes"
    find = f"SELECT {columns} FROM spans WHERE function = {{function:String}} ORDER BY name DESC"
    eventually(lambda: len(rows(shared_store, find, function=unique)) == 2)
    stored, _ = rows(shared_store, find, function=unique)
    context = outer.get_span_context()
    assert stored[:3] == ("outer", f"{context.trace_id:032X}", f"{context.span_id:016X}")
    assert stored[3] == {
        "zero": "0", "no": "false", "empty": "", "text": "żółw 🐢", "big": "9223372036854775807", "list": "[1,2]",
    }  # fmt: skip


@by_every_way
def test_logs(
    shared_store: Store, start_collector: StartCollector, eventually: Eventually, way: Way, unique: str
) -> None:
    collector = start_collector(shared_store)
    exporter = (GrpcLogExporter if way.grpc else HttpLogExporter)(**way.options(collector, "/v1/logs"))
    provider = LoggerProvider(resource=Resource({"service.name": unique}))
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    provider.get_logger("payments").emit(body="it is late ⏰", severity_text="WARN", attributes={"order": 7})
    provider.shutdown()
    find = "SELECT message, attributes['order'] FROM logs WHERE function = {function:String}"
    eventually(lambda: rows(shared_store, find, function=unique))
    assert rows(shared_store, find, function=unique) == [("it is late ⏰", "7")]


@by_every_way
def test_metrics_are_accepted(collector: Collector, journaled: Callable[..., list[bytes]], way: Way) -> None:
    exporter = (GrpcMetricExporter if way.grpc else HttpMetricExporter)(**way.options(collector, "/v1/metrics"))
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    provider = MeterProvider(metric_readers=[reader], resource=Resource({"service.name": "shop"}))
    provider.get_meter("m").create_counter("orders").add(3)
    provider.get_meter("m").create_histogram("latency").record(0.25)
    provider.shutdown()
    (request,) = journaled(collector, "metrics")
    assert b"orders" in request
    assert b"latency" in request


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
    assert requests.post(f"{url}/v1/traces", json=spans, timeout=10).ok
    lines = [
        {"message": f"line {n}", "level": "ERROR", "function": unique, "request_id": "r-1", "cart": {"items": n}}
        for n in range(3)
    ]
    assert requests.post(f"{url}/v1/json-logs", "\n".join(map(json.dumps, lines)), timeout=10).ok
    measured = {"durationMs": 1000.0, "billedDurationMs": 1000, "memorySizeMB": 128, "maxMemoryUsedMB": 77}
    report = {"requestId": unique, "status": "timeout", "metrics": measured}
    events = [
        {"time": "2026-01-02T03:04:05.678Z", "type": "platform.start", "record": {"requestId": unique, "version": "3"}},
        {"time": "2026-01-02T03:04:05.700Z", "type": "function", "record": "just text\n"},
        {"time": "2026-01-02T03:04:06.678Z", "type": "platform.report", "record": report},
    ]
    headers = {"X-Faasight-Function": unique, "X-Faasight-Region": "eu-west-1", "X-Faasight-Memory-MB": "128"}
    assert requests.post(f"{url}/v1/aws/telemetry", json=events, headers=headers, timeout=10).ok

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
        answer: bytes = channel.unary_unary(method)(body, timeout=20)
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
