"""Cost adds up whatever it is asked by, settled or not, and memory that does not fit is told."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import otlp
import pytest
from faasight_store import QueryError, Scope, Store, settle
from faasight_store.queries import cost, invocations
from faasight_store.times import HOUR, MINUTE, from_ns

REQUEST, GB_SECOND = 0.0000002, 0.0000166667


def _usd(ms: float, mb: float = 512) -> float:
    return REQUEST + ms / 1000 * mb / 1024 * GB_SECOND


def _scope(start: int, length: int) -> Scope:
    return Scope(from_ns(start), from_ns(start + length))


def _run(at: int, ms: float = 100, source: str = "api", **more: Any) -> otlp.Run:
    attributes = {"faasight.source.kind": source, "faasight.source.name": f"the-{source}",
                  "faas.trigger": "http" if source == "api" else "pubsub"}  # fmt: skip
    return otlp.Run(at, ms=ms, attributes=attributes, **more)


def _land(store: Store, runs: list[otlp.Run], token: str = "t") -> None:
    store.land("traces", otlp.segment(*(run.traces() for run in runs)), f"{token} traces")
    store.land("records", otlp.records(*(run.record("report") for run in runs)), f"{token} records")


def test_cost_adds_up_by_everything_settled_or_not(store: Store) -> None:
    begin = (time.time_ns() // HOUR - 5) * HOUR
    runs = [
        _run(begin + i * 3 * MINUTE, ms=100 + i, source="api" if i % 3 else "queue", function=f"f{i % 2}")
        for i in range(80)
    ]
    _land(store, runs)
    scope = _scope(begin + 30 * MINUTE, 3 * HOUR)
    inside = [run for run in runs if scope.start <= from_ns(run.start_ns) < scope.end]
    expected = sum(_usd(run.ms) for run in inside)
    before = {by: cost.cost(store, scope, by) for by in cost.BY}
    assert settle(store) > 0
    _land(store, runs)  # a replay
    assert store.query("SELECT count() > 0 FROM usage_hours")[0][0]
    for by, rows in before.items():
        again = cost.cost(store, scope, by)
        assert [(r.key, r.invocations) for r in again] == [(r.key, r.invocations) for r in rows], by
        for found in (rows, again):
            assert sum(r.cost_usd for r in found) == pytest.approx(expected), by
            assert sum(r.share for r in found) == pytest.approx(1)
    assert invocations.totals(store, scope).cost_usd == pytest.approx(expected), "every page tells the same sum"
    assert [row.key for row in before["source"]] == ["api:the-api", "queue:the-queue"]
    assert {row.key for row in before["trigger"]} == {"http", "pubsub"}
    assert {row.key for row in before["version"]} == {"f0:7", "f1:7"}
    of_one = sum(_usd(run.ms) for run in inside if run.function == "f1")
    assert sum(row.cost_usd for row in cost.cost(store, scope, "trigger", function="f1")) == pytest.approx(of_one)
    assert cost.cost(store, Scope(scope.start, scope.end, "elsewhere")) == []
    with pytest.raises(QueryError, match="function, version"):
        cost.cost(store, scope, "moon phase")
    late = _run(begin + 91 * MINUTE, ms=1000, function="f0")
    _land(store, [late], "late")
    assert sum(r.cost_usd for r in cost.cost(store, scope)) == pytest.approx(expected + _usd(1000))


def test_a_flow_costs_what_all_its_functions_cost(store: Store) -> None:
    at = time.time_ns() - 30 * MINUTE
    requests, expected = [], 0.0
    for i in range(4):
        order = _run(at + i * MINUTE, ms=100, function="checkout")
        stock = _run(at + i * MINUTE + 1000, ms=50, function="stock")
        payment = _run(at + i * MINUTE + 2000, ms=200, function="payment", source="queue")
        callee = otlp.Run(
            stock.start_ns, ms=50, function="stock", trace_id=order.trace_id, parent_span_id=order.span_id
        )
        consumer = payment.traces()
        link = consumer.resource_spans[0].scope_spans[0].spans[0].links.add()
        link.trace_id, link.span_id = order.trace_id, order.span_id
        requests += [order.traces(), callee.traces(), consumer]
        expected += _usd(100) + _usd(50) + _usd(200)
    alone = _run(at, ms=1, function="cron", source="schedule")
    store.land("traces", otlp.segment(*requests, alone.traces()), "t")
    scope = _scope(at - MINUTE, 20 * MINUTE)
    flow, other = cost.flows(store, scope)
    assert (flow.service, flow.name, flow.traces, flow.invocations) == ("checkout", "invoke", 4, 12)
    assert flow.cost_usd == pytest.approx(expected)
    assert flow.per_trace_usd == pytest.approx(expected / 4)
    assert (other.service, other.traces, other.invocations) == ("cron", 1, 1)
    dearest = cost.traces(store, scope, limit=1)
    assert [(trace.service, trace.invocations) for trace in dearest] == [("checkout", 3)]
    assert dearest[0].cost_usd == pytest.approx(expected / 4)
    settle(store)
    assert store.query("SELECT count() FROM settled_invocations")[0][0]
    assert [(one.service, one.traces, one.invocations) for one in cost.flows(store, scope)] == [
        ("checkout", 4, 12),
        ("cron", 1, 1),
    ]
    assert cost.traces(store, scope, limit=1)[0].cost_usd == pytest.approx(expected / 4)


@pytest.mark.parametrize("sent", [True, False])
def test_what_waited_long_in_a_queue_costs_too(store: Store, *, sent: bool) -> None:
    """Whoever sent it ran long before the scope, or was never seen."""
    at = time.time_ns() - 10 * MINUTE
    order, payment = _run(at - 3 * HOUR, ms=100), _run(at, ms=200, function="payment", source="queue")
    consumer = payment.traces()
    link = consumer.resource_spans[0].scope_spans[0].spans[0].links.add()
    link.trace_id, link.span_id = order.trace_id, order.span_id
    store.land("traces", otlp.segment(consumer, *([order.traces()] if sent else [])), "t")
    (flow,) = cost.flows(store, _scope(at - MINUTE, 5 * MINUTE))
    assert (flow.service, flow.traces, flow.invocations) == ("payment", 1, 1)
    assert flow.cost_usd == pytest.approx(_usd(200))


def test_the_forecast_goes_by_the_last_seven_days(store: Store) -> None:
    now = datetime.now(UTC).replace(minute=30, second=0, microsecond=0)
    # Before the seventh day, dear; since then 24 equal runs a day.
    ago = [timedelta(hours=1 + i) for i in range(9 * 24)]
    runs = [_run(int((now - back).timestamp()) * 10**9, ms=1000 if back < timedelta(days=7) else 9000) for back in ago]
    store.land("traces", otlp.segment(*(run.traces() for run in runs)), "t")
    told = cost.forecast(store, now)
    month = now.replace(day=1, hour=0, minute=0)
    spent = sum(_usd(run.ms) for run in runs if from_ns(run.start_ns) >= month)
    assert told.so_far_usd == pytest.approx(spent)
    assert sum(told.days) == pytest.approx(spent)
    assert len(told.days) == now.day
    assert told.per_day_usd == pytest.approx(24 * _usd(1000), rel=0.01)
    left = ((month + timedelta(days=32)).replace(day=1) - now) / timedelta(days=1)
    assert told.forecast_usd == pytest.approx(spent + left * told.per_day_usd)
    assert cost.forecast(store, now, function="nobody").forecast_usd == 0


def test_memory_that_does_not_fit(store: Store) -> None:
    at = time.time_ns() - 20 * MINUTE
    wide = [_run(at + i, ms=1000, function="wide", memory_mb=1024, memory_used_mb=100 + i % 10) for i in range(200)]
    tight = [_run(at + i, function="tight", memory_mb=256, memory_used_mb=250) for i in range(200)]
    fits = [_run(at + i, function="fits", memory_mb=128, memory_used_mb=60) for i in range(200)]
    few = [_run(at + i, function="few", memory_mb=1024, memory_used_mb=10) for i in range(50)]
    _land(store, [*wide, *tight, *fits, *few])
    found = cost.right_sizes(store, _scope(at - MINUTE, 10 * MINUTE))
    assert [(size.function, size.memory_mb, size.recommended_mb, size.tight) for size in found] == [
        ("wide", 1024, 192, False),
        ("tight", 256, 320, True),
    ]
    assert found[0].used_p99_mb == pytest.approx(109, rel=0.02)
    assert found[0].saving_usd == pytest.approx(200 * (1024 - 192) / 1024 * GB_SECOND, rel=1e-6)
    assert found[1].saving_usd < 0
