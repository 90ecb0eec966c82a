"""What is settled: hours kept as counts, and the minutes after them kept as merged invocations (rollup.py makes both).

A settling notes how many facts it was made of. Where as many are known today, nothing came since, and it holds; else
the facts are read. So what comes late counts at once, however late, and no clock decides it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from faasight_store.connection import Store
from faasight_store.queries.merged import COLUMNS, LOST_NS, Interval, Sql, begins, late_since, maybe_retried, merged
from faasight_store.times import HOUR, MINUTE, SECOND, moment, within

# How long minutes are looked for: until their hour is settled, twenty minutes after its end, and some more.
MINUTES_FOR_NS = 2 * HOUR
VAGUE_FOR_NS = 24 * HOUR  # touched_minutes, which knows of vague facts, is kept for longer
_NEAR, _FAR = 2, 16  # minutes: CLOCK_NS and SLACK_NS


# Up to where housekeeping dropped the facts (lifetime.py): what was settled of the hours before that is all there is.
FACTS_BEGIN = "(SELECT max(ends) FROM dropped_partitions WHERE table = 'invocation_facts')"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the invocations of some time are read from: `minutes` settled, the rest from the facts."""

    facts: tuple[Interval, ...]  # the last one follows `minutes`
    minutes: Interval | None = None
    late: Mapping[str, int] = field(default_factory=dict)  # functions whose facts are read from an earlier ns on
    vague: bool = True  # False: no fact that is read is vague
    retried: bool = True  # False: no invocation that is read ran twice under one request id


def settled_hours(store: Store, start: int, end: int) -> dict[int, int]:
    """Return the version of each settled hour of the range into which nothing came since.

    How many facts are known is kept as long as the facts are; what was settled outlives both.
    """
    hours = f"hour >= toStartOfHour({moment('start')}) AND hour < {moment('end')}"
    rows = store.query(
        f"""SELECT toUnixTimestamp(hour), newest FROM (
            SELECT hour, max(version) AS newest, argMax(facts, version) AS made_of,
                argMax(settled_hours.known, version) AS known_then
            FROM settled_hours WHERE {hours} GROUP BY hour
        ) AS settled LEFT JOIN (
            SELECT hour, sum(facts) AS known FROM touched_hours WHERE {hours} GROUP BY hour
        ) AS touched USING hour
        WHERE known = made_of OR known = 0 OR hour < {FACTS_BEGIN}
            OR (known = known_then AND hour = {FACTS_BEGIN})""",
        {"start": start, "end": end},
    )
    return {hour * 10**9: version for hour, version in rows}


_MINUTES = f"minute >= toStartOfMinute({moment('from_ns')}) AND minute < {moment('to_ns')}"
_FINAL = f"toUnixTimestamp(minute) * {SECOND} + {MINUTE + LOST_NS}"  # when what still runs counts as lost
_UNSETTLED = f"""
    SELECT minute, function FROM (
        SELECT minute, function, sum(near) AS near, sum(far) AS far
        FROM touched_minutes WHERE {_MINUTES} GROUP BY minute, function
    ) AS known LEFT JOIN (
        SELECT minute, function, max(settling) AS newest, argMax(near, settling) AS near,
            argMax(far, settling) AS far, argMax(running, settling) AS running
        FROM settled_minutes WHERE {_MINUTES} GROUP BY minute, function
    ) AS settled USING (minute, function)
    WHERE known.near != settled.near OR known.far != settled.far
        OR (settled.running > 0 AND settled.newest <= {_FINAL} AND {{now:Int64}} > {_FINAL})"""


def unsettled(store: Store, start: int, end: int, now: int) -> list[tuple[int, str]]:
    """Return each minute (ns) and function of the range that was not settled, or has changed since."""
    rows = store.query(
        f"SELECT toUnixTimestamp(minute), function FROM ({_UNSETTLED}) ORDER BY ALL",
        {"from_ns": start, "to_ns": end, "now": now},
    )
    return [(minute * SECOND, function) for minute, function in rows]


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the minutes of a range are settled."""

    frontier: int | None  # ns where they end, None if there are none
    vague: bool  # whether some fact near the range is vague
    late: Mapping[str, int]  # functions with a minute before the frontier to settle anew: the first one's ns


def standing(store: Store, start: int, end: int, now: int, vague_from: int | None = None) -> Standing:
    """Return how far the minutes of a range are settled, and whether facts from `vague_from` on are vague."""
    rows = store.query(
        f"""WITH (SELECT toUnixTimestamp(max(minute)) FROM settled_minutes WHERE {_MINUTES}) AS last
        SELECT '', toUInt64(last), (SELECT sum(far) FROM touched_minutes
            WHERE minute >= toStartOfMinute({moment("vague_from")}) AND minute < {moment("to_ns")})
        UNION ALL
        SELECT function, toUInt64(toUnixTimestamp(min(minute))), 0
        FROM ({_UNSETTLED}) WHERE toUnixTimestamp(minute) <= last GROUP BY function""",
        {"from_ns": start, "to_ns": end, "now": now, "vague_from": start if vague_from is None else vague_from},
    )
    found = {function: (at * SECOND, far) for function, at, far in rows}
    last, far = found.pop("")
    late = {function: at for function, (at, _) in found.items()}
    return Standing(last + MINUTE if last else None, bool(far), late)


def count_around(chosen: str) -> str:
    """Return a select of minute (s), function, near and far as touched_minutes has them, counted from the facts.

    Its parameters: from_ns, to_ns.
    """
    return f"""SELECT toUnixTimestamp(at + toIntervalMinute(d)) AS minute, function,
        sum(if(abs(d) <= {_NEAR}, facts, 0)), sum(vague_facts)
    FROM (
        SELECT toStartOfMinute(ts) AS at, function, count() AS facts, countIf(vague) AS vague_facts
        FROM invocation_facts
        WHERE ts >= {moment("from_ns")} - INTERVAL {_FAR} MINUTE AND ts < {moment("to_ns")} + INTERVAL {_FAR} MINUTE
          AND {chosen or "1"}
        GROUP BY at, function
    )
    ARRAY JOIN if(vague_facts > 0, range(-{_FAR}, {_FAR + 1}), range(-{_NEAR}, {_NEAR + 1})) AS d
    GROUP BY minute, function
    HAVING minute >= intDiv({{from_ns:Int64}}, {SECOND}) AND minute < intDiv({{to_ns:Int64}}, {SECOND})"""


def retried(store: Store, intervals: Sequence[Interval], late: Mapping[str, int]) -> bool:
    """Return whether some invocation near the intervals may have run twice under one request id."""
    if sum(end - start for start, end in intervals) > MINUTES_FOR_NS:
        return True  # to ask would cost as much as to look
    sql = maybe_retried(intervals, late)
    return bool(store.query(f"SELECT 1 FROM {sql.text} LIMIT 1", sql.parameters))


def sources(store: Store, gaps: Iterable[Interval], now: int) -> Sources:
    """Choose what to read for the gaps between settled hours: minutes for the last, as far as they go."""
    gaps = tuple(gaps)
    if not gaps or gaps[-1][1] < now - MINUTES_FOR_NS:
        return Sources(gaps)
    start, end = gaps[-1]
    first = max(start, (now - MINUTES_FOR_NS) // MINUTE * MINUTE)
    if first >= end:
        return Sources(gaps)
    oldest = gaps[0][0]
    at = standing(store, first, end, now, oldest)
    vague = at.vague or oldest < now - VAGUE_FOR_NS
    if at.frontier is None:
        return Sources(gaps, vague=vague, retried=retried(store, gaps, {}))
    last = min(at.frontier, end)
    late = {function: max(minute, first) for function, minute in at.late.items() if minute < last}
    before = ((start, first),) if start < first else ()
    facts = (*gaps[:-1], *before, (last, end))
    return Sources(facts, (first, last), late, vague=vague, retried=retried(store, facts, late))


def invocations(
    sources: Sources,
    *,
    columns: Sequence[str] = COLUMNS,
    function: str = "",
    environment: str = "",
    where: str = "",
    running: bool = False,
) -> Sql:
    """Return a sub-select of the invocations of some time, with those of COLUMNS that are asked for.

    `where` narrows them by invocation, request_id or function; with `running` those that have not ended are there too.
    """
    late = {name: ns for name, ns in sources.late.items() if not function or name == function}
    facts = merged(
        sources.facts, columns=columns, function=function, environment=environment, where=where, late=late,
        running=running, vague=sources.vague, retried=sources.retried,
    )  # fmt: skip
    if sources.minutes is None:
        return facts
    minutes = f"minute >= toStartOfMinute({moment('minutes_from')}) AND minute < {moment('minutes_to')}"
    conditions = [
        minutes,
        "(minute, function, settling) IN (SELECT minute, function, max(settling) FROM settled_minutes"
        f" WHERE {minutes} GROUP BY minute, function)",
        within("start", "minutes_from", "minutes_to"),
    ]
    if not running:
        conditions.append("outcome != 'running'")
    if late:
        conditions.append(f"toUnixTimestamp64Nano(start) < {begins('minutes_to')}")
    if function:
        conditions.append("function = {function:String}")
    if environment:
        conditions.append("environment = {environment:String}")
    if where:
        conditions.append(f"({where})")
    parameters: dict[str, Any] = {
        **facts.parameters, **late_since(late), "minutes_from": sources.minutes[0], "minutes_to": sources.minutes[1]
    }  # fmt: skip
    return Sql(
        f"(SELECT {', '.join(columns)} FROM settled_invocations WHERE {' AND '.join(conditions)}"
        f" UNION ALL {facts.text})",
        parameters,
    )
