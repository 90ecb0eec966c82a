"""OTLP/JSON: what the specification allows is understood, the rest is refused by its field's name."""

import json
import math
from typing import Any

import pytest
from faasight_collector import admit, otlp_pieces, otlp_typed
from faasight_collector.errors import Refusal
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

TRACE, SPAN = "5B8EFFF798038103D269B633813FC60C", "eee19b7ec3c1b174"


@pytest.fixture(params=["usual", "whole", "piece by piece"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Convert every body in all ways: as usual ones are, as small ones with more to them, as large ones by pieces."""
    if request.param != "usual":
        monkeypatch.setattr(otlp_typed, "encode", lambda *_: None)
    if request.param == "piece by piece":
        monkeypatch.setattr(otlp_pieces, "PIECE", -1)


def trace_request(span: dict[str, Any]) -> ExportTraceServiceRequest:
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    return ExportTraceServiceRequest.FromString(admit.json("traces", json.dumps(body).encode()))


def only_span(span: dict[str, Any]) -> Any:
    return trace_request(span).resource_spans[0].scope_spans[0].spans[0]


def value_of(document: Any) -> AnyValue:
    span = only_span({"attributes": [{"key": "k", "value": document}]})
    found: AnyValue = span.attributes[0].value
    return found


def test_ids_are_hexadecimal_in_any_case() -> None:
    span = only_span({"traceId": TRACE, "spanId": SPAN.upper(), "parentSpanId": ""})
    assert (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id) == (TRACE.lower(), SPAN, b"")


@pytest.mark.parametrize("when", [1544712660000000000, "1544712660000000000"])
def test_times_are_numbers_or_strings(when: Any) -> None:
    assert only_span({"startTimeUnixNano": when}).start_time_unix_nano == 1544712660000000000


def test_enums_are_integers_and_names_are_understood_too() -> None:
    assert only_span({"kind": 2, "status": {"code": 2}}).status.code == 2
    assert only_span({"kind": "SPAN_KIND_CLIENT"}).kind == 3


def test_unknown_fields_and_nulls_are_ignored() -> None:
    span = only_span({"name": "n", "fromTheFuture": {"a": [1]}, "traceState": None})
    assert (span.name, span.trace_state) == ("n", "")


def test_snake_case_names_are_understood() -> None:
    assert only_span({"end_time_unix_nano": 7}).end_time_unix_nano == 7


@pytest.mark.parametrize("signal", ["traces", "logs", "metrics"])
def test_an_empty_object_is_an_empty_request(signal: str) -> None:
    assert admit.json(signal, b"{}") == b""


@pytest.mark.parametrize(
    ("document", "kind", "value"),
    [
        ({"stringValue": ""}, "string_value", ""),
        ({"stringValue": "żółw 🐢"}, "string_value", "żółw 🐢"),
        ({"boolValue": False}, "bool_value", False),
        ({"intValue": 0}, "int_value", 0),
        ({"intValue": "-9223372036854775808"}, "int_value", -(1 << 63)),
        ({"intValue": 9223372036854775807}, "int_value", (1 << 63) - 1),
        ({"intValue": 3.0}, "int_value", 3),
        ({"doubleValue": 0}, "double_value", 0.0),
        ({"doubleValue": "Infinity"}, "double_value", math.inf),
        ({"doubleValue": "-Infinity"}, "double_value", -math.inf),
        ({"doubleValue": "1.5"}, "double_value", 1.5),
        ({"bytesValue": "AAEC/w=="}, "bytes_value", b"\x00\x01\x02\xff"),
        ({"bytesValue": "AAEC_w"}, "bytes_value", b"\x00\x01\x02\xff"),
    ],
)
def test_values_keep_their_type(document: Any, kind: str, value: Any) -> None:
    found = value_of(document)
    assert found.WhichOneof("value") == kind
    assert getattr(found, kind) == value


def test_not_a_number() -> None:
    assert math.isnan(value_of({"doubleValue": "NaN"}).double_value)


def test_arrays_and_maps_nest() -> None:
    found = value_of(
        {"arrayValue": {"values": [{"kvlistValue": {"values": [{"key": "a", "value": {"intValue": 1}}]}}]}}
    )
    assert found.array_value.values[0].kvlist_value.values[0].value.int_value == 1


@pytest.mark.parametrize(
    ("span", "named"),
    [
        ({"traceId": "xyz"}, "traceId"),
        ({"traceId": 5}, "traceId"),
        ({"startTimeUnixNano": "soon"}, "startTimeUnixNano"),
        ({"startTimeUnixNano": -1}, "out of range"),
        ({"startTimeUnixNano": 1.5}, "startTimeUnixNano"),
        ({"kind": True}, "kind"),
        ({"name": 5}, "name"),
        ({"attributes": {}}, "attributes"),
        ({"attributes": [5]}, "attributes"),
        ({"attributes": [{"key": "a", "value": {"boolValue": 1}}]}, "boolValue"),
        ({"attributes": [{"key": "a", "value": {"doubleValue": "inf"}}]}, "doubleValue"),
        ({"attributes": [{"key": "a", "value": {"bytesValue": "*"}}]}, "bytesValue"),
    ],
)
def test_wrong_values_are_refused_by_name(span: dict[str, Any], named: str) -> None:
    with pytest.raises(Refusal, match=named) as refused:
        trace_request(span)
    assert (refused.value.http, refused.value.reason) == (400, "corrupt_json")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5", b"null", b'{"resourceSpans": 1}', b"\xff\xfe", b'{"a": NaN}'])
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(Refusal):
        admit.json("traces", body)


def nested(levels: int) -> bytes:
    value = '{"arrayValue":{"values":[' * levels + '{"intValue":1}' + "]}}" * levels
    return f'{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"k","value":{value}}}]}}}}]}}'.encode()


@pytest.mark.parametrize("levels", [60, 300, 100_000])
def test_deep_nesting_is_refused(levels: int) -> None:
    with pytest.raises(Refusal):
        admit.json("traces", nested(levels))


def test_whatever_json_takes_protobuf_takes() -> None:
    """The deepest nesting that is let in parses again: nothing that cannot be read gets into the journal."""
    for levels in range(20, 40):
        try:
            message = admit.json("traces", nested(levels))
        except Refusal:
            break
        admit.protobuf("traces", message)
    else:
        pytest.fail("no limit of depth was met")


REQUESTS = {
    "logs": {
        "resourceLogs": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
                "scopeLogs": [
                    {
                        "scope": {"name": "s", "version": "1"},
                        "logRecords": [
                            {
                                "timeUnixNano": "5",
                                "severityNumber": 9,
                                "body": {"stringValue": "hello"},
                                "traceId": TRACE,
                            }
                        ],
                    }
                ],
            }
        ]
    },
    "metrics": {
        "resourceMetrics": [
            {
                "scopeMetrics": [
                    {
                        "metrics": [
                            {"name": "g", "gauge": {"dataPoints": [{"asDouble": 1.5, "timeUnixNano": "5"}]}},
                            {
                                "name": "h",
                                "histogram": {
                                    "aggregationTemporality": 2,
                                    "dataPoints": [
                                        {"count": "3", "sum": 6, "bucketCounts": ["1", "2"], "explicitBounds": [1]}
                                    ],
                                },
                            },
                        ]
                    }
                ]
            }
        ]
    },
}


def test_logs_and_metrics_have_the_same_rules() -> None:
    logs = ExportLogsServiceRequest.FromString(admit.json("logs", json.dumps(REQUESTS["logs"]).encode()))
    record = logs.resource_logs[0].scope_logs[0].log_records[0]
    assert (record.body.string_value, record.trace_id.hex()) == ("hello", TRACE.lower())
    metrics = ExportMetricsServiceRequest.FromString(admit.json("metrics", json.dumps(REQUESTS["metrics"]).encode()))
    gauge, histogram = metrics.resource_metrics[0].scope_metrics[0].metrics
    assert gauge.gauge.data_points[0].as_double == 1.5
    assert list(histogram.histogram.data_points[0].bucket_counts) == [1, 2]


@given(st.binary(max_size=300))
def test_any_bytes_are_admitted_or_refused(body: bytes) -> None:
    """No input raises anything but Refusal."""
    for take in (admit.json, admit.protobuf):
        try:
            take("traces", body)
        except Refusal as refusal:
            assert refusal.http == 400


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "resourceSpans",
                        "scopeSpans",
                        "spans",
                        "name",
                        "kind",
                        "attributes",
                        "key",
                        "value",
                        "intValue",
                        "arrayValue",
                        "values",
                    ]
                ),
                inner,
            )
        ),
        max_leaves=30,
    )
)
def test_any_document_is_admitted_or_refused(document: Any) -> None:
    """No JSON raises anything but Refusal, and what is admitted is a valid message."""
    try:
        message = admit.json("traces", json.dumps({"resourceSpans": document}).encode())
    except Refusal as refusal:
        assert refusal.http == 400
    else:
        MessageToDict(ExportTraceServiceRequest.FromString(message))
