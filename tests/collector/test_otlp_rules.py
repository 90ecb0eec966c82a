"""What an OTLP receiver must do, rule by rule: each for all three signals, in protobuf and JSON, over HTTP and gRPC.

The rules are those of opentelemetry.io/docs/specs/otlp (stable, 1.x), numbered as in docs/design/collector.md.
"""

import gzip
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
import requests
import zstandard
from faasight_collector import Collector
from google.protobuf.json_format import MessageToDict, Parse
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

StartCollector = Callable[..., Collector]
Journaled = Callable[[Collector, str], list[bytes]]
PROTOBUF, JSON = "application/x-protobuf", "application/json"


@dataclass(frozen=True)
class Signal:
    """A signal with its service, its messages and the smallest request that says something, as JSON."""

    name: str
    service: str
    request: type[Message]
    response: type[Message]
    document: dict[str, Any]

    @property
    def path(self) -> str:
        """Where it is posted."""
        return f"/v1/{self.name}"

    @property
    def method(self) -> str:
        """What is called."""
        return f"/opentelemetry.proto.collector.{self.service}/Export"

    def message(self) -> bytes:
        """Return the request as protobuf, made of the JSON by the official library."""
        document = json.dumps(self.document).replace(TRACE_HEX, TRACE_64).replace(SPAN_HEX, SPAN_64)
        return Parse(document, self.request()).SerializeToString()


# The specification's JSON has ids in hex, protobuf's own has base64.
TRACE_HEX, TRACE_64 = "5B8EFFF798038103D269B633813FC60C", "W47/95gDgQPSabYzgT/GDA=="
SPAN_HEX, SPAN_64 = "EEE19B7EC3C1B174", "7uGbfsPBsXQ="
RESOURCE = {"attributes": [{"key": "service.name", "value": {"stringValue": "my.service"}}]}
SCOPE = {"name": "my.library", "version": "1.0.0", "attributes": [{"key": "k", "value": {"stringValue": "v"}}]}
SPAN = {
    "traceId": TRACE_HEX,
    "spanId": SPAN_HEX,
    "name": "I'm a server span",
    "startTimeUnixNano": "1544712660000000000",
    "endTimeUnixNano": "1544712661000000000",
    "kind": 2,
    "attributes": [{"key": "my.span.attr", "value": {"stringValue": "some value"}}],
}
RECORD = {
    "timeUnixNano": "1544712660300000000",
    "observedTimeUnixNano": "1544712660300000000",
    "severityNumber": 10,
    "severityText": "Information",
    "traceId": TRACE_HEX,
    "spanId": SPAN_HEX,
    "body": {"stringValue": "Example log record"},
    "attributes": [
        {
            "key": "array",
            "value": {"arrayValue": {"values": [{"stringValue": "many"}, {"intValue": "9007199254740993"}]}},
        },
        {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": False}}]}}},
    ],
}
POINTS: dict[str, Any] = {
    "sum": {
        "aggregationTemporality": 1,
        "isMonotonic": True,
        "dataPoints": [
            {"asDouble": 5, "startTimeUnixNano": "1544712660300000000", "timeUnixNano": "1544712660300000000"}
        ],
    },
    "gauge": {"dataPoints": [{"asInt": "-10", "timeUnixNano": "1544712660300000000"}]},
    "histogram": {
        "aggregationTemporality": 1,
        "dataPoints": [{"count": "2", "sum": 2, "bucketCounts": ["1", "1"], "explicitBounds": [1], "min": 0, "max": 2}],
    },
    "exponentialHistogram": {
        "aggregationTemporality": 1,
        "dataPoints": [
            {
                "count": "3",
                "sum": 10,
                "scale": -1,
                "zeroCount": "1",
                "positive": {"offset": 1, "bucketCounts": ["0", "2"]},
            }
        ],
    },
    "summary": {"dataPoints": [{"count": "2", "sum": 3, "quantileValues": [{"quantile": 0.5, "value": 1}]}]},
}
SIGNALS = [
    Signal(
        "traces",
        "trace.v1.TraceService",
        ExportTraceServiceRequest,
        ExportTraceServiceResponse,
        {"resourceSpans": [{"resource": RESOURCE, "scopeSpans": [{"scope": SCOPE, "spans": [SPAN]}]}]},
    ),
    Signal(
        "logs",
        "logs.v1.LogsService",
        ExportLogsServiceRequest,
        ExportLogsServiceResponse,
        {"resourceLogs": [{"resource": RESOURCE, "scopeLogs": [{"scope": SCOPE, "logRecords": [RECORD]}]}]},
    ),
    Signal(
        "metrics",
        "metrics.v1.MetricsService",
        ExportMetricsServiceRequest,
        ExportMetricsServiceResponse,
        {
            "resourceMetrics": [
                {
                    "resource": RESOURCE,
                    "scopeMetrics": [
                        {
                            "scope": SCOPE,
                            "metrics": [{"name": f"my.{kind}", kind: data} for kind, data in POINTS.items()],
                        }
                    ],
                }
            ]
        },
    ),
]
each_signal = pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
each_media = pytest.mark.parametrize("media", [PROTOBUF, JSON])
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.compress,
    "deflate": zlib.compress,
    "identity": bytes,
}


def body_of(signal: Signal, media: str) -> bytes:
    return signal.message() if media == PROTOBUF else json.dumps(signal.document).encode()


def post(collector: Collector, path: str, body: bytes, media: str = PROTOBUF, **headers: str) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.post(
        f"http://{collector.http_address}{path}", body, headers={"content-type": media, **named}, timeout=180
    )


def status_of(answer: requests.Response) -> Status:
    """Return the Status of an error, which must be in the encoding that its content type says."""
    if answer.headers["content-type"] == PROTOBUF:
        return Status.FromString(answer.content)
    assert answer.headers["content-type"] == JSON
    return Parse(answer.content, Status())


# -- 1: paths, services, methods -----------------------------------------------------------------------------------


@each_signal
@each_media
def test_1_each_signal_has_its_path(collector: Collector, journaled: Journaled, signal: Signal, media: str) -> None:
    """And JSON becomes the very message that the official library reads in it."""
    assert post(collector, signal.path, body_of(signal, media), media).status_code == 200
    (accepted,) = journaled(collector, signal.name)
    assert MessageToDict(signal.request.FromString(accepted)) == MessageToDict(
        signal.request.FromString(signal.message())
    )


@each_signal
@pytest.mark.parametrize(
    "compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip, grpc.Compression.Deflate]
)
def test_1_each_signal_has_its_service(
    collector: Collector, journaled: Journaled, signal: Signal, compression: grpc.Compression
) -> None:
    with grpc.insecure_channel(collector.grpc_address, compression=compression) as channel:
        answer = channel.unary_unary(signal.method)(signal.message(), timeout=180)
    assert signal.response.FromString(answer) == signal.response()
    assert journaled(collector, signal.name) == [signal.message()]


# -- 2: content types ------------------------------------------------------------------------------------------------


@each_signal
@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        ("application/json; charset=utf-8", JSON),
        ("Application/JSON;charset=UTF-8", JSON),
        ("application/x-protobuf; proto=x", PROTOBUF),
        ("APPLICATION/X-PROTOBUF", PROTOBUF),
    ],
)
def test_2_parameters_and_case_of_a_type_mean_nothing(
    collector: Collector, signal: Signal, sent: str, answered: str
) -> None:
    answer = post(collector, signal.path, body_of(signal, answered), sent, accept="text/html")
    assert (answer.status_code, answer.headers["content-type"]) == (200, answered)


@each_signal
def test_2_other_types_methods_and_paths(collector: Collector, signal: Signal) -> None:
    url = f"http://{collector.http_address}"
    assert post(collector, signal.path, signal.message(), "text/plain").status_code == 415
    assert post(collector, f"{signal.path}/", signal.message()).status_code == 404
    for method in ("GET", "PUT", "DELETE"):
        answer = requests.request(method, url + signal.path, timeout=180)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


# -- 3: compression and size -----------------------------------------------------------------------------------------


@each_signal
@each_media
@pytest.mark.parametrize("encoding", COMPRESSIONS)
def test_3_every_compression(
    collector: Collector, journaled: Journaled, signal: Signal, media: str, encoding: str
) -> None:
    body = COMPRESSIONS[encoding](body_of(signal, media))
    assert post(collector, signal.path, body, media, content_encoding=encoding.upper()).status_code == 200
    assert len(journaled(collector, signal.name)) == 1


@each_media
@pytest.mark.parametrize("encoding", COMPRESSIONS)
def test_3_the_limit_holds_after_decompression(start_collector: StartCollector, media: str, encoding: str) -> None:
    collector = start_collector(max_body_bytes=100_000)
    answer = post(collector, "/v1/traces", COMPRESSIONS[encoding](bytes(100_001)), media, content_encoding=encoding)
    assert answer.status_code == 413
    assert "100000 bytes" in status_of(answer).message


def test_3_grpc_messages_are_measured_after_decompression(start_collector: StartCollector) -> None:
    """A bomb: 8 MiB of zeros in 8 KiB."""
    collector = start_collector()
    with grpc.insecure_channel(collector.grpc_address, compression=grpc.Compression.Gzip) as channel:
        with pytest.raises(grpc.RpcError) as refused:
            channel.unary_unary(SIGNALS[0].method)(bytes(8 * 1024 * 1024), timeout=180)
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert channel.unary_unary(SIGNALS[0].method)(SIGNALS[0].message(), timeout=180) == b"", "others are served"


# -- 4: success ------------------------------------------------------------------------------------------------------


@each_signal
@pytest.mark.parametrize(("media", "empty"), [(PROTOBUF, b""), (JSON, b"{}")])
def test_4_success_is_the_empty_response(collector: Collector, signal: Signal, media: str, empty: bytes) -> None:
    for body in (body_of(signal, media), empty):
        answer = post(collector, signal.path, body, media)
        assert (answer.status_code, answer.content) == (200, empty)
        parsed = (
            signal.response.FromString(answer.content)
            if media == PROTOBUF
            else Parse(answer.content, signal.response())
        )
        assert not parsed.HasField("partial_success")


# -- 5: errors -------------------------------------------------------------------------------------------------------


@each_signal
@each_media
def test_5_bad_data_is_400_with_a_status_in_the_encoding_of_the_request(
    collector: Collector, signal: Signal, media: str
) -> None:
    answer = post(collector, signal.path, b"\xff\xff", media)
    assert (answer.status_code, answer.headers["content-type"]) == (400, media)
    assert "retry-after" not in answer.headers
    assert status_of(answer).code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert signal.request.DESCRIPTOR.name in status_of(answer).message


@each_signal
@each_media
def test_5_overload_is_503_with_the_time_to_wait(start_collector: StartCollector, signal: Signal, media: str) -> None:
    collector = start_collector(journal_budget_bytes=1)
    answer = post(collector, signal.path, body_of(signal, media), media)
    assert (answer.status_code, answer.headers["content-type"]) == (503, media)
    assert int(answer.headers["retry-after"]) > 0
    status, detail = status_of(answer), RetryInfo()
    assert status.code == grpc.StatusCode.UNAVAILABLE.value[0]
    assert status.details[0].Unpack(detail)
    assert detail.retry_delay.seconds == int(answer.headers["retry-after"])


# -- 6: partial success ----------------------------------------------------------------------------------------------


@each_signal
def test_6_a_passing_fault_is_no_partial_success(start_collector: StartCollector, signal: Signal) -> None:
    """A client must not repeat what a populated partial_success answers: it would be lost."""
    collector = start_collector(journal_budget_bytes=1)
    with grpc.insecure_channel(collector.grpc_address) as channel, pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary(signal.method)(signal.message(), timeout=180)
    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE


# -- 7: JSON ---------------------------------------------------------------------------------------------------------


def _forms(signal: Signal) -> dict[str, Any]:
    """Return the same request in other allowed forms: times as numbers, ids in small letters, more fields."""
    text = json.dumps(signal.document).replace(TRACE_HEX, TRACE_HEX.lower()).replace(SPAN_HEX, SPAN_HEX.lower())
    for time in ("1544712660000000000", "1544712661000000000", "1544712660300000000", "9007199254740993", "-10"):
        text = text.replace(f'"{time}"', time)
    document: dict[str, Any] = json.loads(text)
    document["ofTheFuture"] = {"a": [1, None, {"b": "c"}]}
    next(iter(document.values()))[0]["resource"]["entityRefsOfTheFuture"] = [1]
    return document


@each_signal
def test_7_all_allowed_forms_mean_the_same(collector: Collector, journaled: Journaled, signal: Signal) -> None:
    assert post(collector, signal.path, json.dumps(_forms(signal)).encode(), JSON).status_code == 200
    (accepted,) = journaled(collector, signal.name)
    assert accepted == signal.message()


@each_signal
def test_7_fields_of_a_newer_protobuf_are_accepted(collector: Collector, journaled: Journaled, signal: Signal) -> None:
    newer = signal.message() + b"\xfa\x3f\x03abc"  # field 1023, of a length
    assert post(collector, signal.path, newer).status_code == 200
    assert journaled(collector, signal.name) == [newer]


# -- 8: repetition ---------------------------------------------------------------------------------------------------


@each_signal
@each_media
def test_8_the_same_request_again_is_answered_and_kept_once(
    collector: Collector, journaled: Journaled, signal: Signal, media: str
) -> None:
    for _ in range(3):
        assert post(collector, signal.path, body_of(signal, media), media).status_code == 200
    with grpc.insecure_channel(collector.grpc_address) as channel:
        assert channel.unary_unary(signal.method)(journaled(collector, signal.name)[0], timeout=180) == b""
    assert len(journaled(collector, signal.name)) == 1
