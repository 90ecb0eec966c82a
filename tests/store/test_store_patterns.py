"""Patterns of log lines, attributes for autocomplete, and versions that began to run."""

import secrets
import time
from dataclasses import replace
from datetime import timedelta, timezone
from typing import Any

import otlp
import pytest
from faasight_store import Scope, Store, settle
from faasight_store.queries import deployments, logs, metrics, patterns
from faasight_store.times import HOUR, MINUTE, from_ns
from otlp_metrics import Request

SECOND = 10**9
TEMPLATES = {
    "order 17 accepted for 4bf92f3577b34da6a3ce929d0e0e4736 in 12.5 ms": "order # accepted for # in # ms",
    "GET /orders/0af7651916cd43dd8448eb211c80319c-b7ad/items?page=2 200": "GET /orders/#/items?page=# #",
    "from 10.0.0.7:443 at 2026-11-21T12:00:00.5Z": "from # at #",
    "nothing varies here": "nothing varies here",
    "Größe 3 änderte sich 山": "Größe # änderte sich 山",
    "": "",
}


def _scope(start: int, length: int) -> Scope:
    return Scope(from_ns(start), from_ns(start + length))


def _lines(at: int, *messages: str, **more: Any) -> bytes:
    return otlp.records(
        *(
            {"kind": "log", "ts": at + i, "function": "f", "level": "INFO", "message": m, **more}
            for i, m in enumerate(messages)
        )
    )


@pytest.mark.parametrize("message", TEMPLATES)
def test_a_template_leaves_out_what_varies(shared_store: Store, message: str) -> None:
    function, now = f"f{secrets.token_hex(4)}", time.time_ns()
    shared_store.land("records", _lines(now, message, function=function), secrets.token_hex(8))
    (found,) = patterns.patterns(shared_store, _scope(now - HOUR, 2 * HOUR), function=function)
    assert (found.template, found.sample, found.lines) == (TEMPLATES[message], message, 1)


def test_counts_are_exact_at_any_edge_under_replays_and_late_lines(store: Store) -> None:
    begin = (time.time_ns() // HOUR - 3) * HOUR
    times = [begin + i * 7 * SECOND for i in range(500)]
    lines = [{"kind": "log", "ts": at, "function": f"f{i % 2}", "level": "WARN" if i % 5 == 0 else "INFO",
              "message": f"item {i} {'kept' if i % 3 else 'lost'}"} for i, at in enumerate(times)]  # fmt: skip
    for _ in range(2):
        for part in range(3):
            store.land("records", otlp.records(*lines[part::3][::-1]), f"p{part}")
    store.land("logs", otlp.segment(otlp.logs([{"ts": begin, "body": "item 7 kept"}])), "otlp")
    for start, length in ((0, HOUR), (1, HOUR - 2), (91 * SECOND, 33 * MINUTE), (61 * SECOND, 20 * SECOND), (0, 1)):
        scope = _scope((begin + start) // 1000 * 1000, length // 1000 * 1000)
        inside = [i for i, at in enumerate(times) if scope.start <= from_ns(at) < scope.end]
        found = {p.template: p for p in patterns.patterns(store, scope)}
        more = 1 if scope.start <= from_ns(begin) < scope.end else 0
        kept, lost = sum(1 for i in inside if i % 3) + more, sum(1 for i in inside if i % 3 == 0)
        assert {name: p.lines for name, p in found.items()} == {
            name: n for name, n in (("item # kept", kept), ("item # lost", lost)) if n
        }
        if lost:
            ours = [times[i] for i in inside if i % 3 == 0]
            assert (found["item # lost"].first_seen, found["item # lost"].last_seen) == (
                from_ns(ours[0]),
                from_ns(ours[-1]),
            )
    whole = _scope(begin, HOUR)
    assert {p.template: p.levels for p in patterns.patterns(store, whole)}["item # lost"] == ["INFO", "WARN"]
    assert [p.template for p in patterns.patterns(store, whole, rare=True)] == ["item # lost", "item # kept"]
    assert sum(p.lines for p in patterns.patterns(store, whole, level="WARN")) == 100
    assert [p.functions for p in patterns.patterns(store, whole, search="LOST", function="f1")] == [["f1"]]
    (rare,) = patterns.patterns(store, whole, limit=1)
    assert rare.template == "item # kept"


def test_a_line_carries_its_pattern(store: Store) -> None:
    now = time.time_ns()
    store.land("records", _lines(now, "order 1 sent", "order 2 sent", "order 3 lost"), "t")
    found = patterns.patterns(store, _scope(now - HOUR, 2 * HOUR))
    (row,) = store.query("SELECT count() FROM logs WHERE pattern = {p:UInt64}", {"p": found[0].pattern})
    assert (found[0].lines, row[0]) == (2, 2)
    assert len(logs.tail(store, 0)) == 3


def test_attribute_keys_of_spans_and_logs(store: Store) -> None:
    now = time.time_ns()
    spans = [
        otlp.span("s", now, 1, attributes={"common": i, **({"rare": "x" * 500} if i == 7 else {})}) for i in range(60)
    ]
    for _ in range(2):
        store.land("traces", otlp.segment(otlp.traces(spans)), "t")
        store.land("records", _lines(now, "a", "b", attributes={"user": "ü", "cart": ""}), "r")
    scope = _scope(now - HOUR, 2 * HOUR)
    common, rare = patterns.attribute_keys(store, scope, "spans")
    assert (common.key, common.count, rare.key, rare.count) == ("common", 60, "rare", 1)
    assert set(common.some) <= {str(i) for i in range(60)}
    assert 1 <= len(common.some) <= 20
    assert rare.some == ["x" * 100]
    assert [(k.key, k.count, k.some) for k in patterns.attribute_keys(store, scope, "logs")] == [
        ("cart", 2, [""]),
        ("user", 2, ["ü"]),
    ]
    assert [k.key for k in patterns.attribute_keys(store, scope, "spans", "ra")] == ["rare"]
    assert patterns.attribute_keys(store, scope, "logs", "' OR 1=1 --") == []


@pytest.mark.parametrize(("hour", "zone"), [(1, -5), (22, 5)])
def test_days_are_those_of_utc_whatever_zone_the_scope_is_in(store: Store, hour: int, zone: int) -> None:
    at = (time.time_ns() // (24 * HOUR) - 1) * 24 * HOUR + hour * HOUR
    store.land("records", _lines(at, "m", attributes={"user": "1"}), "r")
    store.land("metrics", Request().add("gauge", "g", [{"time_unix_nano": at, "as_double": 1.0}]).segment(), "m")
    there = timezone(timedelta(hours=zone))
    scope = Scope(from_ns(at - HOUR // 2).astimezone(there), from_ns(at + HOUR // 2).astimezone(there))
    assert [k.key for k in patterns.attribute_keys(store, scope, "logs")] == ["user"]
    assert [m.metric for m in metrics.metrics(store, scope)] == ["g"]


def test_many_values_of_a_key_stay_few(store: Store) -> None:
    now = time.time_ns()
    for i in range(30):
        store.land("records", _lines(now, "m", attributes={"id": str(i)}), f"t{i}")
    store.command("OPTIMIZE TABLE attribute_keys FINAL")
    (key,) = patterns.attribute_keys(store, _scope(now - HOUR, 2 * HOUR), "logs")
    assert (key.count, len(key.some)) == (30, 20)
    assert len(store.query("SELECT some FROM attribute_keys")[0][0]) == 20


def _ran(at: int, version: str, function: str = "f", **more: Any) -> otlp.Run:
    return otlp.Run(at, function=function, attributes={"test.version": version}, **more)


def _land(store: Store, runs: list[otlp.Run], token: str) -> None:
    requests = []
    for run in runs:
        request = run.traces()
        for attribute in request.resource_spans[0].resource.attributes:
            if attribute.key == "faas.version":
                attribute.value.string_value = str(run.attributes["test.version"])
        requests.append(request)
    store.land("traces", otlp.segment(*requests), token)


def test_deployments_are_versions_that_begin_to_run(store: Store) -> None:
    begin = (time.time_ns() // HOUR - 100) * HOUR
    story = [(0, "1"), (1, "1"), (2, "2"), (2.1, "1"), (2.2, "2"), (3, "1"), (4, "2"), (50, "2"), (51, "1"), (52, "3")]
    runs = [_ran(begin + int(hour * HOUR), version) for hour, version in story]
    runs.append(_ran(begin + 2 * HOUR, "9", "other"))
    for _ in range(2):
        _land(store, runs[::-1], "t")
    scope = _scope(begin - HOUR, 90 * HOUR)
    found = deployments.deployments(store, scope, "f")
    assert [(d.version, d.previous, d.kind, d.at) for d in found] == [
        ("1", "", "first", from_ns(begin)),
        ("2", "1", "new", from_ns(begin + 2 * HOUR)),
        ("1", "2", "return", from_ns(begin + 51 * HOUR)),
        ("3", "1", "new", from_ns(begin + 52 * HOUR)),
    ]
    assert [d.function for d in deployments.deployments(store, scope)] == ["f", "f", "other", "f", "f"]
    later = _scope(begin + 52 * HOUR, HOUR)
    assert [(d.version, d.previous) for d in deployments.deployments(store, later)] == [("3", "1")]
    assert deployments.deployments(store, replace(later, environment="elsewhere")) == []


def test_versions_of_settled_minutes_are_those_of_their_facts(store: Store) -> None:
    at = time.time_ns() - 30 * MINUTE
    _land(store, [_ran(at + i * MINUTE, str(i % 2), ms=100 + i, cold=i == 0) for i in range(20)], "t")
    before = deployments.versions(store, _scope(at, 25 * MINUTE), "f")
    assert [row.invocations for row in before] == [10, 10]
    settle(store)
    assert store.query("SELECT count() FROM settled_invocations")[0][0]
    after = deployments.versions(store, _scope(at, 25 * MINUTE), "f")
    assert [replace(row, cost_usd=0) for row in after] == [replace(row, cost_usd=0) for row in before]
    assert [row.cost_usd for row in after] == pytest.approx([row.cost_usd for row in before])


def test_before_and_after_and_canary_against_stable(store: Store) -> None:
    at = (time.time_ns() // HOUR - 2) * HOUR
    old = [_ran(at - i * MINUTE, "1", ms=100) for i in range(1, 11)]
    new = [_ran(at + i * MINUTE, "2", ms=200, outcome="error" if i % 2 else "ok", cold=i == 0) for i in range(10)]
    canary = [_ran(at - 5 * SECOND, "2", ms=50)]
    _land(store, [*old, *new, *canary], "t")
    told = deployments.compare(store, "f", from_ns(at), timedelta(minutes=30))
    assert told.before is not None
    assert told.after is not None
    assert (told.before.invocations, told.before.errors, told.before.p50_ms) == (11, 0, 100)
    assert (told.after.invocations, told.after.errors, told.after.p95_ms, told.after.cold_starts) == (10, 5, 200, 1)
    assert told.after.init_p95_ms == 250
    newest, stable = deployments.versions(store, _scope(at - HOUR, 2 * HOUR), "f")
    assert [(v.version, v.invocations) for v in (newest, stable)] == [("2", 11), ("1", 10)]
    assert stable.cost_usd == pytest.approx(10 * (2e-7 + 0.1 * 0.5 * 0.0000166667))
    nothing = deployments.compare(store, "f", from_ns(at + 50 * MINUTE), timedelta(minutes=1))
    assert (nothing.before, nothing.after) == (None, None)
