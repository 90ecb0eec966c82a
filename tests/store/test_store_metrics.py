"""Metrics: every point is kept as it was sent, and its figures are right from whichever table they come."""

import json
import math
import random
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import metrics_history
import otlp
import pytest
from faasight_store import QueryError, Scope, Store
from faasight_store.queries import metrics
from faasight_store.times import HOUR, MINUTE, from_ns
from faasight_store.values import key_values
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar
from otlp_metrics import CUMULATIVE, DELTA, Request

SECOND = 10**9
HUGE = [0, -1, 2**53 + 1, 2**63 - 1, -(2**63)]
ODD = [0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324, 1.7976931348623157e308, 0.1]
Counter = tuple[list[dict[str, Any]], list[tuple[int, int]]]  # points; when it rose, by how much


def _same(stored: Sequence[float | None], sent: Sequence[float | None]) -> bool:
    return [math.nan if v is None else v.hex() for v in map(_known, stored)] == [
        math.nan if v is None else v.hex() for v in map(_known, sent)
    ]


def _known(value: float | None) -> float | None:
    return None if value is None else float(value)


def _hour(hours_ago: int = 5) -> int:
    """Return the start of a whole hour in ns."""
    return (time.time_ns() // HOUR - hours_ago) * HOUR


def _scope(start: int, length: int) -> Scope:
    return Scope(from_ns(start), from_ns(start + length))


def test_numbers_survive_whatever_they_are(store: Store) -> None:
    now = time.time_ns()
    floats = [{"time_unix_nano": now + i, "as_double": v, "attributes": {"i": i}} for i, v in enumerate(ODD)]
    ints = [{"time_unix_nano": now + i, "as_int": v, "attributes": {"i": i}} for i, v in enumerate(HUGE)]
    nothing = {"time_unix_nano": now, "flags": 1}
    request = Request().add("gauge", "floats", floats).add("gauge", "ints", ints).add("gauge", "none", [nothing])
    store.land("metrics", request.segment(), "t")

    rows = store.query("SELECT value, int_value, event_ns FROM metric_points WHERE metric = 'floats' ORDER BY event_ns")
    assert _same([row[0] for row in rows], ODD)
    assert [row[1:] for row in rows] == [(None, now + i) for i in range(len(ODD))]
    rows = store.query("SELECT int_value, value FROM metric_points WHERE metric = 'ints' ORDER BY event_ns")
    assert [(i, v) for i, v in rows] == [(i, float(i)) for i in HUGE]
    assert list(store.query("SELECT value, int_value, flags FROM metric_points WHERE metric = 'none'")) == [
        (None, None, 1)
    ]


def test_histograms_and_summaries_survive(store: Store) -> None:
    now = time.time_ns()
    bounds = [-math.inf, -1.5, 0.0, 0.1, 1e300]
    plain = {
        "time_unix_nano": now, "start_time_unix_nano": now - 5, "count": 2**63, "sum": math.nan, "min": -0.0,
        "max": 9.5, "bucket_counts": [2**62, 0, 1, 0, 5, 2**61], "explicit_bounds": bounds,
    }  # fmt: skip
    without = {"time_unix_nano": now, "count": 0, "attributes": {"of": "nothing"}}
    exponential = {
        "time_unix_nano": now, "count": 2, "sum": -3.0, "scale": -10, "zero_count": 1, "zero_threshold": 0.25,
        "positive": {"offset": -(2**31), "bucket_counts": [1, 0, 2**63]},
        "negative": {"offset": 2**31 - 1, "bucket_counts": [7]},
    }  # fmt: skip
    summary = {
        "time_unix_nano": now, "count": 2, "sum": 3.0,
        "quantile_values": [{"quantile": 0.5, "value": math.inf}, {"quantile": 0.99, "value": 0.0}],
    }  # fmt: skip
    request = Request().add("histogram", "h", [plain, without]).add("exponential_histogram", "e", [exponential])
    store.land("metrics", request.add("summary", "q", [summary]).segment(), "t")

    rows = store.query(
        "SELECT count, value, low, high, bounds, bucket_counts, start_ns FROM metric_points WHERE metric = 'h'"
        " ORDER BY count DESC"
    )
    assert rows[0][0] == 2**63
    assert _same([rows[0][1], rows[0][2], rows[0][3], *rows[0][4]], [math.nan, -0.0, 9.5, *bounds])
    assert (rows[0][5], rows[0][6]) == (plain["bucket_counts"], now - 5)
    assert tuple(rows[1]) == (0, None, None, None, [], [], 0), "what was not sent is no 0"
    assert list(
        store.query(
            "SELECT count, value, scale, zero_count, zero_threshold, positive_offset, bucket_counts, negative_offset,"
            " negative_counts FROM metric_points WHERE metric = 'e'"
        )
    ) == [(2, -3.0, -10, 1, 0.25, -(2**31), [1, 0, 2**63], 2**31 - 1, [7])]
    assert list(store.query("SELECT count, value, bounds, quantile_values FROM metric_points WHERE metric = 'q'")) == [
        (2, 3.0, [0.5, 0.99], [math.inf, 0.0])
    ]


def test_what_a_metric_is_and_who_sends_it(store: Store) -> None:
    now = time.time_ns()
    point = {"time_unix_nano": now, "as_int": 1, "attributes": {"b": "2", "a": 0, "c": False}}
    turned = {**point, "attributes": {"c": False, "a": 0, "b": "2"}}
    swapped = {**point, "attributes": {"a": "2", "b": 0, "c": False}}
    request = Request().add("sum", "orders", [point, turned, swapped], unit="{order}").add("gauge", "other", [point])
    store.land("metrics", request.segment(), "t")
    scope = _scope(now - MINUTE, 2 * MINUTE)

    orders, other = metrics.metrics(store, scope)
    assert (orders.metric, orders.kind, orders.unit, orders.temporality) == ("orders", "sum", "{order}", "cumulative")
    assert (orders.description, orders.monotonic, orders.functions) == ("what orders means", True, ["checkout"])
    assert (orders.series, orders.points, orders.first_seen, orders.last_seen) == (2, 3, from_ns(now), from_ns(now))
    assert (other.kind, other.temporality, other.series) == ("gauge", "", 1)
    assert [m.metric for m in metrics.metrics(store, scope, "ORDERS means")] == ["orders"]
    assert metrics.metrics(store, Scope(scope.start, scope.end, "elsewhere")) == []

    first, second = metrics.series(store, scope, "orders")
    assert {frozenset(first.attributes.items()), frozenset(second.attributes.items())} == {
        frozenset({"a": "0", "b": "2", "c": "false"}.items()),
        frozenset({"a": "2", "b": "0", "c": "false"}.items()),
    }
    assert first.resource["faas.instance"] == "i-1"
    keys = {label.key: (label.values, label.some) for label in metrics.labels(store, scope, "orders")}
    assert keys["a"] == (2, ["0", "2"])
    assert keys["function"] == (1, ["checkout"])
    ((origin, name),) = store.query("SELECT DISTINCT origin, scope_name FROM metric_sources")
    assert key_values(json.loads(origin)["scope_attributes"]) == {"of": "scope"}
    assert json.loads(origin)["resource_schema_url"].endswith("schemas/1.27.0")
    assert name == "meter"


def test_exemplars_lead_to_their_traces(store: Store) -> None:
    now = time.time_ns()
    exemplars = [
        Exemplar(
            time_unix_nano=now - 1, as_int=2**60, trace_id=b"t" * 16, span_id=b"s" * 8,
            filtered_attributes=otlp.attributes({"user": "ü", "n": 3}),
        ),
        Exemplar(time_unix_nano=now, as_double=0.5),
    ]  # fmt: skip
    point = {"time_unix_nano": now, "as_int": 1, "exemplars": exemplars}
    store.land("metrics", Request().add("sum", "m", [point]).segment(), "t")
    (found,) = metrics.exemplars(store, _scope(now - MINUTE, 2 * MINUTE), "m")
    assert (found.ts, found.value) == (from_ns(now - 1), float(2**60))
    assert (found.trace_id, found.span_id) == ((b"t" * 16).hex(), (b"s" * 8).hex())
    assert found.attributes == {"user": "ü", "n": "3"}
    kept = store.query("SELECT exemplars.value, exemplars.int_value FROM metric_points")
    assert [tuple(row) for row in kept] == [([float(2**60), 0.5], [2**60, None])]


def test_a_gauge_by_label(store: Store) -> None:
    start = _hour()
    points = [
        {
            "time_unix_nano": start + i * MINUTE,
            "as_double": float(i * (10 if pool == "b" else 1)),
            "attributes": {"p": pool},
        }
        for i in range(60)
        for pool in "ab"
    ]
    bad = [
        {"time_unix_nano": start + i, "as_double": v, "attributes": {"p": "a"}}
        for i, v in enumerate([math.nan, math.inf])
    ]
    store.land("metrics", Request().add("gauge", "g", [*points, *bad]).segment(), "t")
    scope = _scope(start, HOUR)
    by_pool = metrics.query(store, scope, "g", "avg", group_by=("p",), buckets=2)
    assert [(line.labels["p"], line.values) for line in by_pool.lines] == [("b", [145.0, 445.0]), ("a", [14.5, 44.5])]
    assert (by_pool.kind, by_pool.unit, by_pool.step_s, by_pool.truncated) == ("gauge", "1", 1800, False)
    figures = {
        name: metrics.query(store, scope, "g", name, buckets=2).lines[0].values
        for name in ("min", "max", "sum", "last", "count")
    }
    assert figures == {
        "min": [0, 30], "max": [290, 590], "sum": [29 * 11, 59 * 11], "last": [29 * 11, 59 * 11], "count": [60, 60],
    }  # fmt: skip
    only = metrics.query(store, scope, "g", "max", where={"p": "a", "function": "checkout"}, buckets=1)
    assert [line.values for line in only.lines] == [[59]]
    assert metrics.query(store, scope, "g", group_by=("p",), limit=1).truncated
    assert metrics.query(store, scope, "g", where={"p": "c"}).lines == []
    assert metrics.query(store, scope, "nothing").kind == ""
    with pytest.raises(QueryError, match="p95"):
        metrics.query(store, scope, "g", "p95")


def _counter(rng: random.Random, start: int, length: int, *, told: bool) -> Counter:
    """Return a counter's points, now and then begun anew, and when it rose by how much (told: with a new start)."""
    points, rises = [], []
    at, began, value = start + rng.randrange(MINUTE), start, 0
    while at < start + length:
        if rng.random() < 0.1:
            began, value = (at - 1 if told else began), 0
        rise = rng.randrange(1, 100)
        value += rise
        rises.append((at, rise))
        points.append({"time_unix_nano": at, "start_time_unix_nano": began, "as_int": value})
        at += rng.randrange(SECOND, 90 * SECOND)
    return points, rises


@pytest.mark.parametrize("told", [True, False])
def test_increases_are_exact_from_every_table_in_any_order_and_once(store: Store, *, told: bool) -> None:
    rng, start, length = random.Random(11), _hour(20), 14 * HOUR + 17 * MINUTE
    expected: list[tuple[int, int]] = []
    segments = []
    for i in range(3):
        points, rises = _counter(rng, start, length, told=told)
        if not told:  # an unannounced fall must show as one: never to a value above the last
            points, rises = _falls_only(points)
        for point in points:
            point["attributes"] = {"i": i}
        expected += rises
        rng.shuffle(points)
        segments += [Request().add("sum", "c", points[k::4]).segment() for k in range(4)]
    rng.shuffle(segments)
    for _ in range(2):
        for i, segment in enumerate(segments):
            store.land("metrics", segment, f"s{i}")
    for begin, step in (
        (start, 7 * HOUR),
        (start + 123, 7 * HOUR),
        (start + 31 * MINUTE, 5 * MINUTE),
        (start + 3 * HOUR, 30 * SECOND),
    ):
        buckets = min((start + length - begin) // step, 100)
        found = metrics.query(store, _scope(begin, buckets * step), "c", "increase", buckets=buckets)
        (line,) = found.lines
        wanted = [sum(n for at, n in expected if begin <= at < begin + buckets * step)]
        assert sum(v or 0 for v in line.values) == wanted[0], (begin - start, step)
        if step < HOUR:
            exact = [
                sum(n for at, n in expected if begin + i * step <= at < begin + (i + 1) * step) for i in range(buckets)
            ]
            assert [v or 0 for v in line.values] == exact


def _falls_only(points: list[dict[str, Any]]) -> Counter:
    """Return the points and what can be seen to rise: a value below the one before counts from 0."""
    rises, before = [], 0
    for point in points:
        value = point["as_int"]
        rises.append((point["time_unix_nano"], value - before if value >= before else value))
        before = value
    return points, rises


def test_a_delta_sum_adds_up_and_a_level_does_not(store: Store) -> None:
    start = _hour()
    deltas = [{"time_unix_nano": start + i * SECOND, "as_int": 3} for i in range(600)]
    levels = [
        {"time_unix_nano": start + i * MINUTE, "start_time_unix_nano": start, "as_int": 5 - i % 3} for i in range(10)
    ]
    request = Request().add("sum", "d", deltas, temporality=DELTA)
    store.land("metrics", request.add("sum", "l", levels, monotonic=False).segment(), "t")
    scope = _scope(start, 10 * MINUTE)
    assert metrics.query(store, scope, "d", "increase", buckets=2).lines[0].values == [900, 900]
    rate = metrics.query(store, scope, "d", buckets=2)
    assert (rate.aggregation, rate.unit, rate.lines[0].values) == ("rate", "1/s", [3, 3])
    assert metrics.query(store, scope, "l", "max", buckets=1).lines[0].values == [5]
    assert metrics.query(store, scope, "l", "last", buckets=1).lines[0].values == [5]


@pytest.mark.parametrize("temporality", [DELTA, CUMULATIVE])
def test_percentiles_of_an_exponential_histogram_are_near(store: Store, temporality: int) -> None:
    rng, start = random.Random(3), _hour(9)
    measured: list[float] = []
    points, counts = [], dict[int, int]()
    scale, base = 5, 2 ** (2**-5)
    for minute in range(8 * 60):
        if temporality == DELTA:
            counts = {}
        fresh = [rng.lognormvariate(4, 1) for _ in range(20)]
        measured += fresh
        for value in fresh:
            index = math.ceil(math.log(value, base)) - 1
            counts[index] = counts.get(index, 0) + 1
        first, last = min(counts), max(counts)
        points.append({
            "time_unix_nano": start + minute * MINUTE + 1, "start_time_unix_nano": start, "scale": scale,
            "count": sum(counts.values()), "sum": 1.0,
            "positive": {"offset": first, "bucket_counts": [counts.get(i, 0) for i in range(first, last + 1)]},
        })  # fmt: skip
    rng.shuffle(points)
    for i in range(3):
        store.land(
            "metrics",
            Request().add("exponential_histogram", "e", points[i::3], temporality=temporality).segment(),
            str(i),
        )
    measured.sort()
    for step in (MINUTE, 7 * HOUR):
        scope = _scope(start, 8 * 60 * MINUTE // step * step)
        seen = measured if step == MINUTE else None
        for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            data = metrics.query(store, Scope(scope.start, scope.start + timedelta(hours=8)), "e", name, buckets=1)
            exact = (seen or measured)[math.ceil(q * len(measured)) - 1]
            assert data.lines[0].values[0] == pytest.approx(exact, rel=0.02)
    count = metrics.query(store, _scope(start, 8 * HOUR), "e", "count", buckets=8)
    assert count.lines[0].values == [20 * 60] * 8


def test_percentiles_of_explicit_buckets_and_of_a_summary(store: Store) -> None:
    start = _hour()
    bounds = [10.0, 20.0, 40.0]
    histogram = [
        {
            "time_unix_nano": start + i * MINUTE, "start_time_unix_nano": start - 1, "count": 10 * (i + 1),
            "sum": 150.0 * (i + 1), "bucket_counts": [5 * (i + 1), 4 * (i + 1), 0, i + 1], "explicit_bounds": bounds,
        }
        for i in range(10)
    ]  # fmt: skip
    summary = [
        {
            "time_unix_nano": start + i * MINUTE, "start_time_unix_nano": start - 1, "count": 4 * (i + 1),
            "sum": 8.0 * (i + 1),
            "quantile_values": [{"quantile": 0.5, "value": 2.0}, {"quantile": 0.99, "value": float(i)}],
        }
        for i in range(10)
    ]  # fmt: skip
    store.land("metrics", Request().add("histogram", "h", histogram).add("summary", "s", summary).segment(), "t")
    scope = _scope(start, 10 * MINUTE)

    def one(metric: str, name: str) -> float | None:
        return metrics.query(store, scope, metric, name, buckets=1).lines[0].values[0]

    assert [one("h", n) for n in ("p50", "p90", "p99", "count", "sum", "avg")] == [10, 20, 40, 100, 1500, 15]
    assert [one("s", n) for n in ("p50", "p99", "p95", "count", "sum", "avg")] == [2, 9, None, 40, 80, 2]


def test_malformed_histograms_cost_no_segment(store: Store) -> None:
    now = time.time_ns()
    points = [
        {"time_unix_nano": now, "count": 3, "bucket_counts": [1, 2], "explicit_bounds": [1.0, 2.0, 3.0]},
        {"time_unix_nano": now, "count": 3, "bucket_counts": [1, 2, 3, 4], "explicit_bounds": [1.0]},
        {"time_unix_nano": now, "count": 3, "explicit_bounds": [1.0]},
        {"time_unix_nano": now, "count": 3, "bucket_counts": [2**64 - 1, 2], "explicit_bounds": [math.nan]},
    ]
    scales = [
        {"time_unix_nano": now, "count": 1, "scale": s, "positive": {"offset": o, "bucket_counts": [1, 1]}}
        for s in (-(2**31), -512, -11, 20, 512, 2**31 - 1)
        for o in (-(2**31), 0, 2**31 - 1)
    ]
    request = Request().add("histogram", "h", points).add("exponential_histogram", "e", scales, temporality=DELTA)
    store.land("metrics", request.segment(), "t")
    assert list(store.query("SELECT count() FROM metric_points")) == [(len(points) + len(scales),)]
    scope = _scope(now - MINUTE, 2 * MINUTE)
    for metric in ("h", "e"):
        for name in ("p50", "p99", "count"):
            for step in (SECOND, MINUTE):
                assert metrics.query(store, scope, metric, name, buckets=2 * MINUTE // step).kind


def test_hostile_names_are_names(store: Store) -> None:
    now, hostile = time.time_ns(), "x' OR 1=1 -- \\ {kind:String} %s `\" \n 山"
    point = {"time_unix_nano": now, "as_int": 1, "attributes": {hostile: hostile}}
    quiet = {"time_unix_nano": now, "as_int": 7, "attributes": {"a": "b"}}
    store.land("metrics", Request().add("gauge", hostile, [point, quiet]).segment(), "t")
    scope = _scope(now - MINUTE, 2 * MINUTE)
    data = metrics.query(store, scope, hostile, "max", group_by=(hostile,), where={hostile: hostile}, buckets=1)
    assert [(line.labels, line.values) for line in data.lines] == [({hostile: hostile}, [1])]
    assert [m.metric for m in metrics.metrics(store, scope, hostile)] == [hostile]
    assert {label.key for label in metrics.labels(store, scope, hostile)} >= {hostile, "a"}
    assert metrics.exemplars(store, scope, hostile) == []


def test_a_shop_of_every_kind(store: Store) -> None:
    shop = metrics_history.stored(store)
    names = [(m.metric, m.kind, m.unit, m.functions) for m in metrics.metrics(store, shop.scope)]
    assert names == [
        ("shop.checkout", "exponential_histogram", "ms", ["checkout"]),
        ("shop.orders", "sum", "{order}", ["checkout"]),
        ("shop.queue_depth", "gauge", "{message}", ["payment"]),
    ]
    for buckets in (1, 120):
        orders = metrics.query(store, shop.scope, "shop.orders", "increase", group_by=("currency",), buckets=buckets)
        assert {line.labels["currency"]: sum(v or 0 for v in line.values) for line in orders.lines} == shop.orders
    depth = [
        metrics.query(store, shop.scope, "shop.queue_depth", n, buckets=1).lines[0].values[0] for n in ("min", "max")
    ]
    assert tuple(depth) == shop.queue_depth
    p95 = metrics.query(store, shop.scope, "shop.checkout", "p95", buckets=1).lines[0].values[0]
    assert p95 == pytest.approx(shop.checkout_ms[math.ceil(0.95 * len(shop.checkout_ms)) - 1], rel=0.02)
    assert (
        metrics.query(store, shop.scope, "shop.checkout", "max", buckets=1).lines[0].values[0] == shop.checkout_ms[-1]
    )
