"""A trace on its way to the browser: columns, head, panel of a span, OTLP/JSON."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from components import count, links, texts
from faasight_dashboards.figures.waterfall import COLD, ERROR, INIT, LINKED, LOG, UNDO, WAIT, waterfall
from faasight_dashboards.otlp_json import otlp_json
from faasight_dashboards.views.span_panel import panel
from faasight_dashboards.views.trace_head import head
from faasight_dashboards.views.trace_rows import trace_rows
from faasight_store.types import LogRow, Span, SpanEvent, SpanLink, Trace, TraceRow
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

MS = 1_000_000
START = 1_790_000_000_000 * MS
A, B = "a" * 32, "b" * 32
HOSTILE = "<img src=x onerror=alert(1)>"


def moment(ms: float) -> datetime:
    return datetime.fromtimestamp((START + ms * MS) / 1e9, UTC)


ROOT = Span(
    trace_id=A,
    span_id="1" * 16,
    parent_span_id="",
    trace_state="",
    service="checkout",
    name="POST /checkout",
    kind=2,
    start_ns=START,
    duration_ns=100 * MS,
    status=2,
    status_message="",
    scope_name="faasight",
    resource={"faas.name": "checkout", "cloud.region": "eu-west-1"},
    attributes={"faas.invocation_id": "r-1", "faas.coldstart": "true", "http.request.method": "POST"},
    events=[
        SpanEvent(
            moment(90),
            "exception",
            {"exception.type": "CardDeclined", "exception.message": HOSTILE, "exception.stacktrace": "Traceback"},
        ),
        SpanEvent(moment(40), "cache.miss", {"key": "cart:1"}),
    ],
)
INIT_SPAN = replace(
    ROOT,
    span_id="2" * 16,
    parent_span_id="1" * 16,
    name="INIT",
    kind=1,
    start_ns=START - 250 * MS,
    duration_ns=240 * MS,
    status=0,
    attributes={"faasight.phase": "init"},
    events=[],
)
SEND = replace(
    ROOT,
    span_id="3" * 16,
    parent_span_id="1" * 16,
    name="send orders",
    kind=4,
    start_ns=START + 20 * MS,
    duration_ns=10 * MS,
    status=0,
    attributes={},
    events=[],
)
PROCESS = replace(
    ROOT,
    trace_id=B,
    span_id="4" * 16,
    name="process orders",
    service="payment",
    kind=5,
    start_ns=START + 400 * MS,
    status=0,
    attributes={"faas.invocation_id": "r-2", "faasight.queue_wait_ms": "370"},
    events=[],
    links=[SpanLink(A, "3" * 16, {})],
)
LINE = LogRow(moment(30), START + 30 * MS, "ERROR", "checkout", HOSTILE, "r-1", A, "1" * 16, {"order": "12"})
TRACE = Trace([A, B], [INIT_SPAN, ROOT, SEND, PROCESS], [LINE], 0.0000042, truncated=False)


def test_columns_tell_the_tree_in_reading_order() -> None:
    columns = waterfall(TRACE, selected="3" * 16)
    names = [columns["names"][i] for i in columns["name"]]
    assert names == ["POST /checkout", "INIT", "send orders", "process orders", HOSTILE]
    assert columns["parent"] == [-1, 0, 0, 2, 0]
    assert columns["depth"] == [0, 1, 1, 2, 1]
    assert (columns["trace"], columns["selected"]) == (A, "3" * 16)


def test_times_are_microseconds_from_the_first_start() -> None:
    columns = waterfall(TRACE)
    assert columns["start"] == [250_000, 0, 270_000, 650_000, 280_000]
    assert columns["length"] == [100_000, 240_000, 10_000, 100_000, 0]


def test_flags_tell_errors_cold_starts_inits_links_and_log_lines() -> None:
    assert waterfall(TRACE)["flags"] == [ERROR | COLD, INIT, 0, LINKED, LOG | ERROR]


def test_compensations_are_marked_and_counted() -> None:
    """A saga's way back: states that are reached only after an error."""
    undone = replace(SEND, attributes={**SEND.attributes, "faasight.step": "compensation"})
    trace = replace(TRACE, spans=[INIT_SPAN, ROOT, undone, PROCESS])
    assert waterfall(trace)["flags"][2] == UNDO
    assert "1 compensation" in texts(head(trace))
    assert "compensation" not in str(texts(head(TRACE)))


def test_a_message_waits_from_its_sending() -> None:
    assert waterfall(TRACE)["wait"] == {3: 280_000}


def test_a_wait_that_is_a_span_is_drawn_once() -> None:
    wait = replace(
        PROCESS,
        span_id="5" * 16,
        parent_span_id="4" * 16,
        name="queue wait orders",
        kind=1,
        start_ns=START + 30 * MS,
        duration_ns=370 * MS,
        attributes={"faasight.phase": "wait"},
        links=[],
    )
    columns = waterfall(replace(TRACE, spans=[INIT_SPAN, ROOT, SEND, wait, PROCESS], logs=[]))
    assert columns["wait"] == {}
    assert [columns["names"][i] for i in columns["name"]][-2:] == ["process orders", "queue wait orders"]
    assert columns["flags"][-1] == WAIT


def test_without_a_told_wait_a_message_waits_from_the_end_of_its_sending() -> None:
    untold = replace(PROCESS, attributes={})
    assert waterfall(replace(TRACE, spans=[INIT_SPAN, ROOT, SEND, untold]))["wait"] == {3: 280_000}


@pytest.mark.parametrize("nonsense", ["soon", "", "nan?"])
def test_a_wait_that_is_no_number_does_no_harm(nonsense: str) -> None:
    odd = replace(PROCESS, kind=1, attributes={"faasight.queue_wait_ms": nonsense})
    assert waterfall(replace(TRACE, spans=[ROOT, odd]))["wait"] == {}


def test_a_log_line_older_than_its_trace_stands_at_its_start() -> None:
    early = replace(LINE, ts_ns=START - 5000 * MS)
    assert waterfall(replace(TRACE, logs=[early]))["start"][1] == 0


def test_events_and_the_critical_path_are_told_by_row() -> None:
    columns = waterfall(TRACE)
    assert columns["events"] == {0: [[340_000, "exception"], [290_000, "cache.miss"]]}
    assert columns["critical"][3] == [650_000, 750_000]


def test_the_head_tells_what_happened_how_long_and_what_it_cost() -> None:
    told = texts(head(TRACE))
    assert {"POST /checkout", "1 error", "1 cold start", "1 linked trace", "750 ms", "$0.0000042", A} <= set(told)
    assert " · 4 spans · 2 services · depth 3 · " in told


def test_the_head_says_when_a_trace_was_cut() -> None:
    assert "cut" in texts(head(replace(TRACE, truncated=True)))
    assert "cut" not in texts(head(TRACE))


def test_the_panel_tells_all_of_a_span() -> None:
    told = texts(panel(TRACE, "1" * 16))
    assert {"POST /checkout", "Error", "Cold start", "server", "CardDeclined", HOSTILE, "Traceback"} <= set(told)
    assert {"http.request.method", "POST", "cache.miss", "key=cart:1", "cloud.region", "eu-west-1"} <= set(told)
    assert "+40 ms" in told


def test_self_time_is_without_children() -> None:
    told = texts(panel(TRACE, "1" * 16))
    assert told[told.index("Self time") + 1] == "90 ms"


def test_the_panel_leads_on_to_links_function_and_logs() -> None:
    assert links(panel(TRACE, "4" * 16)) == [
        f"/traces/{A}?span={'3' * 16}",
        "/functions/checkout",
        "/logs?q=request_id%3A%22r-2%22",
    ]


def test_the_panel_of_no_span_says_what_to_do() -> None:
    assert "Select a span" in texts(panel(TRACE, ""))


def test_a_span_with_a_thousand_attributes_stays_small() -> None:
    wordy = replace(ROOT, attributes={f"key.{i:04}": "value" for i in range(1000)})
    shown = panel(replace(TRACE, spans=[wordy]), "1" * 16)
    assert count(shown) < 200
    assert "and 960 more" in texts(shown)


def test_otlp_json_is_what_an_otlp_reader_reads() -> None:
    request = ExportTraceServiceRequest()
    sent = otlp_json(TRACE)
    # Protobuf's own JSON form has ids in base64, OTLP's in hex: that is the one difference.
    for resource_spans in sent["resourceSpans"]:
        for scope in resource_spans["scopeSpans"]:
            for span in scope["spans"]:
                for owner in (span, *span.get("links", [])):
                    for key in ("traceId", "spanId", "parentSpanId"):
                        if key in owner:
                            assert len(bytes.fromhex(owner.pop(key))) in (8, 16)
    ParseDict(sent, request)
    spans = {span.name: span for group in request.resource_spans for scope in group.scope_spans for span in scope.spans}
    assert spans.keys() == {"POST /checkout", "INIT", "send orders", "process orders"}
    root = spans["POST /checkout"]
    assert (root.start_time_unix_nano, root.end_time_unix_nano) == (START, START + 100 * MS)
    assert (root.kind, root.status.code) == (2, 2)
    assert root.events[0].time_unix_nano == START + 90 * MS
    assert {pair.key: pair.value.string_value for pair in root.attributes}["http.request.method"] == "POST"


def test_rows_of_the_list_scale_their_bars_by_the_longest() -> None:
    rows = trace_rows(
        [
            TraceRow(A, moment(0), 250.0, 3, 0, 0, "checkout", HOSTILE, ["checkout", "payment"]),
            TraceRow(B, moment(9), 1000.0, 5, 1, 1, "payment", "process", ["payment"]),
        ]
    )
    assert [row["share"] for row in rows] == [0.25, 1.0]
    assert rows[0]["name"] == HOSTILE
    assert rows[0]["services"] == "checkout, payment"


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ('{"a":{"b":"ä"}}', '{\n  "a": {\n    "b": "ä"\n  }\n}'),
        ("{broken", "{broken"),
        (f'"{HOSTILE}"', f'"{HOSTILE}"'),
    ],
)
def test_payloads_are_shown_as_json_or_as_they_are(kept: str, told: str) -> None:
    span = replace(ROOT, attributes={"faasight.event": kept, "other": "x"})
    shown = texts(panel(replace(TRACE, spans=[span]), "1" * 16))
    assert shown[shown.index("Event") + 2] == told
    assert "faasight.event" not in shown
    assert "Result" not in shown


def test_what_has_only_begun_is_not_called_ok() -> None:
    span = replace(ROOT, status=0, attributes={"faasight.phase": "start"}, events=[])
    shown = texts(panel(replace(TRACE, spans=[span]), "1" * 16))
    assert "Has not ended" in shown
    assert "OK" not in shown
