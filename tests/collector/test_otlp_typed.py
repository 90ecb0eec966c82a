"""Usual OTLP/JSON on its short way: the same bytes as on the general one, or left to it."""

import json
from typing import Any

import pytest
from faasight_collector import admit, otlp_json, otlp_typed
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

REQUESTS = {"traces": ExportTraceServiceRequest, "logs": ExportLogsServiceRequest}
SPAN: dict[str, Any] = {
    "traceId": "5b8efff798038103d269b633813fc60c",
    "spanId": "eee19b7ec3c1b174",
    "parentSpanId": "eee19b7ec3c1b173",
    "traceState": "a=b",
    "flags": 257,
    "name": "GET /caf\u00e9 \U0001f600",
    "kind": 2,
    "startTimeUnixNano": "1544712660000000000",
    "endTimeUnixNano": 1544712661000000000,
    "attributes": [
        {"key": "text", "value": {"stringValue": "value"}},
        {"key": "long", "value": {"stringValue": "x" * 5000}},
        {"key": "empty", "value": {"stringValue": ""}},
        {"key": "yes", "value": {"boolValue": True}},
        {"key": "no", "value": {"boolValue": False}},
        {"key": "int", "value": {"intValue": "-9223372036854775808"}},
        {"key": "zero", "value": {"intValue": 0}},
        {"key": "double", "value": {"doubleValue": -0.5}},
        {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {}, {"intValue": "3"}]}}},
        {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"stringValue": "v"}}, {}]}}},
        {"key": "nothing"},
        {"key": "null", "value": None},
        {"value": {}},
        {},
    ],
    "droppedAttributesCount": 4294967295,
    "events": [{"timeUnixNano": "1", "name": "e", "attributes": [{"key": "a"}], "droppedAttributesCount": 1}, {}],
    "droppedEventsCount": 2,
    "links": [{"traceId": "0a", "spanId": "0b", "traceState": "c", "attributes": [{}], "flags": 1}, {}],
    "droppedLinksCount": 3,
    "status": {"message": "m", "code": 2},
}
RECORD: dict[str, Any] = {
    "timeUnixNano": "1544712660000000000",
    "observedTimeUnixNano": 1544712661000000000,
    "severityNumber": 17,
    "severityText": "ERROR",
    "body": {"stringValue": "line"},
    "attributes": SPAN["attributes"],
    "droppedAttributesCount": 1,
    "flags": 1,
    "traceId": "5b8efff798038103d269b633813fc60c",
    "spanId": "eee19b7ec3c1b174",
    "eventName": "event",
}
OTHERS: dict[str, Any] = {
    "resource": {"attributes": SPAN["attributes"], "droppedAttributesCount": 300},
    "schemaUrl": "https://schema",
    "scope": {"name": "n", "version": "v", "attributes": [{"key": "a"}], "droppedAttributesCount": 5},
}


def request_of(signal: str, element: Any, **others: Any) -> bytes:
    outer, inner, name = {
        "traces": ("resourceSpans", "scopeSpans", "spans"),
        "logs": ("resourceLogs", "scopeLogs", "logRecords"),
    }[signal]
    of_scope = {key: others[key] for key in ("scope", "schemaUrl") if key in others}
    of_resource = {key: others[key] for key in ("resource", "schemaUrl") if key in others}
    return json.dumps({outer: [{**of_resource, inner: [{**of_scope, name: [element]}]}]}).encode()


def short_way(signal: str, body: bytes) -> bytes | None:
    return otlp_typed.encode(REQUESTS[signal].DESCRIPTOR.full_name, body)


def general_way(signal: str, body: bytes, monkeypatch: pytest.MonkeyPatch) -> bytes:
    with monkeypatch.context() as patch:
        patch.setattr(otlp_typed, "encode", lambda *_: None)
        return otlp_json.encode(REQUESTS[signal], body)


@pytest.mark.parametrize(("signal", "element"), [("traces", SPAN), ("logs", RECORD)])
def test_all_fields_are_written_as_protobuf_writes_them(
    signal: str, element: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = request_of(signal, element, **OTHERS)
    written = short_way(signal, body)
    assert written is not None
    assert written == general_way(signal, body, monkeypatch)
    assert written == REQUESTS[signal].FromString(written).SerializeToString()
    assert written == admit.json(signal, body)


@pytest.mark.parametrize(
    "unusual",
    [
        {"fromTheFuture": 1},
        {"trace_id": "00"},
        {"kind": "SPAN_KIND_CLIENT"},
        {"kind": -1},
        {"kind": 1.5},
        {"flags": 1 << 32},
        {"traceId": "xyz"},
        {"traceId": 5},
        {"startTimeUnixNano": -1},
        {"startTimeUnixNano": str(1 << 64)},
        {"startTimeUnixNano": "soon"},
        {"name": "half an emoji \ud83d"},
        {"attributes": {}},
        {"attributes": [None]},
        {"attributes": [{"key": "k", "value": {"intValue": 1 << 63}}]},
        {"attributes": [{"key": "k", "value": {"bytesValue": "AAAA"}}]},
        {"attributes": [{"key": "k", "value": {"doubleValue": "NaN"}}]},
    ],
    ids=str,
)
def test_what_is_unusual_is_left_to_the_general_way(unusual: dict[str, Any]) -> None:
    assert short_way("traces", request_of("traces", {"name": "n"})) is not None
    assert short_way("traces", request_of("traces", {"name": "n"} | unusual)) is None


def test_values_nested_deep_are_left_to_the_general_way() -> None:
    value: dict[str, Any] = {"stringValue": "deep"}
    for _ in range(40):
        value = {"arrayValue": {"values": [value]}}
    assert short_way("traces", request_of("traces", {"attributes": [{"key": "k", "value": value}]})) is None
    deep = b'{"arrayValue":{"values":[' * 30_000 + b"{}" + b"]}}" * 30_000
    text = request_of("traces", {"attributes": [{"value": {}}]}).replace(b"{}", deep)
    assert short_way("traces", text) is None


def test_messages_of_other_kinds_are_not_known_here() -> None:
    assert otlp_typed.encode("opentelemetry.proto.metrics.v1.Metric", b"{}") is None


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 65), 1 << 65),
    st.sampled_from([0, 1, "", "1", "-1", "00ff", " 7 ", "1_0", 2.0, 1e30, "SPAN_KIND_SERVER", "x" * 600]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
)
_MEMBERS = ("stringValue", "boolValue", "intValue", "doubleValue")
# One member at most: of several, which no sender means, each way takes another.
_LEAVES = st.one_of(
    st.just({}),
    st.text(max_size=300).map(lambda text: {"stringValue": text}),
    st.builds(lambda name, value: {name: value}, st.sampled_from(_MEMBERS), _SCALARS),
)


def _nested(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    many = st.lists(values, max_size=3)
    pairs = st.lists(st.fixed_dictionaries({}, optional={"key": _SCALARS, "value": values}), max_size=3)
    return many.map(lambda found: {"arrayValue": {"values": found}}) | pairs.map(
        lambda found: {"kvlistValue": {"values": found}}
    )


_VALUES = st.recursive(_LEAVES, _nested, max_leaves=4)
_PAIRS = st.lists(st.fixed_dictionaries({}, optional={"key": st.text(max_size=140), "value": _VALUES}), max_size=3)


def _objects(element: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects with any of the fields of one, each as it is there or as something else."""
    fields = {
        name: _PAIRS if name == "attributes" else _VALUES if name == "body" else st.just(value) | _SCALARS
        for name, value in element.items()
    }
    return st.fixed_dictionaries({}, optional=fields)


@effort(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(
    st.sampled_from(["traces", "logs"]).flatmap(
        lambda s: st.tuples(st.just(s), _objects(SPAN if s == "traces" else RECORD))
    )
)
def test_what_goes_the_short_way_is_what_the_general_way_makes_of_it(case: tuple[str, dict[str, Any]]) -> None:
    signal, element = case
    body = request_of(signal, element)
    written = short_way(signal, body)
    if written is not None:
        with pytest.MonkeyPatch.context() as patch:
            assert written == general_way(signal, body, patch)
