"""Invocations merged from their witnesses: SQL that the other queries select from.

A witness is the function (its span), the platform (start, report, done, fault) or a throttled caller. They come in any
order, late and twice, and each reckons the start of the invocation. Reckoned starts agree within CLOCK; a vague one,
which only knows the end, within SLACK. So a range is read with that much more on both sides, merged by (function,
request_id), and only then cut: whatever range is asked for, an invocation has one start and lies in one of two
neighbouring ranges.

AWS runs a failed asynchronous invocation again under the same request id, a minute later. A witness tells of each run,
so one that told of two starts further apart than RETRY tells of two runs; each fact belongs to the nearest of them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from faasight_store import prices
from faasight_store.times import MINUTE, SECOND, within

# Witnesses that know the start sit on the same machine or in the same cloud.
CLOCK_NS = 2 * MINUTE
# AWS ends every invocation after 15 minutes, so no witness is further from its start, give or take a clock.
SLACK_NS = 16 * MINUTE
# Started and never ended is lost once its time limit is over, where no limit is known AWS's longest one, and so long
# after it: what tells of its end may come late.
GRACE_NS = MINUTE
LOST_NS = 15 * MINUTE + GRACE_NS

# Two times that one witness tells of are two runs if they are further apart: AWS waits a minute and longer before it
# tries again, and what tells of one run twice (a report as an event and as a log line) agrees within a second.
RETRY_NS = 10 * SECOND

FEW_NS = 15 * MINUTE  # what is not longer than this is merged by one thread

Interval = tuple[int, int]  # [start, end) in ns


def lost_at(start: str, timeout_ms: str) -> str:
    """Return SQL for the ns from which what began at `start` counts as lost; `timeout_ms` may be NULL: not known."""
    limit = f"if(ifNull({timeout_ms}, 0) > 0, {timeout_ms} + {GRACE_NS // 10**6}, {LOST_NS // 10**6})"
    return f"(toUnixTimestamp64Nano({start}) + toInt64(least(assumeNotNull({limit}), {LOST_NS // 10**6}) * 1e6))"


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of SQL with its parameters."""

    text: str
    parameters: dict[str, Any]


def narrowed(function: str = "", environment: str = "") -> Sql:
    """Return the conditions that choose some of a table of functions, each with AND before it; "" chooses all."""
    chosen = {name: some for name, some in (("function", function), ("environment", environment)) if some}
    return Sql("".join(f" AND {name} = {{{name}:String}}" for name in chosen), chosen)


# What is summed up of an invocation's facts, and what is told from that; each may need others (see _needed).
_OF_FACTS = {
    "function": "any(fact.function)",
    "request_id": "any(fact.request_id)",
    # The most trusted witness's time, the earliest if it told twice: three bits of witness above 61 of ns.
    "trusted": "min(bitOr(bitShiftLeft(toUInt64(toUInt64(fact.witness) - 1), 61),"
    " toUInt64(toUnixTimestamp64Nano(fact.ts))))",
    # The function reports a time-out shortly before it comes; whether it did come, the platform knows.
    "gravest": "if(countIf(fact.witness IN ('report', 'done') AND fact.outcome != '') > 0,"
    " maxIf(fact.outcome, fact.witness != 'function' OR fact.outcome != 'timeout'), max(fact.outcome))",
    "own_environment": "maxIf(fact.environment, fact.witness = 'function')",
    "any_environment": "max(fact.environment)",
    "version": "max(fact.version)",
    "region": "max(fact.region)",
    "architecture": "max(fact.architecture)",
    "provider": "max(fact.provider)",
    "instrumented": "countIf(fact.witness = 'function') > 0",
    "own_trace": "maxIf(fact.trace_id, fact.witness = 'function')",
    "any_trace": "max(fact.trace_id)",
    "trigger": "max(fact.trigger)",
    "source_kind": "max(fact.source_kind)",
    "source_name": "max(fact.source_name)",
    "attempt": "max(fact.attempt)",
    "queue_wait_ms": "max(fact.queue_wait_ms)",
    "timeout_ms": "max(fact.timeout_ms)",
    "duration_ms": "coalesce(maxIf(fact.duration_ms, fact.witness = 'report'),"
    " maxIf(fact.duration_ms, fact.witness = 'done'), max(fact.duration_ms))",
    "any_init_ms": "max(fact.init_ms)",
    "init_ms": "coalesce(maxIf(fact.init_ms, fact.witness = 'report'), max(fact.init_ms))",
    "init_type": "max(fact.init_type)",
    "told_cold": "max(fact.cold_start)",
    "billed_ms": "max(fact.billed_ms)",
    "memory_mb": "coalesce(maxIf(fact.memory_mb, fact.witness = 'report'), max(fact.memory_mb))",
    "memory_used_mb": "coalesce(maxIf(fact.memory_used_mb, fact.witness = 'report'), max(fact.memory_used_mb))",
    "any_error_type": "minIf((fact.witness, fact.error_type), fact.error_type != '').2",
    "any_error_message": "max(fact.error_message)",
    "any_error_frames": "max(fact.error_frames)",
    # The platform and the caller both tell of the same attempts.
    "attempts": "greatest(uniqExactIf(fact.ts, fact.witness = 'throttle'),"
    " uniqExactIf(fact.ts, fact.witness = 'caller'))",
}
_TOLD = {
    "start": ("fromUnixTimestamp64Nano(toInt64(bitAnd(trusted, bitShiftLeft(toUInt64(1), 61) - 1)), 'UTC')", "trusted"),
    "outcome": (
        "multiIf(never_ran, 'throttled', gravest != '', toString(gravest),"
        f" toUnixTimestamp64Nano(now64(9)) > {lost_at('start', 'timeout_ms')}, 'lost', 'running')",
        "gravest start timeout_ms",
    ),
    "environment": (
        "multiIf(own_environment != '', own_environment, any_environment != '', any_environment, 'default')",
        "own_environment any_environment",
    ),
    "trace_id": ("if(instrumented, own_trace, any_trace)", "instrumented own_trace any_trace"),
    "cold_start": ("if(instrumented, told_cold, ifNull(any_init_ms, 0) > 0)", "instrumented told_cold any_init_ms"),
    "error_type": ("if(gravest = 'ok', '', any_error_type)", "gravest any_error_type"),
    "error_message": ("if(gravest = 'ok', '', any_error_message)", "gravest any_error_message"),
    "error_frames": ("if(gravest = 'ok', '', any_error_frames)", "gravest any_error_frames"),
    "throttles": ("if(never_ran, attempts, 0)", "attempts"),
    "cost_usd": (
        f"if(never_ran OR outcome = 'running', 0, {prices.sql()})",
        "outcome provider architecture init_type memory_mb memory_used_mb duration_ms init_ms billed_ms",
    ),
}
# Every column of an invocation, in the order of the table settled_invocations.
COLUMNS = (
    "function", "invocation", "request_id", "never_ran", "start", "outcome", "environment", "version", "region",
    "architecture", "provider", "instrumented", "trace_id", "trigger", "source_kind", "source_name", "attempt",
    "queue_wait_ms", "timeout_ms", "duration_ms", "init_ms", "init_type", "cold_start", "billed_ms", "memory_mb",
    "memory_used_mb", "error_type", "error_message", "error_frames", "throttles", "cost_usd",
)  # fmt: skip
_KEYS = ("invocation", "never_ran")
_MERGE = """
    SELECT %(columns)s FROM (
        SELECT %(sums)s
        FROM (%(source)s) AS fact
        GROUP BY fact.invocation, fact.run, never_ran
    ) WHERE %(keep)s
"""
_UNWELL = (
    "invocation IN (SELECT invocation FROM invocation_facts WHERE %s GROUP BY invocation"
    " HAVING max(outcome) != 'ok' OR max(witness) >= 'throttle')"
)
_PLAIN = "SELECT %(facts)s, 0 AS run FROM invocation_facts WHERE %(read)s"
_BY_RUN = """
    SELECT told.*, %(run)s AS run FROM (SELECT %(facts)s FROM invocation_facts WHERE %(read)s) AS told
    LEFT ANY JOIN (%(retried)s) AS retried ON told.invocation = retried.invocation"""
_APART = "HAVING max(ts) > min(ts) + toIntervalNanosecond({retry_ns:Int64})"
# Invocations that a witness told of twice, with the starts of their runs: by the witness that knows of most.
_RETRIED = """
    SELECT invocation, arrayMap(w -> arraySort(arrayMap(t -> t.2, arrayFilter(t -> t.1 = w, told))), range(1, 7)) AS by,
        arrayMap(times -> arrayFilter((t, i) -> i = 1 OR t - times[i - 1] > {retry_ns:Int64}, times,
                                      arrayEnumerate(times)), by) AS starts,
        arraySort(s -> -length(s), starts)[1] AS runs
    FROM (
        SELECT invocation, groupArray((toUInt8(witness), toUnixTimestamp64Nano(ts))) AS told
        FROM invocation_facts WHERE %(read)s AND NOT vague AND witness < 'throttle'
        GROUP BY invocation %(apart)s
    ) WHERE length(runs) > 1"""
# Which run a fact is of, from 1; 0 where there was but one. What only knows its end belongs to the last that began.
_RUN = """multiIf(
    empty(retried.runs) OR told.witness IN ('throttle', 'caller'), 0,
    told.vague, greatest(1, arrayCount(t -> t <= toUnixTimestamp64Nano(told.ts), retried.runs)),
    arrayReduce('argMin', arrayEnumerate(retried.runs),
                arrayMap(t -> abs(t - toUnixTimestamp64Nano(told.ts)), retried.runs)))"""


def merged(
    intervals: Sequence[Interval],
    *,
    columns: Sequence[str] = COLUMNS,
    function: str = "",
    environment: str = "",
    where: str = "",
    late: Mapping[str, int] | None = None,
    running: bool = False,
    unwell: bool = False,
    vague: bool = True,
    retried: bool = True,
) -> Sql:
    """Return a sub-select of the invocations that start in one of the intervals, with those of COLUMNS that are asked.

    `where` narrows the facts that are read; it must keep or leave all facts of an invocation. `late` names functions of
    which the last interval begins earlier, with the ns. Those that still run are left out unless `running`: they are
    counted when they end, or are lost; with `unwell` those may be left out of which all who know say that they went
    well, which is cheaper where failures are looked for. Without `vague` or `retried` it is known that no fact near the
    intervals is vague, and that no invocation there ran twice.
    """
    times = _times(intervals, late, vague=vague)
    parameters = {"retry_ns": RETRY_NS, **late_since(late), **times.parameters}
    read, keep = [times.read], [times.keep]
    if function:
        parameters["function"] = function
        read.append("function = {function:String}")
    if environment:
        parameters["environment"] = environment
        keep.append("environment = {environment:String}")
    if where:
        read.append(f"({where})")
    if unwell:
        read.append(f"({_UNWELL % ' AND '.join(read)})")
    if not running:
        keep.append("outcome != 'running'")
    needed = _needed({*columns, "function", "start", "environment" if environment else "", "outcome"} - {""})
    sums = [f"{text} AS {name}" for name, text in _OF_FACTS.items() if name in needed]
    filled = {
        "columns": ", ".join(f"{_TOLD[name][0]} AS {name}" if name in _TOLD else name for name in needed),
        "sums": ", ".join(["fact.invocation AS invocation", "fact.witness >= 'throttle' AS never_ran", *sums]),
        "facts": ", ".join(sorted({*_FACT.findall(" ".join(sums)), "invocation", "witness", "ts", "vague"})),
        "read": " AND ".join(read), "keep": " AND ".join(keep), "run": _RUN,
    }  # fmt: skip
    filled["retried"] = _RETRIED % {"read": filled["read"], "apart": _APART}
    filled["source"] = (_BY_RUN if retried else _PLAIN) % filled
    few = sum(end - start for start, end in intervals) <= FEW_NS and not late
    threads = " SETTINGS max_threads = 1" if few else ""  # of a few rows two threads make twice the work
    return Sql(f"(SELECT {', '.join(columns)} FROM ({_MERGE % filled}){threads})", parameters)


def maybe_retried(intervals: Sequence[Interval], late: Mapping[str, int]) -> Sql:
    """Return a sub-select of invocations near the intervals of which some facts lie apart."""
    times = _times(intervals, late, vague=False)
    return Sql(
        f"(SELECT invocation FROM invocation_facts WHERE {times.read} AND NOT vague AND witness < 'throttle'"
        f" GROUP BY invocation {_APART})",
        {**times.parameters, **late_since(late), "retry_ns": RETRY_NS},
    )


_FACT = re.compile(r"\bfact\.(\w+)")


def _needed(wanted: set[str]) -> list[str]:
    """Return the columns with all that they are told from; what is told from others after them."""
    found, news = set(_KEYS), wanted
    while news:
        found |= news
        news = {other for name in news if name in _TOLD for other in _TOLD[name][1].split()} - found
    return sorted(found, key=lambda name: (name in _TOLD, list(_TOLD).index(name) if name in _TOLD else 0, name))


@dataclass(frozen=True, slots=True)
class _Times:
    """Conditions: which facts to read for some intervals, and which invocations to keep."""

    read: str
    keep: str
    parameters: dict[str, Any]


def _times(intervals: Sequence[Interval], late: Mapping[str, int] | None, *, vague: bool) -> _Times:
    parameters: dict[str, Any] = {}
    found: dict[str, list[str]] = {"near": [], "far": [], "keep": []}
    for i, (start, end) in enumerate(intervals):
        first = min([start, *late.values()]) if late and i == len(intervals) - 1 else start
        for name, slack in (("near", CLOCK_NS), ("far", SLACK_NS), ("keep", 0)):
            if name == "far" and not vague:
                continue
            column = "start" if name == "keep" else "ts"
            parameters |= {f"{name}_from_{i}": first - slack, f"{name}_to_{i}": end + slack}
            condition = within(column, f"{name}_from_{i}", f"{name}_to_{i}")
            if first != start:
                parameters[f"{name}_begin_{i}"] = start
                begin = begins(f"{name}_begin_{i}")
                condition = f"({condition} AND toUnixTimestamp64Nano({column}) >= {begin} - {slack})"
            found[name].append(condition)
    near, far, keep = (" OR ".join(found[name]) or "0" for name in ("near", "far", "keep"))
    if vague:
        of_vague = f"invocation IN (SELECT invocation FROM invocation_facts WHERE vague AND ({far}))"
        near = f"({near}) OR (({far}) AND {of_vague})"
    return _Times(f"({near})", f"({keep})", parameters)


def begins(parameter: str) -> str:
    """Return SQL for the ns from which a function's facts are wanted: its own if it is late, else the parameter's."""
    return f"transform(toString(function), {{late:Array(String)}}, {{late_from:Array(Int64)}}, {{{parameter}:Int64}})"


def late_since(late: Mapping[str, int] | None) -> dict[str, Any]:
    """Return the parameters that `begins` needs."""
    return {"late": list(late), "late_from": list(late.values())} if late else {}
