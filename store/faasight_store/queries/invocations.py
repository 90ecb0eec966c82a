"""Totals, series, heatmaps and lists of invocations."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from faasight_store.buckets import NONE, edge_ms
from faasight_store.connection import Store
from faasight_store.queries import figures
from faasight_store.queries.cells import Grain, cells, complement, plan
from faasight_store.queries.merged import Sql
from faasight_store.queries.settled import invocations, settled_hours, sources
from faasight_store.queries.windows import hex_id, newest_first, step_ns
from faasight_store.times import HOUR, from_ns, to_ns, within
from faasight_store.types import ErrorGroup, ErrorVersion, Heatmap, Invocation, Scope, Series, Totals

HEATMAP_ROWS = 40
_AS_NS = "toUnixTimestamp64Nano"


def totals(store: Store, scope: Scope, function: str = "") -> Totals:
    """Return the sums of all functions, or of one."""
    source = cells(plan(store, scope), scope, function)
    rows = store.query(f"SELECT {figures.TOTALS} FROM {source.text}", source.parameters)
    return figures.totals(rows[0])


def series(store: Store, scope: Scope, function: str = "", buckets: int = 120) -> Series:
    """Return the scope cut into `buckets` equal buckets.

    Concurrency counts the time that invocations of this scope ran in each bucket; in settled hours all of it counts
    where they started.
    """
    start, step = to_ns(scope.start), step_ns(scope, buckets)
    source = cells(plan(store, scope, Grain.of_step(step)), scope, function, spread_ns=step)
    rows = store.query(
        f"SELECT intDiv({_AS_NS}(slot) - {{scope_ns:Int64}}, {{step_ns:Int64}}) AS i, {figures.TOTALS}"
        f" FROM {source.text} GROUP BY i",
        source.parameters,
    )
    empty: tuple[Any, ...] = (0, 0, 0, 0, 0, 0.0, 0, (), None, None, 0.0)
    found = {row[0]: row[1:] for row in rows}
    columns = [found.get(i, empty) for i in range(buckets)]
    percentiles = [figures.percentiles(row) for row in columns]
    return Series(
        t=[from_ns(start + i * step) for i in range(buckets)],
        step_s=step / 1e9,
        ok=[row[0] - row[1] for row in columns],
        errors=[row[1] for row in columns],
        timeouts=[row[2] for row in columns],
        throttles=[row[3] for row in columns],
        cold_starts=[row[4] for row in columns],
        cost_usd=[row[5] for row in columns],
        p50_ms=[p[0] for p in percentiles],
        p90_ms=[p[1] for p in percentiles],
        p95_ms=[p[2] for p in percentiles],
        p99_ms=[p[3] for p in percentiles],
        memory_used_mb=[row[9] for row in columns],
        concurrency=[row[10] * 1e6 / step for row in columns],
    )


def heatmap(store: Store, scope: Scope, function: str = "", buckets: int = 120) -> Heatmap:
    """Return counts by time and duration; rows are merged to at most 40."""
    start, step = to_ns(scope.start), step_ns(scope, buckets)
    source = cells(plan(store, scope, Grain.of_step(step)), scope, function)
    rows = store.query(
        f"SELECT intDiv({_AS_NS}(slot) - {{scope_ns:Int64}}, {{width:Int64}}) AS i, bucket, sum(invocations)"
        f" FROM {source.text} WHERE bucket > {{none:Int16}} AND invocations > 0 GROUP BY i, bucket",
        {**source.parameters, "width": step, "none": NONE},
    )
    t = [from_ns(start + i * step) for i in range(buckets)]
    if not rows:
        return Heatmap(t, [], [])
    low, high = min(r[1] for r in rows), max(r[1] for r in rows)
    merge = -(-(high - low + 1) // HEATMAP_ROWS)
    height = -(-(high - low + 1) // merge)
    counts = [[0] * buckets for _ in range(height)]
    for column, bucket, count in rows:
        if 0 <= column < buckets:
            counts[(bucket - low) // merge][column] += count
    return Heatmap(t, [edge_ms(low + i * merge) for i in range(height + 1)], counts)


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
    source = invocations(rest, columns=OF_FAILURES, function=function, environment=scope.environment)
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


_FOUND_BY = ("invocation", "start", "outcome", "cold_start", "duration_ms")
_INVOCATION = (
    "function, version, request_id, lower(hex(trace_id)), toUnixTimestamp64Nano(start), duration_ms, init_ms,"
    " cold_start, outcome, error_type, trigger, source_kind, source_name, attempt, queue_wait_ms, billed_ms, memory_mb,"
    " memory_used_mb, cost_usd"
)


def recent(
    store: Store,
    scope: Scope,
    function: str = "",
    *,
    failed: bool = False,
    cold: bool = False,
    min_ms: float = 0,
    max_ms: float | None = None,
    running: bool = False,
    limit: int = 50,
) -> list[Invocation]:
    """Return the newest invocations first; with `running` those too that have begun and not ended."""
    conditions = ["1"]
    if failed:
        conditions.append("outcome NOT IN ('ok', 'running', 'warm_up')")
    if cold:
        conditions.append("cold_start")
    if min_ms:
        conditions.append("ifNull(duration_ms, 0) >= {min_ms:Float64}")
    if max_ms is not None:
        conditions.append("duration_ms < {max_ms:Float64}")
    parameters = {"min_ms": min_ms, "max_ms": max_ms or 0.0}
    matches = " AND ".join(conditions)
    found: list[Invocation] = []
    for interval in newest_first(scope):
        # First which, from few columns; then all of those few: to merge every column of a range costs far more.
        source = sources(store, [interval], time.time_ns())
        some = invocations(source, columns=_FOUND_BY, function=function, environment=scope.environment, running=running)
        rows = store.query(
            f"SELECT invocation FROM {some.text} WHERE {matches}"
            " ORDER BY start DESC, invocation LIMIT {limit:UInt32}",
            {**some.parameters, **parameters, "limit": limit - len(found)},
        )
        if rows:
            full = invocations(
                source,
                function=function,
                environment=scope.environment,
                where="invocation IN {chosen:Array(UInt64)}",
                running=running,
            )
            chosen = store.query(
                f"SELECT {_INVOCATION} FROM {full.text} WHERE {matches} ORDER BY start DESC, invocation",
                {**full.parameters, **parameters, "chosen": [row[0] for row in rows]},
            )
            found += [_invocation(row) for row in chosen]
        if len(found) >= limit:
            break
    return found[:limit]


def last_event(store: Store) -> datetime | None:
    """Return when anything was last stored, None before the first event."""
    rows = store.query("SELECT count(), toUnixTimestamp64Nano(max(received_at)) FROM arrivals")
    return from_ns(rows[0][1]) if rows[0][0] else None


def environments(store: Store) -> list[str]:
    """Return the names of all environments seen, sorted."""
    rows = store.query("SELECT DISTINCT environment FROM function_hours WHERE environment != '' ORDER BY environment")
    return [row[0] for row in rows]


def _invocation(row: tuple[Any, ...]) -> Invocation:
    values = [*row[:3], hex_id(row[3]), from_ns(row[4]), *row[5:7], bool(row[7]), *row[8:]]
    return Invocation(*values)
