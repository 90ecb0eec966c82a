"""Segments land: decoded whole, once, or not at all."""

import json
import secrets
import time
from pathlib import Path
from typing import Any

import otlp
import pytest
from faasight_store import BadDataError, Store, landing
from faasight_store.queries import logs, traces
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

DAY = 86400 * 10**9
VALUES: dict[str, Any] = {
    "zero": 0,
    "false": False,
    "empty": "",
    "float": 0.0,
    "half": 0.5,
    "negative": -7,
    "true": True,
    "unicode": "Zürich 山 \U0001f600 ' \\ \n",
    "list": ["a", 1, False, 0.5, ""],
    "map": {"k": "v", "n": 0, "no": False},
    "bytes": b"\x00\xff",
    "big": 2**62,
    "deep": {"a": {"b": 1}},
}
TEXTS = {
    "zero": "0",
    "false": "false",
    "empty": "",
    "float": "0",
    "half": "0.5",
    "negative": "-7",
    "true": "true",
    "unicode": VALUES["unicode"],
    "list": '["a",1,false,0.5,""]',
    "map": '{"k":"v","n":0,"no":false}',
    "bytes": "AP8=",
    "big": str(2**62),
}


def _counts(store: Store) -> dict[str, int]:
    """Return what each table holds: rows, and the sums of those that add up."""
    rows = store.query(
        "SELECT name, engine FROM system.tables WHERE database = {database:String} AND engine LIKE '%MergeTree'",
        {"database": store.shape.data},
    )
    sums = {
        "edges": "sum(calls)",
        "edge_hours": "sum(calls)",
        "trace_index": "sum(spans)",
        "metric_sources": "uniqExact(source)",
        "log_patterns": "sum(lines)",
        "attribute_keys": "sum(count)",
        "metric_series": "sum(points)",
        "metric_minutes": "sum(points)",
        "metric_hours": "sum(points)",
        "histogram_minutes": "sum(points)",
        "histogram_hours": "sum(points)",
        "arrivals": "uniqExact(signal)",
        "touched_hours": "sum(facts)",
        "touched_minutes": "sum(near)",
        "function_hours": "uniqExact(hour, function, version)",
    }
    return {name: store.query(f"SELECT {sums.get(name, 'count()')} FROM {name}")[0][0] for name, _ in rows}


def test_few_spans_lie_with_those_of_their_five_minutes_and_many_by_themselves(store: Store) -> None:
    now = time.time_ns()
    for name, count in (("few", 1999), ("many", 2000)):
        store.land("traces", otlp.segment(otlp.traces([otlp.span(name, now, 5) for _ in range(count)])), name)

    rows = store.query(
        "SELECT name, count(), uniqExact(batch), countIf(batch = toStartOfFiveMinutes(received_at)),"
        " countIf(batch = received_at) FROM spans GROUP BY name ORDER BY name"
    )
    assert rows == [("few", 1999, 1, 1999, 0), ("many", 2000, 1, 0, 2000)]


def test_values_of_every_kind_survive(store: Store) -> None:
    now = time.time_ns()
    trace_id = secrets.token_bytes(16)
    span = otlp.span("s", now, 5, attributes=VALUES, trace_id=trace_id, trace_state="faasight=f:a", flags=0x101)
    span.events.add(name="e", time_unix_nano=now).attributes.extend(otlp.attributes(VALUES))
    span.links.add(trace_id=trace_id, span_id=b"12345678").attributes.extend(otlp.attributes(VALUES))
    span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count = 1, 2, 3
    store.land("traces", otlp.segment(otlp.traces([span], otlp.resource(extra=False))), "t")
    store.land("logs", otlp.segment(otlp.logs([{"ts": now, "body": VALUES["map"], "attributes": VALUES}])), "l")

    found = traces.trace(store, trace_id.hex())
    assert found is not None
    (stored,) = found.spans
    for texts in (
        stored.attributes,
        stored.events[0].attributes,
        stored.links[0].attributes,
        logs.tail(store, 0)[0].attributes,
    ):
        assert {key: texts[key] for key in TEXTS} == TEXTS
        assert json.loads(texts["deep"]) == VALUES["deep"]
    assert stored.resource["extra"] == "false"
    assert (stored.start_ns, stored.duration_ns, stored.trace_state) == (now, 5_000_000, "faasight=f:a")
    assert (stored.links[0].trace_id, stored.links[0].span_id) == (trace_id.hex(), b"12345678".hex())
    assert logs.tail(store, 0)[0].message == TEXTS["map"]
    assert list(store.query("SELECT flags, dropped_attributes, dropped_events, dropped_links FROM spans")) == [
        (0x101, 1, 2, 3)
    ]


def _many_blocks(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    whole = landing.settings

    def settings(target: landing.Landing, token: str, schemas: Path | None = None) -> dict[str, str | int]:
        return whole(target, token, schemas) | {
            "max_insert_block_size": rows,
            "min_insert_block_size_rows": 0,
            "min_insert_block_size_bytes": 0,
            "use_strict_insert_block_limits": 1,
        }

    monkeypatch.setattr(landing, "settings", settings)


def test_a_token_again_stores_nothing_twice_in_any_table(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time_ns()
    runs = [otlp.Run(now - i * 10**9, cold=i % 3 == 0, outcome="error" if i % 5 == 0 else "ok") for i in range(24)]
    calls = [otlp.span("c", r.start_ns, 1, 3, attributes={"peer.service": "bank"}, trace_id=r.trace_id) for r in runs]
    for run, call in zip(runs, calls, strict=True):
        call.links.add(trace_id=secrets.token_bytes(16), span_id=run.span_id)
    segments = {
        "traces": otlp.segment(*(run.traces(call) for run, call in zip(runs, calls, strict=True))),
        "records": otlp.records(
            *(r.record(k) for r in runs for k in ("start", "report")), {"kind": "log", "ts": now, "message": "m"}
        ),
        "logs": otlp.segment(*(otlp.logs([{"ts": now, "body": f"b{i}"}]) for i in range(24))),
        "metrics": otlp.segment(_metrics(now)),
    }
    _many_blocks(monkeypatch, 8)
    for signal, segment in segments.items():
        store.land(signal, segment, "token")
    once = _counts(store)
    assert once["spans"] == 24 + 24 + 8
    assert once["invocation_facts"] == 72
    assert once["edges"] == once["edge_hours"] == 48
    assert (once["logs"], once["span_links"], once["metric_points"]) == (25, 48, 6)

    for signal, segment in segments.items():
        store.land(signal, segment, "token")
    assert _counts(store) == once
    store.land("traces", segments["traces"], "another token")
    assert _counts(store)["spans"] == 2 * once["spans"]


def test_a_replay_after_an_insert_of_one_block_stores_nothing(store: Store) -> None:
    run = otlp.Run(time.time_ns())
    for _ in range(3):
        store.land("traces", otlp.segment(run.traces()), "same")
    assert _counts(store)["spans"] == _counts(store)["invocation_facts"] == 1


@pytest.mark.parametrize("signal", ["traces", "logs", "metrics", "records"])
def test_a_broken_segment_is_bad_data_and_stores_nothing(store: Store, signal: str) -> None:
    now = time.time_ns()
    good = {
        "traces": otlp.segment(*(otlp.Run(now).traces() for _ in range(50))),
        "logs": otlp.segment(*(otlp.logs([{"ts": now, "body": "b" * 100}]) for _ in range(50))),
        "metrics": otlp.segment(*(_metrics(now) for _ in range(50))),
        "records": otlp.records(*(otlp.Run(now).record("report") for _ in range(50))),
    }[signal]
    before = _counts(store)
    broken = good[:-20] if signal != "records" else good + b'{"kind": "log", "ts": "not a number"}\n'
    for _ in range(2):
        with pytest.raises(BadDataError, match=f"segment bad of {signal}"):
            store.land(signal, broken, "bad")
    assert _counts(store) == before
    store.land(signal, good, "good")
    assert sum(_counts(store).values()) > sum(before.values())


def test_an_empty_segment_is_fine(store: Store) -> None:
    store.land("traces", b"", "none")
    store.land("traces", otlp.segment(otlp.traces([])), "no spans")
    assert _counts(store)["spans"] == 0


def test_ids_of_a_wrong_length_go_to_quarantine_and_the_rest_is_stored(store: Store) -> None:
    run = otlp.Run(time.time_ns())
    wrong = [
        otlp.span("short", run.start_ns, 1, 2, trace_id=b"1" * 15, attributes={"faas.invocation_id": "x"}),
        otlp.span("long", run.start_ns, 1, 3, trace_id=b"1" * 17, attributes={"peer.service": "x"}),
        otlp.span("span", run.start_ns, 1, span_id=b"1"),
        otlp.span("parent", run.start_ns, 1, parent_span_id=b"123456789"),
    ]
    odd_link = otlp.span("link", run.start_ns, 1)
    odd_link.links.add(trace_id=b"1", span_id=b"2")
    store.land("traces", otlp.segment(run.traces(*wrong, odd_link)), "t")
    assert [row[0] for row in store.query("SELECT name FROM spans ORDER BY name")] == ["invoke", "link"]
    kept = store.query("SELECT name, trace_id, reason FROM quarantine ORDER BY name")
    assert [row[0] for row in kept] == ["long", "parent", "short", "span"]
    assert kept[0][1] == (b"1" * 17).hex()
    assert (_counts(store)["invocation_facts"], _counts(store)["edges"], _counts(store)["trace_index"]) == (1, 1, 2)


@pytest.mark.parametrize("absurd", [0, 1, 2**63, 2**64 - 1, 10**18])
def test_an_absurd_time_is_clamped_and_kept(store: Store, absurd: int) -> None:
    span = otlp.span("s", time.time_ns(), 1)
    span.start_time_unix_nano = absurd
    store.land("traces", otlp.segment(otlp.traces([span])), "t")
    assert list(store.query("SELECT start_ns, abs(dateDiff('second', ts, now64(9))) < 60 FROM spans")) == [
        (absurd, True)
    ]


def test_many_days_in_one_segment_are_fine(store: Store) -> None:
    now = time.time_ns()
    spans = [otlp.span("s", now - day * DAY, 1) for day in range(200)]
    store.land("traces", otlp.segment(otlp.traces(spans)), "t")
    assert _counts(store)["spans"] == 200


def test_records_keep_lines_with_hostile_ids_and_unknown_keys(store: Store) -> None:
    now = time.time_ns()
    store.land(
        "records",
        otlp.records(
            {
                "kind": "log",
                "ts": now,
                "function": "f",
                "level": "warn",
                "message": "m",
                "trace_id": "zz",
                "span_id": "' OR 1",
                "new": [1],
            },
            {"kind": "log", "ts": now, "severity": 17, "message": None, "attributes": {"a": "b"}},
            {"kind": "something else", "ts": now, "message": "of a newer collector"},
        ),
        "r",
    )
    found = {line.message: line for line in logs.tail(store, 0)}
    assert (found["m"].level, found["m"].trace_id, found["m"].span_id) == ("WARN", "", "")
    assert (found[""].level, found[""].attributes) == ("ERROR", {"a": "b"})
    assert len(found) == 2


def _metrics(now: int) -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    of = request.resource_metrics.add()
    of.resource.attributes.extend(otlp.attributes(otlp.resource()))
    metrics = of.scope_metrics.add().metrics
    metrics.add(name="g", unit="1").gauge.data_points.add(
        time_unix_nano=now, as_double=0.0, attributes=otlp.attributes({"a": 0})
    )
    metrics.add(name="i").gauge.data_points.add(time_unix_nano=now, as_int=-3)
    total = metrics.add(name="s").sum
    total.is_monotonic, total.aggregation_temporality = True, 2
    total.data_points.add(time_unix_nano=now, start_time_unix_nano=now - 5, as_int=9)
    histogram = metrics.add(name="h").histogram
    histogram.aggregation_temporality = 1
    histogram.data_points.add(
        time_unix_nano=now, count=3, sum=4.5, bucket_counts=[1, 2], explicit_bounds=[1.0], min=0, max=4
    )
    point = metrics.add(name="e").exponential_histogram.data_points.add(
        time_unix_nano=now, count=2, sum=3, scale=-1, zero_count=1
    )
    point.positive.offset, point.negative.offset = -4, 2
    point.positive.bucket_counts.extend([1, 0, 2])
    summary = metrics.add(name="q").summary.data_points.add(time_unix_nano=now, count=2, sum=3)
    summary.quantile_values.add(quantile=0.5, value=1.5)
    return request
