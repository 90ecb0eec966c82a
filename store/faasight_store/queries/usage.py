"""What invocations used and cost, by hour: of settled hours from their rollup, the rest from invocations."""

import time

from faasight_store import buckets, prices
from faasight_store.connection import Store
from faasight_store.queries.hours import known_hours
from faasight_store.queries.merged import Sql
from faasight_store.queries.settled import invocations, sources
from faasight_store.times import HOUR, to_ns, within
from faasight_store.types import Scope

COLUMNS = (
    "environment, function, function_version, trigger, source, provider, architecture, init_type, memory_mb,"
    " memory_bucket, invocations, gb_seconds, cost_usd"
)

OF_INVOCATION = (
    "function", "version", "environment", "trigger", "source_kind", "source_name", "provider", "architecture",
    "init_type", "memory_mb", "memory_used_mb", "billed_ms", "duration_ms", "init_ms", "cost_usd", "never_ran", "start",
)  # fmt: skip


def of_invocations(source: Sql) -> str:
    """Return a select of `hour` and COLUMNS, of merged invocations: what settling keeps."""
    return f"""SELECT toStartOfHour(start) AS hour, environment, function, version AS function_version, trigger,
        if(source_name = '', source_kind, concat(source_kind, ':', source_name)) AS source, provider, architecture,
        init_type, toUInt32(round(ifNull(memory_mb, 0))) AS memory_mb, {buckets.sql("memory_used_mb")} AS memory_bucket,
        count() AS invocations,
        sum({prices.gb_seconds("invocation.memory_mb")}) AS gb_seconds,
        sum(invocation.cost_usd) AS cost_usd
    FROM {source.text} AS invocation WHERE NOT never_ran
    GROUP BY hour, environment, function, function_version, trigger, source, provider, architecture, init_type,
        memory_mb, memory_bucket"""


def used(store: Store, scope: Scope, function: str = "") -> Sql:
    """Return a sub-select of `hour` and COLUMNS over the scope."""
    start, end = to_ns(scope.start), to_ns(scope.end)
    known = known_hours(store, start, end)
    settled = {hour: version for hour, version in known.settled.items() if hour >= start and hour + HOUR <= end}
    gaps = known.gaps(start, end, [(hour, hour + HOUR) for hour in sorted(settled)])
    rest = invocations(
        sources(store, gaps, time.time_ns()), columns=OF_INVOCATION, function=function, environment=scope.environment
    )
    text = f"""({of_invocations(rest)} UNION ALL
        SELECT hour, {COLUMNS} FROM usage_hours
        WHERE {within("hour", "used_from", "used_to")} AND version IN {{used_settled:Array(UInt64)}}
          AND ({{used_function:String}} = '' OR function = {{used_function:String}})
          AND ({{used_environment:String}} = '' OR environment = {{used_environment:String}}))"""
    parameters = {
        **rest.parameters, "used_from": start, "used_to": end, "used_settled": list(settled.values()),
        "used_function": function, "used_environment": scope.environment,
    }  # fmt: skip
    return Sql(text, parameters)
