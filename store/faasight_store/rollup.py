"""Settling: hours that are over are merged once into counts by duration, and again when something late touches them."""

import time
from collections.abc import Callable

from faasight_store.connection import Store
from faasight_store.queries import usage
from faasight_store.queries.cells import FACTS_BEGIN, measures, of_invocations
from faasight_store.queries.invocations import failures
from faasight_store.queries.merged import LOST_NS, SLACK_NS, merged
from faasight_store.times import HOUR, MINUTE, moment

# An hour is over when its last invocation has ended or counts as lost, and their news had time to come.
OVER_AFTER_NS = max(LOST_NS, SLACK_NS) + 4 * MINUTE
# An insert in flight has its time of receipt already, but cannot be seen yet.
IN_FLIGHT_NS = MINUTE
MOST_HOURS = 24  # in one call

_DUE = f"""
SELECT toUnixTimestamp(touched.hour), settled.version FROM (
    SELECT hour, max(received_at) AS received_at FROM touched_hours WHERE hour <= {moment("over")}
    AND hour >= {FACTS_BEGIN} GROUP BY hour
) AS touched LEFT JOIN (
    SELECT hour, max(version) AS version, argMax(covers, settled_hours.version) AS covers
    FROM settled_hours GROUP BY hour
) AS settled USING hour
WHERE settled.version = 0 OR touched.received_at > settled.covers
ORDER BY touched.hour DESC LIMIT {{limit:UInt32}}"""

_SUMS = """sum(cell.invocations), sum(cell.errors), sum(cell.timeouts), sum(cell.out_of_memory), sum(cell.throttles),
    sum(cell.cold_starts), sum(cell.cost_usd), sum(cell.busy_ms), max(cell.max_ms), max(cell.memory_used_mb)"""


def settle(store: Store, *, now_ns: Callable[[], int] = time.time_ns, limit: int = MOST_HOURS) -> int:
    """Settle the hours that are over and were touched since; return how many.

    To be called every half a minute or so, by one process or several: it does nothing where nothing changed, a settling
    counts only when it is complete, and of two the newest counts. At most `limit` hours are settled in a call, the
    newest first.
    """
    due = store.query(_DUE, {"over": now_ns() - HOUR - OVER_AFTER_NS, "limit": limit})
    for hour_s, old_version in due:
        _settle_hour(store, hour_s * 10**9, now_ns())
        if old_version:
            _forget(store, hour_s, old_version)
    return len(due)


def _settle_hour(store: Store, hour: int, version: int) -> None:
    source = merged([(hour, hour + HOUR)])
    parameters = {**source.parameters, "hour": hour // 10**9, "version": version, "covers": version - IN_FLIGHT_NS}
    columns = f"hour, version, slot, environment, function, bucket, init_bucket, {measures()}"
    head = "toDateTime({hour:Int64}, 'UTC'), {version:UInt64}"
    store.command(
        f"INSERT INTO invocation_minutes ({columns})"
        f" SELECT {head}, toStartOfMinute(cell.slot) AS minute, cell.environment, cell.function, cell.bucket,"
        f" cell.init_bucket, {_SUMS} FROM ({of_invocations(source)}) AS cell"
        " GROUP BY minute, cell.environment, cell.function, cell.bucket, cell.init_bucket",
        parameters,
    )
    store.command(
        f"INSERT INTO invocation_hours ({columns})"
        f" SELECT {head}, toDateTime({{hour:Int64}}, 'UTC'), environment, function, bucket, init_bucket, {_SUMS}"
        " FROM invocation_minutes AS cell"
        " WHERE hour = toDateTime({hour:Int64}, 'UTC') AND version = {version:UInt64}"
        " GROUP BY environment, function, bucket, init_bucket",
        parameters,
    )
    store.command(
        "INSERT INTO error_hours"
        " (hour, version, environment, function, type, shape, frames, function_version, failures, first, last, message,"
        " trace_id)"
        f" SELECT {head}, * FROM ({failures(source)})",
        parameters,
    )
    store.command(
        f"INSERT INTO usage_hours (version, hour, {usage.COLUMNS})"
        f" SELECT {{version:UInt64}}, hour, {usage.COLUMNS} FROM ({usage.of_invocations(source)})",
        parameters,
    )
    store.command(
        "INSERT INTO settled_hours (hour, version, covers) SELECT toDateTime({hour:Int64}, 'UTC'), {version:UInt64},"
        " fromUnixTimestamp64Nano({covers:Int64}, 'UTC')",
        parameters,
    )


def _forget(store: Store, hour_s: int, version: int) -> None:
    """Delete a settling that a newer one replaced; queries have left it already."""
    for table in ("invocation_minutes", "invocation_hours", "error_hours", "usage_hours"):
        store.command(
            f"DELETE FROM {store.shape.table(table)}"
            " WHERE hour = toDateTime({hour:Int64}, 'UTC') AND version <= {version:UInt64}",
            {"hour": hour_s, "version": version},
        )
