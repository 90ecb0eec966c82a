"""Counts of invocations by function, time and duration: of settled hours where there are some, else of invocations."""

import time
from dataclasses import dataclass
from enum import Enum
from typing import Any

from faasight_store import buckets
from faasight_store.connection import Store
from faasight_store.queries.merged import Interval, Sql
from faasight_store.queries.settled import Sources, invocations, settled_hours, sources
from faasight_store.times import HOUR, MINUTE, moment, to_ns
from faasight_store.types import Scope

# The measures of a cell, in the order of the tables invocation_slots and invocation_hours.
_MEASURES = (
    "invocations, errors, timeouts, out_of_memory, throttles, cold_starts, cost_usd, busy_ms, max_ms, memory_used_mb"
)
OF_CELLS = (
    "environment", "function", "start", "never_ran", "outcome", "throttles", "cold_start", "cost_usd", "duration_ms",
    "memory_used_mb", "init_ms", "init_type",
)  # fmt: skip
# A ping that only keeps a function warm costs and takes a sandbox's time, and is no invocation that anybody waits for.
_OF_INVOCATION = f"""
    toUInt64(NOT never_ran AND outcome != 'warm_up') AS invocations,
    toUInt64(outcome NOT IN ('ok', 'throttled', 'warm_up')) AS errors,
    toUInt64(outcome = 'timeout') AS timeouts,
    toUInt64(outcome = 'out_of_memory') AS out_of_memory,
    toUInt64(throttles) AS throttles,
    toUInt64(cold_start AND NOT never_ran AND outcome != 'warm_up') AS cold_starts,
    cost_usd,
    ifNull(duration_ms, 0) AS busy_ms,
    if(outcome = 'warm_up', NULL, duration_ms) AS max_ms,
    memory_used_mb,
    if(outcome = 'warm_up', {buckets.NONE}, {buckets.sql("duration_ms")}) AS bucket,
    if(cold_start AND outcome != 'warm_up', {buckets.sql("init_ms")}, {buckets.NONE}) AS init_bucket,
    multiIf(never_ran OR NOT cold_start OR outcome = 'warm_up', '', init_type = '', 'on-demand', init_type)
        AS init_type"""
_COLUMNS = f"environment, function, toDateTime64(slot, 9, 'UTC') AS slot, {_MEASURES}, bucket, init_bucket, init_type"


SLOT_NS = MINUTE // 2  # of invocation_slots: pages of one and of three hours have buckets of 30 and 90 s


class Grain(Enum):
    """How finely a query cuts the time: it decides which tables may answer."""

    EXACT = 0  # finer than half a minute
    SLOTS = 1
    HOURS = 2

    @classmethod
    def of_step(cls, step_ns: int, hours_from: int = 6 * HOUR) -> "Grain":
        """Return the grain for buckets of a length; hours do from `hours_from` on, an hour then lies in one bucket."""
        if step_ns < SLOT_NS:
            return cls.EXACT
        return cls.SLOTS if step_ns < hours_from else cls.HOURS


# Hours that the scope touches.
HOURS_IN_SCOPE = f"hour >= toStartOfHour({moment('scope_ns')}) AND hour < {moment('scope_end_ns')}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Where the invocations of a range are read from."""

    hours: tuple[int, ...]  # versions of settled hours that lie wholly in the range
    slots: tuple[int, ...]  # versions of settled hours at its edges, or of all, where half minutes are asked for
    rest: Sources
    start_ns: int  # between these two, slots
    end_ns: int


def of_invocations(source: Sql, slot: str = "start") -> str:
    """Return a select of one cell an invocation."""
    return f"SELECT environment, function, {slot} AS slot, {_OF_INVOCATION} FROM {source.text}"


def measures() -> str:
    """Return the names of a cell's measures, as a list of columns."""
    return _MEASURES


def plan(store: Store, scope: Scope, grain: Grain = Grain.HOURS) -> Plan:
    """Choose the cheapest tables that are fine enough."""
    start, end = to_ns(scope.start), to_ns(scope.end)
    settled = settled_hours(store, start, end) if grain is not Grain.EXACT else {}
    first, last = -(-start // SLOT_NS) * SLOT_NS, end // SLOT_NS * SLOT_NS
    whole = {h for h in settled if grain is Grain.HOURS and h >= start and h + HOUR <= end}
    covered = [(max(h, first), min(h + HOUR, last)) for h in sorted(settled)]
    return Plan(
        hours=tuple(settled[h] for h in sorted(whole)),
        slots=tuple(version for h, version in sorted(settled.items()) if h not in whole),
        rest=sources(store, complement(start, end, [c for c in covered if c[0] < c[1]]), time.time_ns()),
        start_ns=first,
        end_ns=last,
    )


def cells(plan: Plan, scope: Scope, function: str = "", *, spread_ns: int = 0) -> Sql:
    """Return a sub-select of cells: environment, function, slot, the measures, bucket, init_bucket and init_type.

    With `spread_ns` the busy time of an invocation is spread over the buckets of that length which it ran through.
    """
    parts: list[str] = []
    parameters: dict[str, Any] = {"step_ns": spread_ns}
    conditions = "".join(
        f" AND {name} = {{{name}:String}}"
        for name, value in (("function", function), ("environment", scope.environment))
        if value
    )
    if plan.hours:
        parts.append(
            f"SELECT {_COLUMNS} FROM invocation_hours WHERE {HOURS_IN_SCOPE}"
            f" AND version IN {{hours:Array(UInt64)}}{conditions}"
        )
    if plan.slots:
        parts.append(
            f"SELECT {_COLUMNS} FROM invocation_slots WHERE {HOURS_IN_SCOPE}"
            f" AND version IN {{slots:Array(UInt64)}}{conditions}"
            " AND slot >= toDateTime({first_s:Int64}, 'UTC') AND slot < toDateTime({last_s:Int64}, 'UTC')"
        )
    if plan.rest.facts or plan.rest.minutes or not parts:
        source = invocations(plan.rest, columns=OF_CELLS, function=function, environment=scope.environment)
        each = of_invocations(source)
        parts.append(_spread(each) if spread_ns else f"SELECT {_COLUMNS} FROM ({each})")
        parameters |= source.parameters
    parameters |= {
        "hours": list(plan.hours),
        "slots": list(plan.slots),
        "first_s": plan.start_ns // 10**9,
        "last_s": plan.end_ns // 10**9,
        "scope_ns": to_ns(scope.start),
        "scope_end_ns": to_ns(scope.end),
        "function": function,
        "environment": scope.environment,
    }
    return Sql(f"({' UNION ALL '.join(parts)})", parameters)


def _spread(facts: str) -> str:
    """Count an invocation where it starts, and its busy time where it ran."""
    first = "intDiv(toUnixTimestamp64Nano(start) - {scope_ns:Int64}, {step_ns:Int64})"
    last = "intDiv(toUnixTimestamp64Nano(start) + toInt64(busy * 1e6) - {scope_ns:Int64}, {step_ns:Int64})"
    counted = ", ".join(
        f"toUInt64(k = 0) * {name} AS {name}"
        for name in ("invocations", "errors", "timeouts", "out_of_memory", "throttles", "cold_starts", "cost_usd")
    )
    edge = f"({{scope_ns:Int64}} + ({first} + k) * {{step_ns:Int64}})"
    began, ended = "toUnixTimestamp64Nano(start)", "(toUnixTimestamp64Nano(start) + toInt64(busy * 1e6))"
    return f"""SELECT environment, function,
        if(k = 0, start, fromUnixTimestamp64Nano({edge}, 'UTC')) AS slot,
        {counted},
        greatest(least({ended}, {edge} + {{step_ns:Int64}}) - greatest({began}, {edge}), 0) / 1e6 AS busy_ms,
        if(k = 0, longest, NULL) AS max_ms,
        if(k = 0, used, NULL) AS memory_used_mb,
        if(k = 0, duration_bucket, {buckets.NONE}) AS bucket,
        if(k = 0, cold_bucket, {buckets.NONE}) AS init_bucket,
        if(k = 0, type_of_init, '') AS init_type
    FROM (SELECT * EXCEPT (slot, busy_ms, max_ms, memory_used_mb, bucket, init_bucket, init_type),
                 slot AS start, busy_ms AS busy, max_ms AS longest, memory_used_mb AS used,
                 bucket AS duration_bucket, init_bucket AS cold_bucket, init_type AS type_of_init FROM ({facts}))
    ARRAY JOIN range(toUInt64(least({last} - {first}, 2000)) + 1) AS k
    WHERE slot < {moment("scope_end_ns")}"""


def complement(start: int, end: int, covered: list[Interval]) -> tuple[Interval, ...]:
    """Return what of the range the sorted parts leave out."""
    gaps, at = [], start
    for low, high in covered:
        if low > at:
            gaps.append((at, low))
        at = max(at, high)
    if at < end:
        gaps.append((at, end))
    return tuple(gaps)
