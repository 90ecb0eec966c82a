"""Totals, series, heatmaps and lists of invocations."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from faasight_store.buckets import NONE, edge_ms
from faasight_store.connection import Store
from faasight_store.queries.cells import Cells, Grain, complement
from faasight_store.queries.figures import figures, known
from faasight_store.queries.gather import gather
from faasight_store.queries.listing import recent as recent
from faasight_store.queries.merged import Sql
from faasight_store.queries.settled import invocations, settled_hours, sources
from faasight_store.queries.windows import chart_buckets, hex_id, step_ns
from faasight_store.times import HOUR, from_ns, to_ns, within
from faasight_store.types import ErrorGroup, ErrorVersion, Heatmap, Scope, Series, Totals

HEATMAP_ROWS = 40
_SHARED_S = 86400  # of more, hours alone are so much less that it is cheaper to ask for them
_AS_NS = "toUnixTimestamp64Nano"


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


OF_FAILURES = (
    "environment", "function", "outcome", "error_type", "error_message", "error_frames", "version", "start", "trace_id",
)  # fmt: skip


def failures(source: Sql) -> str:
    """Return a select of failures by function, version, type and frames: what errors() shows, and settling keeps.

    Where there is no stack (a time-out, a platform that ended the sandbox) the shape of the message stands for it.
    """
    return rf"""SELECT environment, function, if(error_type = '', outcome, error_type) AS type,
        if(error_frames != '', '', replaceRegexpAll(error_message,
            '0x[0-9a-fA-F]+|[0-9a-fA-F]{{8,}}(-[0-9a-fA-F]+)*|[0-9]+', '#')) AS shape,
        error_frames AS frames, version AS function_version,
        count() AS failures, min(start) AS first, max(start) AS last,
        argMax(error_message, start) AS message, argMax(trace_id, start) AS trace_id
    FROM {source.text} WHERE outcome NOT IN ('ok', 'throttled', 'warm_up')
    GROUP BY environment, function, type, shape, frames, function_version"""


def errors(store: Store, scope: Scope, function: str = "", limit: int = 20) -> list[ErrorGroup]:
    """Return failures grouped by function, type and frames (or shape of message), most frequent first."""
    start, end = to_ns(scope.start), to_ns(scope.end)
    settled = {h: version for h, version in settled_hours(store, start, end).items() if h >= start and h + HOUR <= end}
    rest = sources(store, complement(start, end, [(h, h + HOUR) for h in sorted(settled)]), time.time_ns())
    source = invocations(
        rest, columns=OF_FAILURES, function=function, environment=scope.environment, unwell=not function
    )
    rows = store.query(
        f"""SELECT function, type, argMax(message, last), sum(failures) AS total,
            {_AS_NS}(min(first)), {_AS_NS}(max(last) AS newest), lower(hex(argMax(trace_id, last))), frames,
            arraySort(seen -> (seen.3, seen.1),
                      groupArray((function_version, failures, {_AS_NS}(first), {_AS_NS}(last))))
        FROM (
            SELECT function, type, shape, frames, function_version, sum(part.failures) AS failures,
                min(part.first) AS first, max(part.last) AS last, argMax(part.message, part.last) AS message,
                argMax(part.trace_id, part.last) AS trace_id
            FROM ({failures(source)} UNION ALL
                SELECT environment, function, type, shape, frames, function_version, failures, first, last, message,
                    trace_id
                FROM error_hours
                WHERE version IN {{settled:Array(UInt64)}} AND {within("hour", "start", "end")}
                  AND ({{function:String}} = '' OR function = {{function:String}})
                  AND ({{environment:String}} = '' OR environment = {{environment:String}})) AS part
            GROUP BY function, type, shape, frames, function_version)
        GROUP BY function, type, shape, frames ORDER BY total DESC, newest DESC LIMIT {{limit:UInt32}}""",
        {
            **source.parameters, "settled": list(settled.values()), "start": start, "end": end, "function": function,
            "environment": scope.environment, "limit": limit,
        },
    )  # fmt: skip
    return [_error_group(row) for row in rows]


def _error_group(row: Sequence[Any]) -> ErrorGroup:
    function, error_type, message, count, first, last, trace_id, frames, versions = row
    return ErrorGroup(
        function=function, error_type=error_type, message=message, count=count, first_seen=from_ns(first),
        last_seen=from_ns(last), trace_id=hex_id(trace_id), frames=tuple(frames.split("\n")) if frames else (),
        versions=[ErrorVersion(v, n, from_ns(since), from_ns(until)) for v, n, since, until in versions],
    )  # fmt: skip


def last_event(store: Store) -> datetime | None:
    """Return when anything was last stored, None before the first event."""
    rows = store.query("SELECT count(), toUnixTimestamp64Nano(max(received_at)) FROM arrivals")
    return from_ns(rows[0][1]) if rows[0][0] else None


def environments(store: Store) -> list[str]:
    """Return the names of all environments seen, sorted."""
    rows = store.query("SELECT DISTINCT environment FROM function_hours WHERE environment != '' ORDER BY environment")
    return [row[0] for row in rows]
