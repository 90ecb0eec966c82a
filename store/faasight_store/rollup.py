"""Settling: what is over is merged once, and again when something late touches it.

Minutes of the last hours become merged invocations; whole hours become counts by duration. queries/settled.py reads
both. Every settling has a version, its rows are written before the mark that makes them count, and the mark says of how
many facts it was made: one that broke off is never seen, and of two at once either is right. (edge_days.py does so with
the days of calls from function to function.)
"""

import re
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from faasight_store import buckets, edge_days, versions
from faasight_store.connection import Store
from faasight_store.queries import settled, usage
from faasight_store.queries.cells import OF_CELLS, SLOT_NS, measures, of_invocations
from faasight_store.queries.failures import FAILURE, OF_FAILURES, failures
from faasight_store.queries.merged import CLOCK_NS, COLUMNS, LOST_NS, SLACK_NS, Interval, Sql, lost_at, merged
from faasight_store.times import DAY, HOUR, MINUTE, SECOND, moment

# An hour is over when its last invocation has ended or counts as lost, and their news had time to come.
OVER_AFTER_NS = max(LOST_NS, SLACK_NS) + 4 * MINUTE
MOST_HOURS = 24  # in one call
MOST_DAYS = 8  # in one call
MOST_MINUTES = 60  # in one call, the newest

# Those last about which nothing more became known since they were settled.
_DUE = f"""
SELECT toUnixTimestamp(touched.hour), settled.version, touched.facts, settled.known, settled.facts FROM (
    SELECT hour, sum(facts) AS facts FROM touched_hours
    WHERE hour <= {moment("over")} AND hour >= {settled.FACTS_BEGIN} GROUP BY hour
) AS touched LEFT JOIN (
    SELECT hour, max(version) AS version, argMax(facts, settled_hours.version) AS facts,
        argMax(known, settled_hours.version) AS known
    FROM settled_hours GROUP BY hour
) AS settled USING hour
WHERE settled.version = 0 OR touched.facts != settled.facts
ORDER BY settled.version > 0 AND touched.facts = settled.known, touched.hour DESC LIMIT {{limit:UInt32}}"""

_SUMS = """sum(cell.invocations), sum(cell.errors), sum(cell.timeouts), sum(cell.out_of_memory), sum(cell.throttles),
    sum(cell.cold_starts), sum(cell.cost_usd), sum(cell.busy_ms), max(cell.max_ms), max(cell.memory_used_mb)"""
# How long a cold start took to begin stands in a row of its own, which counts nothing but cold starts.
_PARTS = "ARRAY JOIN if(cell.cold_starts > 0, [0, 1], [0]) AS part"
_OF_PART = f"""environment, if(part = 0, cell.bucket, {buckets.NONE}) AS duration,
    if(part = 1, cell.init_bucket, {buckets.NONE}) AS init, if(part = 1, toString(cell.init_type), '') AS kind"""
_SUMS_OF_PARTS = re.sub(
    r"(sum|max)\(cell\.(\w+)\)",
    lambda some: f"{some[1]}If(cell.{some[2]}, part = {int(some[2] == 'cold_starts')})",
    _SUMS,
)
_KEYS = "environment, bucket, init_bucket, init_type"
# Tables of cells: what each is made of, by which more keys, and whether whole hours lie in one slot.
_CELL_TABLES = (
    ("invocation_hours", "invocation_slots", "function, ", True),
    ("fleet_slots", "invocation_slots", "", False),
    ("fleet_hours", "invocation_hours", "", True),
)
REPLACED_FOR_NS = MINUTE  # queries may go on reading a settling as long after a newer one came
_DOUBTED_NS = HOUR  # longer than an hour's settling, or a back-up's look at all tables, can take


def settle(store: Store, *, now_ns: Callable[[], int] = time.time_ns, limit: int = MOST_HOURS) -> int:
    """Settle the hours that are over and were touched since, and the minutes after them; return how many hours.

    To be called every few seconds, by one process or several: it does nothing where nothing changed. At most `limit`
    hours are settled in a call, the newest first.
    """
    count = 0
    for hour_s, old_version, known, known_then, made_of in store.query(
        _DUE, {"over": now_ns() - HOUR - OVER_AFTER_NS, "limit": limit}
    ):
        facts = _facts_of(store, hour_s * SECOND)
        if old_version and (known, facts) == (known_then, made_of):
            continue  # some of its facts were deleted: the two will never agree
        version = versions.later(now_ns(), old_version, _low(hour_s * SECOND // HOUR, facts))
        _settle_hour(store, hour_s * SECOND, version, known, facts)
        count += 1
    if count:
        settle_days(store, now_ns())
        edge_days.settle(store, now_ns() - OVER_AFTER_NS, now_ns())
    _forget_replaced(store, now_ns())
    settle_minutes(store, now_ns())
    return count


def _low(place: int, made_of: int) -> int:
    """Return the end of a version: which hour (or day) it settles, and of what.

    Queries ask for versions alone, so no two hours may have one: the number of the hour comes again after seven years,
    by which no clock is slow. And two settlers of an hour have one only if they counted the same facts: then both
    write the same, under one token, and it is stored once.
    """
    return (made_of & 0xFFFF) << 16 | (place & 0xFFFF)


def settle_minutes(store: Store, now: int) -> int:
    """Settle the minutes of the last hours that are new or were touched since; return how many."""
    end = (now - CLOCK_NS) // MINUTE * MINUTE  # a fact may bear on minutes two minutes before it
    start = end - settled.MINUTES_FOR_NS
    known = settled.standing(store, start, now).frontier or start
    due = settled.unsettled(store, start, end, now)
    new = sorted({minute for minute, _, _ in due if minute >= known})[-MOST_MINUTES:]
    late = sorted({minute for minute, _, _ in due if minute < known})[-MOST_MINUTES:]
    # By chance, so that two processes at once make two settlings.
    settling = versions.later(now, max((newest for _, _, newest in due), default=0), secrets.randbits(versions.LOW))
    if new:
        _settle_minutes(store, new, None, settling)
    if late:
        _settle_minutes(store, late, sorted({name for minute, name, _ in due if minute in late}), settling)
    return len(new) + len(late)


def _settle_minutes(store: Store, minutes: Sequence[int], functions: Sequence[str] | None, settling: int) -> None:
    """Settle minutes, of some functions or of all."""
    parameters = {
        "from_ns": minutes[0], "to_ns": minutes[-1] + MINUTE, "settling": settling, "functions": functions or []
    }  # fmt: skip
    chosen = "function IN {functions:Array(String)}" if functions is not None else ""
    # Counted before they are read: what comes between makes the mark differ from what is known, and is seen next time.
    counted = store.query(settled.count_around(chosen), parameters)
    source = merged(_runs(minutes), where=chosen, running=True)
    store.command(
        f"INSERT INTO settled_invocations (minute, settling, {', '.join(COLUMNS)})"
        f" SELECT toStartOfMinute(start), {{settling:UInt64}}, * FROM {source.text}",
        {**source.parameters, **parameters},
    )
    lost = dict(
        store.query(
            "SELECT (toUnixTimestamp(minute), toString(function)) AS place,"
            f" min({lost_at('start', 'timeout_ms')}) FROM settled_invocations"
            f" WHERE minute >= {moment('from_ns')} AND minute < {moment('to_ns')} AND settling = {{settling:UInt64}}"
            " AND outcome = 'running' GROUP BY place",
            parameters,
        )
    )
    wanted = set(minutes)
    store.insert(
        "settled_minutes",
        ["minute", "function", "settling", "near", "far", "lost_at"],
        [
            [minute, function, settling, near, far, lost.get((minute, function), 0)]
            for minute, function, near, far in counted
            if minute * SECOND in wanted
        ],
    )


def _runs(minutes: Iterable[int]) -> list[Interval]:
    """Return sorted minutes as intervals without gaps."""
    found: list[Interval] = []
    for minute in minutes:
        if found and found[-1][1] == minute:
            found[-1] = (found[-1][0], minute + MINUTE)
        else:
            found.append((minute, minute + MINUTE))
    return found


def _around(hour: int) -> dict[str, object]:
    return {"low": hour - SLACK_NS, "high": hour + HOUR + SLACK_NS}


def _facts_of(store: Store, hour: int) -> int:
    """Return how many facts there are that may bear on an hour."""
    sql = f"SELECT count() FROM invocation_facts WHERE ts >= {moment('low')} AND ts < {moment('high')}"
    return int(store.query(sql, _around(hour))[0][0])


def _settle_hour(store: Store, hour: int, version: int, known: int, facts: int) -> None:
    """Settle an hour; `known` and `facts` were counted before, so that what comes meanwhile makes it due again."""
    every = merged([(hour, hour + HOUR)], columns=OF_CELLS)
    failed = merged([(hour, hour + HOUR)], columns=OF_FAILURES, unwell=True)
    parameters = {**every.parameters, **_around(hour), "hour": hour // SECOND, "version": version}
    head = "toDateTime({hour:Int64}, 'UTC'), {version:UInt64}"
    write = partial(store.command, token=_token(hour, version))
    _settle_cells(write, every, head, parameters)
    slot = f"toStartOfInterval(toDateTime(start, 'UTC'), INTERVAL {SLOT_NS // SECOND} SECOND)"
    write(
        f"INSERT INTO error_slots (hour, version, slot, {FAILURE}, failures, first, last, message, trace_id)"
        f" SELECT {head}, * FROM ({failures(failed, by=slot)})",
        parameters,
    )
    write(
        f"INSERT INTO error_hours (hour, version, {FAILURE}, failures, first, last, message, trace_id)"
        f" SELECT {head}, {FAILURE}, sum(part.failures), min(part.first), max(part.last),"
        " argMax(part.message, part.last), argMax(part.trace_id, part.last) FROM error_slots AS part"
        f" WHERE hour = toDateTime({{hour:Int64}}, 'UTC') AND version = {{version:UInt64}} GROUP BY {FAILURE}",
        parameters,
    )
    used = merged([(hour, hour + HOUR)], columns=usage.OF_INVOCATION)
    write(
        f"INSERT INTO usage_hours (version, hour, {usage.COLUMNS})"
        f" SELECT {{version:UInt64}}, hour, {usage.COLUMNS} FROM ({usage.of_invocations(used)})",
        parameters,
    )
    write(
        f"INSERT INTO settled_hours (hour, version, facts, known) SELECT {head}, {{facts:UInt64}}, {{known:UInt64}}",
        {**parameters, "facts": facts, "known": known},
    )


def _token(begin: int, version: int) -> str:
    return f"settled-{begin}-{version}"


def _settle_cells(write: Callable[..., None], source: Sql, head: str, parameters: dict[str, object]) -> None:
    columns = f"hour, version, slot, {_KEYS}, function, {measures()}"
    slot = f"toStartOfInterval(cell.slot, INTERVAL {SLOT_NS // SECOND} SECOND)"
    write(
        f"INSERT INTO invocation_slots ({columns})"
        f" SELECT {head}, {slot} AS at, {_OF_PART}, function, {_SUMS_OF_PARTS}"
        f" FROM ({of_invocations(source)}) AS cell {_PARTS}"
        " GROUP BY at, environment, duration, init, kind, function",
        parameters,
    )
    for table, made_of, more, whole in _CELL_TABLES:
        keys = f"{'' if whole else 'cell.slot, '}{more}{_KEYS}"
        at = "toDateTime({hour:Int64}, 'UTC')" if whole else "cell.slot"
        write(
            f"INSERT INTO {table} (hour, version, slot, {more}{_KEYS}, {measures()})"
            f" SELECT {head}, {at}, {more}{_KEYS}, {_SUMS} FROM {made_of} AS cell"
            f" WHERE hour = toDateTime({{hour:Int64}}, 'UTC') AND version = {{version:UInt64}} GROUP BY {keys}",
            parameters,
        )


# Days that are over, made of other hours than those that count now: (first hour, version, the versions of its hours).
_DUE_DAYS = f"""
SELECT toUnixTimestamp(of_hours.day), of_day.newest, of_hours.versions FROM (
    SELECT toStartOfDay(hour) AS day, groupArray(newest) AS versions, arraySum(versions) AS made_of
    FROM (SELECT hour, max(version) AS newest FROM settled_hours GROUP BY hour) GROUP BY day
) AS of_hours LEFT JOIN (
    SELECT hour AS day, max(version) AS newest, argMax(made_of, version) AS made_of FROM settled_days GROUP BY hour
) AS of_day USING day
WHERE of_hours.made_of != of_day.made_of AND of_hours.day + INTERVAL 1 DAY <= {moment("over")}
ORDER BY of_hours.day DESC LIMIT {{limit:UInt32}}"""


def settle_days(store: Store, now: int) -> int:
    """Add up the days that are over, of their settled hours, a few in each call, the newest first; return how many."""
    keys = f"function, {_KEYS}"
    due = store.query(_DUE_DAYS, {"over": now - OVER_AFTER_NS, "limit": MOST_DAYS})
    for day_s, newest, of_hours in due:
        made_of = sum(of_hours) % 2**64
        version = versions.later(now, newest, _low(day_s * SECOND // DAY, made_of >> versions.LOW))
        parameters = {"day": day_s, "version": version, "versions": of_hours, "made_of": made_of}
        head = "toDateTime({day:Int64}, 'UTC') AS day, {version:UInt64} AS settling"
        day = "toDateTime({day:Int64}, 'UTC')"
        write = partial(store.command, token=_token(day_s * SECOND, version))
        write(
            f"INSERT INTO invocation_days (hour, version, slot, {keys}, {measures()})"
            f" SELECT {head}, day, {keys}, {_SUMS} FROM invocation_hours AS cell"
            f" WHERE hour >= {day} AND hour < {day} + INTERVAL 1 DAY AND version IN {{versions:Array(UInt64)}}"
            f" GROUP BY {keys}",
            parameters,
        )
        write(f"INSERT INTO settled_days (hour, version, made_of) SELECT {head}, {{made_of:UInt64}}", parameters)
    return len(due)


def _forget_replaced(store: Store, now: int) -> None:
    """Delete settlings that newer ones replaced some time ago: whoever learned of them before has read them by now."""
    all_marks = " UNION ALL ".join(f"SELECT '{marks}' AS marks, hour, version FROM {marks}" for marks in _SETTLED)
    rows = store.query(
        f"""SELECT marks, toUnixTimestamp(hour), max(version) AS newest FROM ({all_marks}) GROUP BY marks, hour
        HAVING count() > 1 AND newest < {{before:Int64}} ORDER BY hour LIMIT {{limit:UInt32}}""",
        {"before": now - REPLACED_FOR_NS, "limit": MOST_HOURS},
    )
    for marks, hour_s, newest in rows:
        for table in (*_SETTLED[marks], marks):  # the marks last: if this breaks off, it is done again
            store.command(
                f"DELETE FROM {store.shape.table(table)}"
                " WHERE hour = toDateTime({hour:Int64}, 'UTC') AND version < {newest:UInt64}",
                {"hour": hour_s, "newest": newest},
            )


# Marks, and the tables whose rows they make count.
_SETTLED = {
    "settled_hours": (
        "invocation_slots", "invocation_hours", "fleet_slots", "fleet_hours", "error_slots", "error_hours",
        "usage_hours",
    ),
    "settled_days": ("invocation_days",),
    "settled_edge_days": ("edge_days",),
}  # fmt: skip


def doubt(store: Store) -> None:
    """Forget that the last things were settled: after a restore, for the next `settle` to make them anew.

    A back-up copies one table after the other. Of a settling that goes on meanwhile it may have the mark, which is
    written last, and not all of the rows.
    """
    newest_of = [f"(SELECT max(version) FROM {marks})" for marks in _SETTLED]
    (newest,) = store.query(f"SELECT greatest({', '.join(newest_of)}, (SELECT max(settling) FROM settled_minutes))")[0]
    after = {"after": max(newest - _DOUBTED_NS, 0)}
    # With their older marks, the rows of which may have been in the midst of going.
    for marks in _SETTLED:
        # An hour whose facts are gone cannot be made anew.
        but = f" AND hour >= {settled.FACTS_BEGIN}" if marks == "settled_hours" else ""
        sql = f"SELECT DISTINCT toUnixTimestamp(hour) FROM {marks} WHERE version > {{after:UInt64}}{but}"
        hours = [hour for (hour,) in store.query(sql, after)]
        if hours:
            store.command(
                f"DELETE FROM {store.shape.table(marks)} WHERE toUnixTimestamp(hour) IN {{hours:Array(Int64)}}",
                {"hours": hours},
            )
    if newest:
        store.command(f"DELETE FROM {store.shape.table('settled_minutes')} WHERE settling > {{after:UInt64}}", after)
