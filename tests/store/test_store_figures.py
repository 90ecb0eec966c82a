"""Totals, series, heatmap, errors and lists of the shop."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from faasight_store import Store
from faasight_store.queries import invocations
from faasight_store.times import from_ns
from shop_history import Shop


def test_totals_and_lists_of_the_shop(shop: Shop) -> None:
    total = invocations.totals(shop.store, shop.scope)
    assert (total.invocations, total.errors, total.timeouts, total.throttles, total.cold_starts) == (5, 3, 1, 1, 1)
    assert total.p50_ms == pytest.approx(80, rel=0.02)
    assert total.p99_ms == pytest.approx(3000, rel=0.02)
    assert total.cost_usd > 0
    assert invocations.totals(shop.store, replace(shop.scope, environment="other")).invocations == 0
    empty = invocations.totals(shop.store, shop.scope, "no such function")
    assert (empty.invocations, empty.p50_ms, empty.cost_usd) == (0, None, 0)

    def ids(**options: Any) -> list[str]:
        return [one.request_id for one in invocations.recent(shop.store, shop.scope, **options)]

    assert len(ids()) == 6
    assert ids(limit=1) == [shop.timed_out.request_id]
    assert ids(cold=True) == [shop.order.request_id]
    assert ids(min_ms=100, max_ms=1000) == [shop.order.request_id]
    assert len(ids(failed=True)) == 4
    assert ids(function="payment", failed=True) == [shop.timed_out.request_id]


def test_errors_are_grouped_by_shape(shop: Shop) -> None:
    first, second = invocations.errors(shop.store, shop.scope)
    assert (first.function, first.error_type, first.count, first.message) == (
        "checkout",
        "ValueError",
        2,
        "no stock for order 18",
    )
    assert first.first_seen == from_ns(shop.failed.start_ns)
    assert first.last_seen - first.first_seen == timedelta(minutes=1)
    assert (second.function, second.error_type, second.trace_id) == (
        "payment",
        "timeout",
        shop.timed_out.trace_id.hex(),
    )
    assert len(invocations.errors(shop.store, shop.scope, limit=1)) == 1


def test_the_series_adds_up_to_the_totals(shop: Shop) -> None:
    for buckets in (7, 60, 600):
        series = invocations.series(shop.store, shop.scope, buckets=buckets)
        total = invocations.totals(shop.store, shop.scope)
        assert {
            len(column) for column in (series.t, series.ok, series.p99_ms, series.concurrency, series.memory_used_mb)
        } == {buckets}
        assert sum(series.ok) + sum(series.errors) == total.invocations
        assert (sum(series.timeouts), sum(series.throttles), sum(series.cold_starts)) == (1, 1, 1)
        assert sum(series.cost_usd) == pytest.approx(total.cost_usd)
        busy_ms = sum(value or 0 for value in series.concurrency) * series.step_s * 1000
        assert busy_ms == pytest.approx(120 + 80 + 40 + 45 + 3000)
        assert series.t[0] == shop.scope.start


def _spread(heatmap: Any) -> int:
    return sum(map(sum, heatmap.counts))


def test_the_heatmap_counts_every_duration(shop: Shop) -> None:
    heatmap = invocations.heatmap(shop.store, shop.scope, buckets=30)
    assert len(heatmap.counts) <= invocations.HEATMAP_ROWS
    assert len(heatmap.edges_ms) == len(heatmap.counts) + 1
    assert _spread(heatmap) == 5
    for ms, count in ((40, 1), (3000, 1)):
        (row,) = [i for i in range(len(heatmap.counts)) if heatmap.edges_ms[i] <= ms < heatmap.edges_ms[i + 1]]
        assert sum(heatmap.counts[row]) >= count
    assert invocations.heatmap(shop.store, shop.scope, "nobody").counts == []


def test_what_was_seen(shop: Shop, store: Store) -> None:
    last = invocations.last_event(shop.store)
    assert last is not None
    assert timedelta(0) <= last - shop.now < timedelta(minutes=10)
    assert invocations.environments(shop.store) == ["default"]
    assert (invocations.last_event(store), invocations.environments(store)) == (None, [])
