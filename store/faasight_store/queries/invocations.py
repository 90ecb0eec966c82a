"""Totals, series, heatmaps and lists of invocations."""

from datetime import datetime

import numpy as np

from faasight_store.buckets import NONE, edge_ms
from faasight_store.connection import Store
from faasight_store.queries.cells import Cells, Grain
from faasight_store.queries.failures import errors as errors
from faasight_store.queries.figures import figures, known
from faasight_store.queries.gather import gather
from faasight_store.queries.listing import recent as recent
from faasight_store.queries.windows import chart_buckets, step_ns
from faasight_store.times import HOUR, from_ns, to_ns
from faasight_store.types import Heatmap, Scope, Series, Totals

HEATMAP_ROWS = 40
_SHARED_S = 86400  # of more, hours alone are so much less that it is cheaper to ask for them


def totals(store: Store, scope: Scope, function: str = "") -> Totals:
    """Return the sums of all functions, or of one."""
    step = step_ns(scope, chart_buckets(scope))  # which tells what is wrong with a scope
    if scope.seconds <= _SHARED_S:  # a page that shows the totals shows the series, too
        found = _by_time(store, scope, function, step)
    else:
        found = gather(store, scope, ["bucket"], function)
    return figures(found, np.zeros(len(found), dtype=np.int64), 1).totals(0)


def series(store: Store, scope: Scope, function: str = "", buckets: int = 0) -> Series:
    """Return the scope cut into equal buckets, as many as a chart shows if `buckets` is 0.

    Concurrency counts the time that invocations of this scope ran in each bucket; in settled hours all of it counts
    where they started.
    """
    buckets = buckets or chart_buckets(scope)
    start, step = to_ns(scope.start), step_ns(scope, buckets)
    found = _by_time(store, scope, function, step)
    columns = figures(found, found["i"], buckets)
    percentiles = [columns.percentiles(i) for i in range(buckets)]
    return Series(
        t=[from_ns(start + i * step) for i in range(buckets)],
        step_s=step / 1e9,
        ok=(columns.invocations - columns.errors).tolist(),
        errors=columns.errors.tolist(),
        timeouts=columns.timeouts.tolist(),
        throttles=columns.throttles.tolist(),
        cold_starts=columns.cold_starts.tolist(),
        cost_usd=columns.cost_usd.tolist(),
        p50_ms=[p[0] for p in percentiles],
        p90_ms=[p[1] for p in percentiles],
        p95_ms=[p[2] for p in percentiles],
        p99_ms=[p[3] for p in percentiles],
        memory_used_mb=[known(most) for most in columns.memory_used_mb],
        concurrency=(columns.busy_ms * 1e6 / step).tolist(),
    )


def _by_time(store: Store, scope: Scope, function: str, step: int) -> Cells:
    """Return cells by step and duration: the store remembers them for a moment, a page asks twice."""
    whole = step % HOUR == 0 and to_ns(scope.start) % HOUR == 0
    grain = Grain.HOURS if whole else Grain.of_step(step)
    return store.remembered(
        ("by time", scope, function, step),
        lambda: gather(store, scope, ["i", "bucket"], function, step_ns=step, grain=grain),
    )


def heatmap(store: Store, scope: Scope, function: str = "", buckets: int = 0) -> Heatmap:
    """Return counts by time and duration; rows are merged to at most 40."""
    buckets = buckets or chart_buckets(scope)
    start, step = to_ns(scope.start), step_ns(scope, buckets)
    found = _by_time(store, scope, function, step)
    t = [from_ns(start + i * step) for i in range(buckets)]
    found = found.where((found["bucket"] > NONE) & (found["invocations"] > 0))
    if not len(found):
        return Heatmap(t, [], [])
    low, high = int(found["bucket"].min()), int(found["bucket"].max())
    merge = -(-(high - low + 1) // HEATMAP_ROWS)
    height = -(-(high - low + 1) // merge)
    found = found.where((found["i"] >= 0) & (found["i"] < buckets))
    place = (found["bucket"] - low) // merge * buckets + found["i"]
    counts = np.rint(np.bincount(place, found["invocations"], height * buckets)).astype(np.int64)
    return Heatmap(t, [edge_ms(low + i * merge) for i in range(height + 1)], counts.reshape(height, buckets).tolist())


def last_event(store: Store) -> datetime | None:
    """Return when anything was last stored, None before the first event."""
    rows = store.query("SELECT count(), toUnixTimestamp64Nano(max(received_at)) FROM arrivals")
    return from_ns(rows[0][1]) if rows[0][0] else None


def environments(store: Store) -> list[str]:
    """Return the names of all environments seen, sorted."""
    rows = store.query("SELECT DISTINCT environment FROM function_hours WHERE environment != '' ORDER BY environment")
    return [row[0] for row in rows]
