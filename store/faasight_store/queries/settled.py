"""What is settled of the last hours: minutes kept as merged invocations (rollup.py makes them; for hours: hours.py).

A settling notes how many facts it was made of. Where as many are known today, nothing came since, and it holds; else
the facts are read. So what comes late counts at once, however late, and no clock decides it.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from faasight_store.cache import Once
from faasight_store.connection import Store
from faasight_store.queries.merged import COLUMNS, Interval, Sql, begins, late_since, maybe_retried, merged
from faasight_store.times import HOUR, MINUTE, SECOND, moment, within

# How long minutes are looked for: until their hour is settled, twenty minutes after its end, and some more.
MINUTES_FOR_NS = 2 * HOUR
FAR_AHEAD = 2**62 // MINUTE * MINUTE  # ns: the year 2116
_NEAR, _FAR = 2, 16  # minutes: CLOCK_NS and SLACK_NS


# Up to where housekeeping dropped the facts (lifetime.py): what was settled of the hours before that is all there is.
FACTS_BEGIN = "(SELECT max(ends) FROM dropped_partitions WHERE table = 'invocation_facts')"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the invocations of some time are read from: `minutes` settled, the rest from the facts."""

    facts: tuple[Interval, ...]
    minutes: Interval | None = None
    recent: Interval | None = None  # where `live.py` knows all that `minutes` does not: the last of `facts`, and `late`
    late: Mapping[str, int] = field(default_factory=dict)  # functions whose facts are read from an earlier ns on
    vague: bool = True  # False: no fact that is read is vague
    retried: bool = True  # False: no invocation that is read ran twice under one request id
    known: "Recent | None" = None  # of which all this was told

    def __bool__(self) -> bool:
        """Whether anything is to be read."""
        return bool(self.facts) or (self.minutes is not None and self.minutes[0] < self.minutes[1])

    def without_newest(self) -> "Sources":
        """Return what `live.py` does not know: the minutes, and facts of before them."""
        return replace(self, facts=self.facts[:-1], recent=None)


_MINUTES = f"minute >= toStartOfMinute({moment('from_ns')}) AND minute < {moment('to_ns')}"
_MARK = "Tuple(UInt64, UInt64, UInt64, UInt64)"
# Each minute of a function with the newest settling of it, and whether it is to be settled: anew, if something came.
_KNOWN = f"""
    SELECT minute, function, max(told) AS newest, max(told).1 AS at, sum(facts) AS all_near, sum(vague) AS all_far,
        all_near != newest.2 OR all_far != newest.3 OR (newest.4 > 0 AND {{now:Int64}} > newest.4) AS due
    FROM (
        SELECT minute, function, near AS facts, far AS vague, tuple(0, 0, 0, 0)::{_MARK} AS told
        FROM touched_minutes WHERE {_MINUTES}
        UNION ALL SELECT minute, function, 0, 0, (settling, near, far, lost_at)
        FROM settled_minutes WHERE {_MINUTES}
    ) GROUP BY minute, function"""


def unsettled(store: Store, start: int, end: int, now: int) -> list[tuple[int, str, int]]:
    """Return each minute (ns) and function of the range that was not settled, or has changed since, and its settling.

    That is 0 for none.
    """
    rows = store.query(
        f"SELECT toUnixTimestamp(minute), function, at FROM ({_KNOWN}) WHERE due ORDER BY ALL",
        {"from_ns": start, "to_ns": end, "now": now},
    )
    return [(minute * SECOND, function, settling) for minute, function, settling in rows]


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the minutes of a time are settled."""

    frontier: int | None  # ns where they end, None if there are none
    vague_until: int  # ns: no fact bears on a later minute that is vague
    late: Mapping[str, int]  # functions with a minute before the frontier to settle anew: the first one's ns
    made_of: Mapping[int, int] = field(default_factory=dict)  # of each minute (ns) what tells its settlings apart
    facts: int = 0  # about how many there are


def standing(store: Store, start: int, now: int) -> Standing:
    """Return how far the minutes from `start` on are settled, and until when facts are vague."""
    rows = store.query(
        f"""SELECT function, toUnixTimestamp(maxIf(minute, at > 0)), toUnixTimestamp(maxIf(minute, all_far > 0)),
            groupArrayIf(toUnixTimestamp(minute), due), toUnixTimestamp(minute), sum(cityHash64(function, at)),
            sum(all_near), grouping(function) AS of_minute
        FROM ({_KNOWN}) GROUP BY GROUPING SETS ((function), (minute))""",
        {"from_ns": start, "to_ns": FAR_AHEAD, "now": now},
    )
    functions = [row for row in rows if not row[-1]]
    last = max((row[1] for row in functions), default=0)
    first_due = {row[0]: min((minute for minute in row[3] if minute <= last), default=0) for row in functions}
    return Standing(
        frontier=last * SECOND + MINUTE if last else None,
        vague_until=max((row[2] for row in functions), default=0) * SECOND + MINUTE,
        late={function: minute * SECOND for function, minute in first_due.items() if minute},
        made_of={row[4] * SECOND: row[5] for row in rows if row[-1]},
        facts=sum(row[6] for row in functions) // (2 * _NEAR + 1),
    )


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


@dataclass(frozen=True, slots=True, eq=False)
class Recent:
    """What is known of the time that no settled hour holds, at one moment."""

    first: int  # ns: no minute is looked for before
    standing: Standing
    retried: bool  # whether an invocation that is not settled may have run twice under one request id
    # What is not settled, merged when it is first asked for: it must begin where these minutes end, whatever is settled
    # meanwhile.
    merged: Once["Recent", Any] = field(default_factory=Once)
    failed: Once["Recent", Any] = field(default_factory=Once)  # of that the failures, grouped
    minutes: Once["Recent", Any] = field(default_factory=Once)  # what is settled by the minute, counted


def recent(store: Store) -> Recent:
    """Return what all queries of the last hours must know first; the store remembers it for a moment."""

    def renewed(before: Recent) -> Recent:
        now = _recent(store, time.time_ns())
        now.merged.follow(before.merged, now)
        now.failed.follow(before.failed, now)
        now.minutes.follow(before.minutes, now)
        return now

    return store.shared("recent", lambda: _recent(store, time.time_ns()), renewed)


def _recent(store: Store, now: int) -> Recent:
    first = (now - MINUTES_FOR_NS) // MINUTE * MINUTE
    at = standing(store, first, now)
    twice = at.frontier is None or _retried(store, [(at.frontier, FAR_AHEAD)], at.late)
    return Recent(first, at, twice)


def _retried(store: Store, intervals: Sequence[Interval], late: Mapping[str, int]) -> bool:
    """Return whether some invocation near the intervals may have run twice under one request id."""
    sql = maybe_retried(intervals, late)
    return bool(store.query(f"SELECT 1 FROM {sql.text} LIMIT 1", sql.parameters))


def _maybe_retried(store: Store, intervals: Sequence[Interval]) -> bool:
    if sum(end - start for start, end in intervals) > MINUTES_FOR_NS:
        return True  # to ask would cost as much as to look
    return bool(intervals) and _retried(store, intervals, {})


def sources(store: Store, gaps: Iterable[Interval], now: int) -> Sources:
    """Choose what to read for the gaps between settled hours: minutes for the last, as far as they go."""
    gaps = tuple(gaps)
    if not gaps or gaps[-1][1] < now - MINUTES_FOR_NS:
        return Sources(gaps)
    known = recent(store)
    at, (start, end) = known.standing, gaps[-1]
    first = max(start, known.first)
    vague = gaps[0][0] <= at.vague_until or gaps[0][0] < known.first
    if at.frontier is None or first >= end:
        return Sources(gaps, vague=vague, retried=_maybe_retried(store, gaps))
    last = min(max(at.frontier, first), end)
    late = {function: max(minute, first) for function, minute in at.late.items() if minute < last}
    before = (*gaps[:-1], *(((start, first),) if start < first else ()))
    return Sources(
        (*before, (last, end)), (first, last), (first, end), late,
        vague=vague, retried=known.retried or _maybe_retried(store, before), known=known,
    )  # fmt: skip


def invocations(
    sources: Sources,
    *,
    columns: Sequence[str] = COLUMNS,
    function: str = "",
    environment: str = "",
    where: str = "",
    running: bool = False,
    unwell: bool = False,
) -> Sql:
    """Return a sub-select of the invocations of some time, with those of COLUMNS that are asked for.

    `where` narrows them by invocation, request_id or function; with `running` those that have not ended are there too,
    with `unwell` those that went well need not be.
    """
    late = {name: ns for name, ns in sources.late.items() if not function or name == function}
    # An empty one costs its planning, but from a late function's first minute on it is not empty.
    intervals = [some for some in sources.facts if some[0] < some[1] or (late and sources.recent)]
    facts = merged(
        intervals, columns=columns, function=function, environment=environment, where=where,
        late=late if sources.recent else {}, running=running, unwell=unwell, vague=sources.vague,
        retried=sources.retried,
    )  # fmt: skip
    if sources.minutes is None or sources.minutes[0] >= sources.minutes[1]:
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
    minutes = f"SELECT {', '.join(columns)} FROM settled_invocations WHERE {' AND '.join(conditions)}"
    return Sql(f"({minutes} UNION ALL {facts.text})" if intervals else f"({minutes})", parameters)
