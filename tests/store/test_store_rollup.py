"""Settled hours answer like the facts they were made of, and again after something late came."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import otlp
import pytest
from faasight_store import Scope, Store, settle
from faasight_store.queries import functions, invocations
from faasight_store.queries.cells import Grain, plan
from faasight_store.rollup import OVER_AFTER_NS
from faasight_store.times import HOUR, MINUTE, to_ns

HOURS = 9


@pytest.fixture
def history(store: Store) -> tuple[Store, Scope, list[otlp.Run]]:
    """Return a store with nine hours of runs, none of them settled."""
    rng = random.Random(7)
    now = datetime.now(UTC).replace(microsecond=0)
    began = now.replace(minute=13, second=7) - timedelta(hours=HOURS)  # never a whole hour or minute
    scope = Scope(began, now)
    start, length = to_ns(scope.start), to_ns(scope.end) - to_ns(scope.start)
    runs = [
        otlp.Run(
            start + rng.randrange(length - 10**9),
            ms=rng.lognormvariate(4, 1),
            function=rng.choice(["a", "b"]),
            cold=rng.random() < 0.1,
            outcome=rng.choices(["ok", "error", "timeout"], [90, 8, 2])[0],
            error_type="ValueError",
            message="of 7",
            environment=rng.choice(["default", "prod"]),
        )
        for _ in range(600)
    ]
    store.land("traces", otlp.segment(*(run.traces() for run in runs)), "traces")
    store.land("records", otlp.records(*(run.record("report") for run in runs), *_throttles(runs)), "records")
    return store, scope, runs


def _throttles(runs: list[otlp.Run]) -> list[dict[str, Any]]:
    return [run.record("throttle") for run in runs[:20]]


def _answers(store: Store, scope: Scope) -> list[Any]:
    series = invocations.series(store, scope, buckets=60)
    heatmap = invocations.heatmap(store, scope, buckets=60)
    rows = functions.functions(store, scope)
    errors = invocations.errors(store, scope)
    return [
        _rounded(invocations.totals(store, scope)),
        _rounded(invocations.totals(store, scope, "a")),
        _rounded(invocations.totals(store, Scope(scope.start, scope.end, "prod"))),
        [sum(column) for column in (series.ok, series.errors, series.timeouts, series.throttles, series.cold_starts)],
        sum(map(sum, heatmap.counts)),
        heatmap.edges_ms,
        [(row.function, _rounded(row.totals), row.max_ms, row.init_p95_ms, sum(row.spark)) for row in rows],
        [(e.function, e.error_type, e.count, e.first_seen, e.last_seen, e.trace_id) for e in errors],
    ]


def _rounded(totals: Any) -> tuple[Any, ...]:
    return (*[getattr(totals, name) for name in totals.__slots__ if name != "cost_usd"], round(totals.cost_usd, 9))


def _later(scope: Scope) -> Callable[[], int]:
    """Return a clock that stands still, past the room for inserts in flight: no hour is over while a test runs."""
    now = to_ns(scope.end) + 2 * MINUTE
    over = now // HOUR * HOUR + OVER_AFTER_NS
    at = over if now < over <= now + 5 * MINUTE else now
    return lambda: at


def test_settled_hours_answer_like_the_facts(history: tuple[Store, Scope, list[otlp.Run]]) -> None:
    store, scope, runs = history
    later = _later(scope)
    before = _answers(store, scope)
    assert before[0][0] == len(runs)
    assert settle(store, now_ns=later) >= HOURS - 1
    used = plan(store, scope, Grain.HOURS)
    assert len(used.hours) >= HOURS - 2
    assert used.slots
    assert _answers(store, scope) == before
    for quantile, told in zip((0.5, 0.9, 0.95, 0.99), before[0][5:9], strict=True):
        exact = sorted(run.ms for run in runs)[int(quantile * (len(runs) - 1))]
        near = [run.ms for run in runs if 0.96 * exact <= run.ms <= 1.04 * exact]
        assert min(abs(told / ms - 1) for ms in near) <= 0.02


def test_nothing_new_is_nothing_to_do(history: tuple[Store, Scope, list[otlp.Run]]) -> None:
    store, scope, _ = history
    later = _later(scope)
    assert settle(store, now_ns=later)
    assert settle(store, now_ns=later) == 0


def test_what_comes_late_is_counted_at_once_and_settled_again(history: tuple[Store, Scope, list[otlp.Run]]) -> None:
    store, scope, runs = history
    later = _later(scope)
    settle(store, now_ns=later)
    hour = (to_ns(scope.start) // 3600_000_000_000 + 3) * 3600_000_000_000
    late = otlp.Run(hour + 30 * 60 * 10**9, ms=77, function="a", outcome="error", error_type="Late", message="x")
    store.land("traces", otlp.segment(late.traces()), "late")
    assert invocations.totals(store, scope).invocations == len(runs) + 1
    assert settle(store, now_ns=later) == 1
    assert invocations.totals(store, scope).invocations == len(runs) + 1
    assert "Late" in {group.error_type for group in invocations.errors(store, scope)}
    assert not any(low <= late.start_ns < high for low, high in plan(store, scope, Grain.HOURS).rest.facts)
    versions = "SELECT max(n) FROM (SELECT uniqExact(version) AS n FROM invocation_hours GROUP BY hour)"
    assert store.query(versions) == [(2,)]  # whoever learned of the old one a moment ago may still read it
    assert settle(store, now_ns=lambda: later() + 2 * MINUTE) == 0
    assert store.query(versions) == [(1,)]
    assert store.query("SELECT max(n) FROM (SELECT count() AS n FROM settled_hours GROUP BY hour)") == [(1,)]
    assert invocations.totals(store, scope).invocations == len(runs) + 1


def test_a_settling_that_broke_off_is_not_counted(history: tuple[Store, Scope, list[otlp.Run]]) -> None:
    store, scope, runs = history
    later = _later(scope)
    settle(store, now_ns=later)
    for table in ("invocation_slots", "invocation_hours"):
        store.command(f"INSERT INTO {table} SELECT * REPLACE (version + 1 AS version) FROM {table}")
    assert invocations.totals(store, scope).invocations == len(runs)


def test_the_open_hour_is_never_settled(history: tuple[Store, Scope, list[otlp.Run]]) -> None:
    store, scope, _ = history
    settle(store)
    newest = store.query("SELECT max(toUnixTimestamp(hour)) FROM settled_hours")[0][0]
    assert newest * 10**9 <= to_ns(scope.end) - 3600 * 10**9


def test_a_chart_of_days_has_whole_hours_and_reads_them_as_they_are_settled(
    history: tuple[Store, Scope, list[otlp.Run]],
) -> None:
    store, scope, _ = history
    later = _later(scope)
    settle(store, now_ns=later)
    end = scope.end.replace(minute=0, second=0) + timedelta(hours=1)
    week = Scope(end - timedelta(days=7), end)
    series = invocations.series(store, week)
    assert (len(series.t), series.step_s) == (168, 3600)
    exact = invocations.series(store, week, buckets=168 * 60)
    for name in ("ok", "errors", "throttles", "cold_starts"):
        minutes = getattr(exact, name)
        assert list(getattr(series, name)) == [sum(minutes[i : i + 60]) for i in range(0, len(minutes), 60)]
    assert len(invocations.series(store, Scope(end - timedelta(days=3), end)).t) == 120
    assert invocations.series(store, Scope(end - timedelta(days=30), end)).step_s == 5 * 3600
