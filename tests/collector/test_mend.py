"""Half a character, or a number too large: it is mended, and everything else in the request is kept."""

import json

import pytest
from faasight_collector import admit, mend
from faasight_collector.errors import Refusal
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

HALF = b"\xed\xa0\xbd"  # of an emoji, as writers that do not look put it


def message(name: str = "name", state: str = "state") -> bytes:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    span = scope.spans.add(name=name, trace_state=state, trace_id=b"\xff" * 16, flags=7)
    span.attributes.append(KeyValue(key="k", value=AnyValue(bytes_value=HALF)))
    span.events.add(name="event")
    return request.SerializeToString()


@pytest.mark.parametrize("place", ["name", "state", "event", "k"])
def test_a_string_that_is_no_utf8_is_mended_alone(place: str) -> None:
    body = message("name" if place != "name" else "abc", "state" if place != "state" else "abc")
    needle = b"abc" if place in ("name", "state") else {"event": b"event", "k": b"k"}[place]
    bad = HALF[: len(needle)] + needle[3:]
    admitted = admit.protobuf("traces", body.replace(needle, bad))
    span = ExportTraceServiceRequest.FromString(admitted).resource_spans[0].scope_spans[0].spans[0]
    texts = {"name": span.name, "state": span.trace_state, "event": span.events[0].name, "k": span.attributes[0].key}
    assert "\ufffd" in texts.pop(place)
    assert not any("\ufffd" in text for text in texts.values())
    assert (span.trace_id, span.flags, span.attributes[0].value.bytes_value) == (b"\xff" * 16, 7, HALF)


def test_a_string_in_the_depth_is_mended_too() -> None:
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add()
    record.body.array_value.values.add().kvlist_value.values.add(key="abc").value.string_value = "abc"
    mended = admit.protobuf("logs", request.SerializeToString().replace(b"abc", HALF))
    found = ExportLogsServiceRequest.FromString(mended).resource_logs[0].scope_logs[0].log_records[0]
    (pair,) = found.body.array_value.values[0].kvlist_value.values
    assert "\ufffd" in pair.key
    assert "\ufffd" in pair.value.string_value


def test_what_is_cut_stays_refused() -> None:
    with pytest.raises(Refusal):
        admit.protobuf("traces", message().replace(b"name", HALF + b"e")[:-3])


def only_name(text: str) -> str:
    """Return a span's name after its JSON, given as it stands between the quotes, was admitted."""
    body = f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"name":"{text}"}}]}}]}}]}}'
    request = ExportTraceServiceRequest.FromString(admit.json("traces", body.encode()))
    name: str = request.resource_spans[0].scope_spans[0].spans[0].name
    return name


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        (r"\ud83d", "\ufffd"),
        (r"a\uDC00b", "a\ufffdb"),
        (r"\ud83d\ude00\ud83d", "😀\ufffd"),
        (r"\ud83d\ud83d\ude00", "\ufffd😀"),
        (r"\ude00\ud83d", "\ufffd\ufffd"),
        (r"\\ud83d \ud83d", "\\ud83d \ufffd"),  # an escaped backslash begins no escape
        (r"\\\ud83d", "\\\ufffd"),
    ],
)
def test_a_lone_surrogate_in_json_is_mended(escaped: str, text: str) -> None:
    assert only_name(escaped) == text


def only_value(text: str) -> AnyValue:
    """Return the value that JSON, as it is, makes of an attribute."""
    body = f'{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"k","value":{text}}}]}}}}]}}'
    request = ExportTraceServiceRequest.FromString(admit.json("traces", body.encode()))
    value: AnyValue = request.resource_spans[0].resource.attributes[0].value
    return value


@pytest.mark.parametrize(
    "number", ["1e21", "100000000000000000000", "-1e+20", "9223372036854775808", '"1e20"', "1.5e300"]
)
def test_an_integer_beyond_64_bits_is_the_double_that_it_is(number: str) -> None:
    assert only_value(f'{{"intValue": {number}}}') == AnyValue(double_value=float(number.strip('"')))


@pytest.mark.parametrize("number", ["9223372036854775807", '"-9223372036854775808"', "0"])
def test_integers_of_64_bits_stay_what_they_are(number: str) -> None:
    """Also where something else in the document is mended."""
    body = f'{{"arrayValue":{{"values":[{{"intValue":{number}}},{{"intValue":1e21}}]}}}}'
    first, second = only_value(body).array_value.values
    assert (first.int_value, second.double_value) == (int(number.strip('"')), 1e21)


def test_what_a_string_says_is_no_integer() -> None:
    text = json.dumps({"stringValue": '"intValue":1e21 \\"intValue\\": 1e21'})
    body = f'{{"arrayValue":{{"values":[{text},{{"intValue":1e21}}]}}}}'
    assert only_value(body).array_value.values[0].string_value == '"intValue":1e21 \\"intValue\\": 1e21'


def test_a_point_beyond_64_bits_is_a_double_too() -> None:
    body = b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[{"asInt":1e30}]}}]}]}]}'
    request = ExportMetricsServiceRequest.FromString(admit.json("metrics", body))
    assert request.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points[0].as_double == 1e30


def test_other_faults_of_json_are_still_refused() -> None:
    with pytest.raises(Refusal, match="not a valid"):
        admit.json("traces", rb'{"resourceSpans": "\ud83d"}')


@given(st.text(st.characters(categories=["Cs", "Lu", "Po", "So"])))
def test_halves_alone_change_and_nothing_else(text: str) -> None:
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert json.loads(mend.json_text(json.dumps(text).encode())) == whole


def test_a_large_document_is_mended_too() -> None:
    """One that is converted in pieces."""
    spans = ",".join(f'{{"name":"{"x" * 1000}"}}' for _ in range(2000))
    body = f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans},{{"name":"\\ud83d"}}]}}]}}]}}'
    request = ExportTraceServiceRequest.FromString(admit.json("traces", body.encode()))
    names = [span.name for top in request.resource_spans for scoped in top.scope_spans for span in scoped.spans]
    assert (len(names), names[-1]) == (2001, "\ufffd")
