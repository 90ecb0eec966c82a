"""Calls by edge and duration: days that are settled, whole hours, and minutes at the edges of a range.

Edges are sums from their insert on, and calls only ever come: an hour or day with as many calls as before is the same.
So days of edges hold while their hours have as many calls as they were made of, and what was read of hours and days is
kept in memory under that number (as blocks.py keeps cells).
"""

import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from faasight_store.connection import Store
from faasight_store.queries.cells import Array
from faasight_store.queries.settled import FAR_AHEAD
from faasight_store.times import DAY, HOUR, MINUTE, SECOND, to_ns, within
from faasight_store.types import Scope

# How many calls are known of each hour (ns), and the newest settling of each day: ns, version, made of how many calls.
Known = tuple[dict[int, int], list[tuple[int, int, int]]]
Ends = tuple[str, str, str, str, str]  # kind and name of the source, then of the target; who told: caller or callee

ENDS = ("source_kind", "source_name", "target_kind", "target_name", "side")
COUNTS = ("calls", "errors", "throttles", "retries")
_NUMBERS = ("bucket", "wait_bucket", *COUNTS)
_COLUMNS = ", ".join([*ENDS, *_NUMBERS])
_LOOKS_BACK = (2 * DAY, 8 * DAY, 31 * DAY)
_COUNTED_FROM = 6 * HOUR  # of less, to look what is known costs more than to read it
_LATE = 2 * HOUR  # before the end of a range: calls still come for these hours
_LIVE, _LATEST, _HOURS, _DAYS = range(4)  # pieces of a range: minutes, its last hours, the older ones, whole days


@dataclass(frozen=True)
class Edges:
    """Calls as columns, by the place of their edge in `ends` and by duration and wait; several rows may be alike."""

    ends: Sequence[Ends]
    edge: Array
    numbers: Mapping[str, Array]  # of _NUMBERS

    def __getitem__(self, name: str) -> Array:
        return self.numbers[name]

    @cached_property
    def nbytes(self) -> int:
        """Roughly what they take."""
        of_numbers = sum(column.nbytes for column in self.numbers.values())
        return self.edge.nbytes + of_numbers + 500 * len(self.ends)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where the calls of a range are read from; times in ns, `first` to `last` being whole hours."""

    start: int
    end: int
    first: int
    last: int
    latest: int  # of `_LATEST`; before it `_HOURS`
    days: Mapping[int, int]  # versions of those that hold
    pieces: Mapping[int, Hashable]  # what is read beside the minutes: under which name it is kept, None: not at all


def edges(store: Store, scope: Scope) -> Edges:
    """Return the calls of a scope; edges are counted by the minute, so its first minute counts whole."""
    plan = _plan(store, scope)
    found = store.kept.find(key for key in plan.pieces.values() if key)
    missing = [piece for piece, key in plan.pieces.items() if key not in found]
    news = _read(store, plan, [_LIVE, *missing], scope.environment)
    new = {key: news[piece] for piece, key in plan.pieces.items() if key and key not in found}
    store.kept.add(new)
    return _together([*news.values(), *found.values()])


def held_days(hours: Mapping[int, int], marks: Sequence[tuple[int, int, int]]) -> dict[int, int]:
    """Return the versions of the days (ns) that hold, of what is `Known`."""
    of_day: dict[int, int] = {}
    for hour, calls in hours.items():
        of_day[hour // DAY * DAY] = of_day.get(hour // DAY * DAY, 0) + calls
    return {day: version for day, version, made_of in marks if of_day.get(day) == made_of}


def _plan(store: Store, scope: Scope) -> _Plan:
    start, end = to_ns(scope.start) // MINUTE * MINUTE, to_ns(scope.end)
    first = min(-(-start // HOUR) * HOUR, end)
    last = max(end // HOUR * HOUR, first)
    whole_days = -(-first // DAY) * DAY + DAY <= last
    if not whole_days and (last - first < _COUNTED_FROM or not store.remembers):
        return _Plan(start, end, first, last, last, {}, {_HOURS: None} if first < last else {})
    hours, marks = _known(store, first, last)
    days = held_days(hours, marks)
    latest = max(first, last - _LATE)
    rest = [(hour, calls) for hour, calls in sorted(hours.items()) if hour // DAY * DAY not in days]
    pieces: dict[int, Hashable] = {
        _LATEST: ("edges", "latest", scope.environment, tuple(some for some in rest if some[0] >= latest)),
        _HOURS: ("edges", "hours", scope.environment, tuple(some for some in rest if some[0] < latest)),
    }
    if days:
        pieces[_DAYS] = ("edges", "days", scope.environment, tuple(sorted(days.items())))
    return _Plan(start, end, first, last, latest, days, pieces)


def _known(store: Store, first: int, last: int) -> Known:
    """Return what is known of a time; the store remembers it for a moment, with that of times nearby."""
    far = next((far for far in _LOOKS_BACK if first >= time.time_ns() - far), None)
    if far is None or not store.remembers:
        return _ask(store, first, last)

    def ask(_: object = None) -> Known:
        return _ask(store, (time.time_ns() - far) // HOUR * HOUR - HOUR, FAR_AHEAD)

    calls, marks = store.shared(("edges", far), ask, ask)
    return {hour: some for hour, some in calls.items() if first <= hour < last}, [
        mark for mark in marks if first <= mark[0] <= last - DAY
    ]


def _ask(store: Store, first: int, last: int) -> Known:
    # In the table's order: half of the time of a hash table.
    calls = store.query(
        f"""SELECT toUnixTimestamp(minute), sum(calls) FROM edge_hours WHERE {within("minute", "first", "last")}
        GROUP BY minute SETTINGS optimize_aggregation_in_order = 1""",
        {"first": first, "last": last},
    )
    marks = store.query(
        f"""SELECT toUnixTimestamp(hour), max(version), argMax(made_of, version) FROM settled_edge_days
        WHERE {within("hour", "first", "last")} GROUP BY hour""",
        {"first": first, "last": last},
    )
    return (
        {hour * SECOND: some for hour, some in calls},
        [(day * SECOND, version, made_of) for day, version, made_of in marks if day * SECOND + DAY <= last],
    )


def _read(store: Store, plan: _Plan, wanted: Sequence[int], environment: str) -> dict[int, Edges]:
    """Return the wanted pieces of a range, in one statement."""
    chosen = " AND environment = {environment:String}" if environment else ""
    ends = f"({within('minute', 'start', 'first')} OR {within('minute', 'last', 'end')})"
    parts = [f"SELECT {_LIVE} AS piece, {_COLUMNS} FROM edges WHERE {ends}{chosen}"]
    if {_LATEST, _HOURS} & {*wanted}:
        latest = f"minute >= fromUnixTimestamp64Nano({{latest:Int64}}, 'UTC'), {_LATEST}, {_HOURS}"
        parts.append(
            f"SELECT if({latest}) AS piece, {_COLUMNS} FROM edge_hours WHERE {within('minute', 'first', 'last')}"
            " AND toUnixTimestamp(toStartOfDay(minute)) NOT IN {days:Array(UInt32)}"
            f" AND piece IN {{wanted:Array(UInt8)}}{chosen}"
        )
    if _DAYS in wanted:
        parts.append(
            f"SELECT {_DAYS} AS piece, {_COLUMNS} FROM edge_days WHERE {within('hour', 'first', 'last')}"
            f" AND version IN {{versions:Array(UInt64)}}{chosen}"
        )
    sums = ", ".join(f"sum({name}) AS all_{name}" for name in COUNTS)
    keys = ", ".join(["piece", *ENDS, "bucket", "wait_bucket"])
    columns = store.columns(
        f"SELECT {keys}, {sums} FROM ({' UNION ALL '.join(parts)}) GROUP BY {keys}",
        {
            "start": plan.start, "end": plan.end, "first": plan.first, "last": plan.last, "latest": plan.latest,
            "days": [day // SECOND for day in plan.days], "versions": list(plan.days.values()),
            "wanted": list(wanted), "environment": environment,
        },
    )  # fmt: skip
    return {piece: _piece(columns, piece) for piece in wanted}


def _piece(columns: Mapping[str, Any], piece: int) -> Edges:
    """Return the rows of one piece of an answer."""
    if not columns:
        return _together([])
    mine = columns["piece"] == piece
    rows = list(zip(*(columns[name][mine].tolist() for name in ENDS), strict=True))
    places = {ends: place for place, ends in enumerate(dict.fromkeys(rows))}
    numbers = {name: columns[f"all_{name}" if name in COUNTS else name][mine].astype(np.int64) for name in _NUMBERS}
    return Edges(list(places), np.fromiter(map(places.__getitem__, rows), np.int64, len(rows)), numbers)


def _together(parts: Sequence[Edges]) -> Edges:
    """Return all calls of several, by the edges of all."""
    places: dict[Ends, int] = {}
    edge = [np.empty(0, np.int64)]
    for part in parts:
        of = np.array([places.setdefault(ends, len(places)) for ends in part.ends], np.int64)
        edge.append(of[part.edge])
    numbers = {name: np.concatenate([np.empty(0, np.int64), *(part[name] for part in parts)]) for name in _NUMBERS}
    return Edges(list(places), np.concatenate(edge), numbers)
