"""Our encoder against the official one, field by field."""

import time
from typing import Any

import pytest
from faasight import encode, otlp
from faasight.metrics import Point
from faasight.spans import Span
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource

RESOURCE = {"service.name": "checkout", "faas.max_memory": 268_435_456}
TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
KEY = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=12)
INT64 = st.integers(-(2**63), 2**63 - 1)
# Every element is wrapped as the SDK wants it: one type an array.
VALUE = st.one_of(
    TEXT,
    st.booleans(),
    INT64,
    st.floats(allow_nan=False),
    st.lists(TEXT, max_size=3),
    st.lists(INT64, max_size=3),
)
ATTRIBUTES = st.dictionaries(KEY, VALUE, max_size=6)
TIME = st.integers(0, 2**63 - 1)
HEX16 = st.integers(1, 2**64 - 1).map(lambda n: f"{n:016x}")
HEX32 = st.integers(1, 2**128 - 1).map(lambda n: f"{n:032x}")


@st.composite
def spans(draw: Any) -> Span:
    """Draw any span that we could make."""
    attributes = draw(ATTRIBUTES)
    span = Span(draw(TEXT), draw(st.integers(1, 5)), draw(HEX32), draw(st.just("") | HEX16), attributes=attributes)
    span.span_id = draw(HEX16)
    span.start_ns, span.end_ns = draw(TIME), draw(TIME)
    span.status = draw(st.integers(0, 2))
    span.message = draw(TEXT) if span.status == 2 else ""  # the SDK drops the text of any other status
    span.trace_state = draw(st.sampled_from(["", "faasight=f:shop", "faasight=f:shop,vendor=a"]))
    span.events = draw(st.lists(st.tuples(TIME, TEXT, ATTRIBUTES), max_size=3))
    span.links = draw(st.lists(st.tuples(HEX32, HEX16, st.just("")), max_size=3))
    return span


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(st.lists(spans(), min_size=1, max_size=3))
def test_spans_are_what_the_official_encoder_writes(drawn: list[Span]) -> None:
    """All fields but the low flag bits: we say "sampled", as the specification has it; the other says nothing."""
    ours = ExportTraceServiceRequest.FromString(encode.traces(encode.resource(RESOURCE), drawn, "0.1.0"))
    official = encode_spans([otlp.sdk_span(span, Resource(RESOURCE)) for span in drawn])
    for request in (ours, official):
        for span in request.resource_spans[0].scope_spans[0].spans:
            remote_by_kind = span.kind in {2, 5} and span.parent_span_id
            if request is ours:
                assert span.flags == (0x301 if remote_by_kind else 0x101)
            span.flags = 0
            if not span.status.code:
                span.ClearField("status")  # unset is the same as absent; we save the two bytes
            for link in span.links:
                link.flags &= 0x300
    assert ours == official


def test_the_official_parser_leaves_no_unknown_bytes() -> None:
    """What we write comes out of parsing and writing again byte for byte: order and defaults are canonical."""
    span = Span("invoke", 2, "1" * 32, "2" * 16, attributes={"a": "b", "n": 3, "f": 0.5, "t": True, "l": ["x"]})
    span.end_ns = span.start_ns + 5
    span.fail("ValueError", "wrong").event("retry", attempt=2)
    span.links = [("3" * 32, "4" * 16, "faasight=f:shop")]
    body = encode.traces(encode.resource(RESOURCE), [span], "0.1.0")
    parsed = ExportTraceServiceRequest.FromString(body)
    assert parsed.SerializeToString() == body
    assert parsed.resource_spans[0].scope_spans[0].spans[0].links[0].trace_state == "faasight=f:shop"


def encoded_as(attributes: dict[str, Any]) -> tuple[ExportTraceServiceRequest, ExportTraceServiceRequest]:
    """Return a span with these attributes by our encoder, and by the official one."""
    span = Span("n", 1, "1" * 32, attributes=attributes)
    span.end_ns = span.start_ns
    ours = ExportTraceServiceRequest.FromString(encode.traces(encode.resource(RESOURCE), [span], "0.1.0"))
    official = encode_spans([otlp.sdk_span(span, Resource(RESOURCE))])
    for request in (ours, official):
        one = request.resource_spans[0].scope_spans[0].spans[0]
        one.flags = 0
        one.ClearField("status")
    return ours, official


@pytest.mark.parametrize("letter", ["x", "ü", "€"])
def test_texts_of_every_length_around_that_of_one_byte(letter: str) -> None:
    """Short texts are written in one step, whose lengths are one byte each; what is longer in another."""
    for key_length in (1, 12, 60, 117, 126):
        texts = {f"{i:x}".rjust(key_length, "k"): letter * i for i in range(1, 16)}
        texts |= {f"{i:03x}".rjust(key_length, "q"): letter * i for i in range(35, 135)}
        ours, official = encoded_as(texts)
        assert ours == official


def test_numbers_that_are_equal_are_told_apart_by_their_type() -> None:
    """1, True and 1.0 are one key of a dictionary: what is remembered of one must not be written for another."""
    for _ in range(2):
        for values in ([1, True, 1.0, 0, False, 0.0], [False, 0.0, 0, True, 1.0, 1]):
            ours, official = encoded_as({f"k{i}": value for i, value in enumerate(values)})
            assert ours == official


def test_what_the_encoder_remembers_is_bounded() -> None:
    """Keys, numbers and scopes that never come again must not fill the function's memory."""
    for start in range(0, 5_000, 500):
        ours, official = encoded_as({f"key-{n}": n for n in range(start, start + 100)})
        assert ours == official
    assert max(len(encode._keys), len(encode._numbers), len(encode._scopes)) <= encode._MAX_KEYS


def test_merged_requests_are_one_request() -> None:
    """A batch is joined by concatenation, as the protobuf specification allows."""
    bodies = [encode.traces(encode.resource(RESOURCE), [Span(name, 1, "1" * 32)], "0.1.0") for name in ("a", "b")]
    merged = ExportTraceServiceRequest.FromString(b"".join(bodies))
    assert [group.scope_spans[0].spans[0].name for group in merged.resource_spans] == ["a", "b"]


def test_values_that_protobuf_cannot_hold_become_text() -> None:
    """Too large a number, a lone surrogate, None, an object: nothing raises."""
    attributes: dict[str, Any] = {
        "large": 2**70,
        "lone": "a\ud800b",
        "none": None,
        "object": {1},
        "long": "x" * 100_000,
    }
    span = Span("n", 1, "1" * 32, attributes=attributes)
    parsed = ExportTraceServiceRequest.FromString(encode.traces(b"", [span], ""))
    got = {item.key: item.value.string_value for item in parsed.resource_spans[0].scope_spans[0].spans[0].attributes}
    assert got["large"] == str(2**70)
    assert got["lone"] == "a?b"
    assert got["object"] == "{1}"
    assert "none" not in got
    assert len(got["long"]) == 16_384


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    name=KEY,
    kind=st.sampled_from(["sum", "gauge"]),
    value=INT64 | st.floats(allow_nan=False, allow_infinity=False),
    monotonic=st.booleans(),
    dimensions=ATTRIBUTES,
)
def test_metrics_are_what_the_official_encoder_writes(
    name: str, kind: str, value: float, monotonic: bool, dimensions: dict[str, Any]
) -> None:
    """Delta sums and gauges."""
    point = Point(name, kind, "1", dimensions, time.time_ns())
    point.value, point.monotonic = value, monotonic
    ours = ExportMetricsServiceRequest.FromString(encode.metrics(encode.resource(RESOURCE), [point], "0.1.0"))
    official = encode_metrics(otlp.sdk_metrics([point], Resource(RESOURCE)))
    official.resource_metrics[0].scope_metrics[0].scope.version = "0.1.0"
    assert ours == official
