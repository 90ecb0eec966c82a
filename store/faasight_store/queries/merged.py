"""Invocations merged from their witnesses: SQL that the other queries select from.

A witness is the function (its span), the platform (start, report, done, fault) or a throttled caller. They come in any
order, late and twice, and each reckons the start of the invocation. Reckoned starts agree within CLOCK; a vague one,
which only knows the end, within SLACK. So a range is read with that much more on both sides, merged by (function,
request_id), and only then cut: whatever range is asked for, an invocation has one start and lies in one of two
neighbouring ranges.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from faasight_store import prices
from faasight_store.times import MINUTE, within

# Witnesses that know the start sit on the same machine or in the same cloud.
CLOCK_NS = 2 * MINUTE
# AWS ends every invocation after 15 minutes, so no witness is further from its start, give or take a clock.
SLACK_NS = 16 * MINUTE
LOST_NS = 15 * MINUTE  # started, never ended: longer than any invocation may run

Interval = tuple[int, int]  # [start, end) in ns


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of SQL with its parameters."""

    text: str
    parameters: dict[str, Any]


_MERGE = """
    SELECT
        any(fact.function) AS function,
        fact.invocation AS invocation,
        any(fact.request_id) AS request_id,
        fact.witness IN ('throttle', 'caller') AS never_ran,
        -- The most trusted witness's time, the earliest if it told twice: three bits of witness above 61 of ns.
        min(bitOr(bitShiftLeft(toUInt64(toUInt64(fact.witness) - 1), 61),
                  toUInt64(toUnixTimestamp64Nano(fact.ts)))) AS trusted,
        fromUnixTimestamp64Nano(toInt64(bitAnd(trusted, bitShiftLeft(toUInt64(1), 61) - 1)), 'UTC') AS start,
        -- The function reports a time-out shortly before it comes; whether it did come, the platform knows.
        if(countIf(fact.witness IN ('report', 'done') AND fact.outcome != '') > 0,
           maxIf(fact.outcome, fact.witness != 'function' OR fact.outcome != 'timeout'), max(fact.outcome)) AS gravest,
        multiIf(never_ran, 'throttled', gravest != '', toString(gravest),
                start < now64(9) - toIntervalNanosecond({lost_ns:Int64}), 'lost', 'running') AS outcome,
        if(maxIf(fact.environment, fact.witness = 'function') != '', maxIf(fact.environment, fact.witness = 'function'),
           if(max(fact.environment) != '', max(fact.environment), 'default')) AS environment,
        max(fact.version) AS version,
        max(fact.region) AS region,
        max(fact.architecture) AS architecture,
        max(fact.provider) AS provider,
        countIf(fact.witness = 'function') > 0 AS instrumented,
        if(instrumented, maxIf(fact.trace_id, fact.witness = 'function'), max(fact.trace_id)) AS trace_id,
        max(fact.trigger) AS trigger,
        max(fact.source_kind) AS source_kind,
        max(fact.source_name) AS source_name,
        max(fact.attempt) AS attempt,
        max(fact.queue_wait_ms) AS queue_wait_ms,
        max(fact.timeout_ms) AS timeout_ms,
        coalesce(maxIf(fact.duration_ms, fact.witness = 'report'), maxIf(fact.duration_ms, fact.witness = 'done'),
                 max(fact.duration_ms)) AS duration_ms,
        coalesce(maxIf(fact.init_ms, fact.witness = 'report'), max(fact.init_ms)) AS init_ms,
        max(fact.init_type) AS init_type,
        if(instrumented, max(fact.cold_start), ifNull(max(fact.init_ms), 0) > 0) AS cold_start,
        max(fact.billed_ms) AS billed_ms,
        coalesce(maxIf(fact.memory_mb, fact.witness = 'report'), max(fact.memory_mb)) AS memory_mb,
        coalesce(maxIf(fact.memory_used_mb, fact.witness = 'report'), max(fact.memory_used_mb)) AS memory_used_mb,
        if(gravest = 'ok', '', minIf((fact.witness, fact.error_type), fact.error_type != '').2) AS error_type,
        if(gravest = 'ok', '', max(fact.error_message)) AS error_message,
        if(gravest = 'ok', '', max(fact.error_frames)) AS error_frames,
        -- The platform and the caller both tell of the same attempts.
        if(never_ran, greatest(uniqExactIf(fact.ts, fact.witness = 'throttle'),
                               uniqExactIf(fact.ts, fact.witness = 'caller')), 0) AS throttles,
        if(never_ran OR outcome = 'running', 0, %(cost)s) AS cost_usd
    FROM (SELECT *, invocation FROM invocation_facts WHERE %(read)s) AS fact
    GROUP BY fact.invocation, never_ran
    HAVING outcome != 'running' AND %(keep)s
"""


def merged(intervals: Sequence[Interval], *, function: str = "", environment: str = "", where: str = "") -> Sql:
    """Return a sub-select of the invocations that start in one of the intervals.

    `where` narrows the facts that are read; it must keep or leave all facts of an invocation. Those that still run are
    no part of it: they are counted when they end, or are lost.
    """
    parameters: dict[str, Any] = {"lost_ns": LOST_NS}
    near: list[str] = []
    far: list[str] = []
    keep: list[str] = []
    for i, (start, end) in enumerate(intervals):
        for name, slack, conditions, column in (
            ("near", CLOCK_NS, near, "ts"),
            ("far", SLACK_NS, far, "ts"),
            ("keep", 0, keep, "start"),
        ):
            parameters |= {f"{name}_from_{i}": start - slack, f"{name}_to_{i}": end + slack}
            conditions.append(within(column, f"{name}_from_{i}", f"{name}_to_{i}"))
    all_near, all_far = " OR ".join(near) or "0", " OR ".join(far) or "0"
    vague = f"invocation IN (SELECT invocation FROM invocation_facts WHERE vague AND ({all_far}))"
    reads, keeps = [f"({all_near} OR (({all_far}) AND {vague}))"], [f"({' OR '.join(keep) or '0'})"]
    if function:
        parameters["function"] = function
        reads.append("function = {function:String}")
    if environment:
        parameters["environment"] = environment
        keeps.append("environment = {environment:String}")
    if where:
        reads.append(f"({where})")
    filled = {"read": " AND ".join(reads), "keep": " AND ".join(keeps), "cost": prices.sql()}
    return Sql(f"({_MERGE % filled})", parameters)
