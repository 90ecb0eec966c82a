"""Calls by edge and duration: days that are settled, whole hours, and minutes at the edges of a range.

Edges are sums from their insert on, and calls only ever come: an hour or day with as many calls as before is the same.
So days of edges hold while their hours have as many calls as they were made of, and what was read of hours and days is
kept in memory under that number (as blocks.py keeps cells).
"""

import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
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
# A number that stands for the ends: to group by five texts takes twice as long. Two edges of 10,000 share one with a
# probability of 3 in a million million. A hash of one text is reckoned once for each text, of several for each row.
# (No two sets of the factors have one sum, or there and back between ends that share their names would be one.)
_EDGE = " + ".join(f"{factor} * cityHash64({name})" for factor, name in zip((1, 3, 9, 27, 81), ENDS, strict=True))
NAMES = "edges by number"  # under which their ends are kept, of all environments
_MOST_NAMES = 20_000
_LOOKS_BACK = (2 * DAY, 8 * DAY, 31 * DAY)
_LATE = 2 * HOUR  # before now, or the end of a range: calls still come for these hours
_LIVE, _LATEST, _HOURS, _DAYS = range(4)  # pieces of a range: minutes, its last hours, the older ones, whole days


@dataclass(frozen=True, slots=True)
class Edges:
    """Calls as columns, by the place of their edge in `ends` and by duration and wait; several rows may be alike."""

    ends: Sequence[Ends]
    edge: Array
    numbers: Mapping[str, Array]  # of _NUMBERS

    def __getitem__(self, name: str) -> Array:
        return self.numbers[name]


@dataclass(frozen=True, slots=True)
class _Piece:
    """Calls of a part of a range, as columns: `edge`, which stands for its ends, and _NUMBERS."""

    columns: Mapping[str, Array]

    @property
    def nbytes(self) -> int:
        """How many bytes its columns take."""
        return sum(column.nbytes for column in self.columns.values())


@dataclass(frozen=True, slots=True)
class _Names:
    """The ends of edges that were read, by what stands for them."""

    ends: Mapping[int, Ends]

    @property
    def nbytes(self) -> int:
        """Roughly what they take."""
        return 500 * len(self.ends)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where the calls of a range are read from; times in ns, `first` to `last` being whole hours."""

    start: int
    end: int
    first: int
    last: int
    latest: int  # of `_LATEST`; before it `_HOURS`
    environment: str
    days: Mapping[int, int]  # versions of those that hold
    hours: Sequence[int] | None  # of `_LATEST` and `_HOURS` those that are known to have calls, None: whichever have
    pieces: Mapping[int, Hashable]  # what is read beside the minutes: under which name it is kept, None: not at all

    @property
    def parameters(self) -> dict[str, Any]:
        """What its statements need."""
        return {
            "start": self.start, "end": self.end, "first": self.first, "last": self.last, "latest": self.latest,
            "hours": [hour // SECOND for hour in self.hours or ()], "versions": list(self.days.values()),
            "environment": self.environment,
        }  # fmt: skip


def edges(store: Store, scope: Scope) -> Edges:
    """Return the calls of a scope; edges are counted by the minute, so its first minute counts whole."""
    plan = _plan(store, scope)
    found = store.kept.find(key for key in plan.pieces.values() if key)
    missing = [piece for piece, key in plan.pieces.items() if key not in found]
    news = _read(store, plan, [_LIVE, *missing])
    store.kept.add({key: news[piece] for piece, key in plan.pieces.items() if key and key not in found})
    pieces = [*news.values(), *found.values()]
    columns = {name: np.concatenate([piece.columns[name] for piece in pieces]) for name in ("edge", *_NUMBERS)}
    ends = _ends(store, plan, np.unique(columns["edge"]).tolist())
    named = np.isin(columns["edge"], np.fromiter(ends, np.uint64, len(ends)))
    if not named.all():  # housekeeping dropped their day between the two statements
        columns = {name: column[named] for name, column in columns.items()}
    several, edge = np.unique(columns.pop("edge"), return_inverse=True)
    return Edges([ends[some] for some in several.tolist()], edge, columns)


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
    if first == last or not (whole_days or store.remembers):
        return _Plan(start, end, first, last, last, scope.environment, {}, None, {_HOURS: None} if first < last else {})
    hours, marks = _known(store, first, last)
    days = held_days(hours, marks)
    latest = max(first, min(last, time.time_ns() // HOUR * HOUR + HOUR) - _LATE)
    rest = [(hour, calls) for hour, calls in sorted(hours.items()) if hour // DAY * DAY not in days]
    pieces: dict[int, Hashable] = {
        _LATEST: ("edges", "latest", scope.environment, tuple(some for some in rest if some[0] >= latest)),
        _HOURS: ("edges", "hours", scope.environment, tuple(some for some in rest if some[0] < latest)),
    }
    if days:
        pieces[_DAYS] = ("edges", "days", scope.environment, tuple(sorted(days.items())))
    return _Plan(start, end, first, last, latest, scope.environment, days, [hour for hour, _ in rest], pieces)


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


def _read(store: Store, plan: _Plan, wanted: Sequence[int]) -> dict[int, _Piece]:
    """Return the wanted pieces of a range, in one statement."""
    sums = ", ".join(f"sum({name}) AS all_{name}" for name in COUNTS)
    numbers = _parts(plan, wanted, ", ".join([f"{_EDGE} AS edge", *_NUMBERS]))
    columns = store.columns(
        f"SELECT piece, edge, bucket, wait_bucket, {sums} FROM ({numbers}) GROUP BY piece, edge, bucket, wait_bucket",
        {**plan.parameters, "wanted": list(wanted)},
    )
    return {piece: _piece(columns, piece) for piece in wanted}


def _parts(plan: _Plan, wanted: Sequence[int], selected: str) -> str:
    """Return a select of `piece` and what is asked for from each table that is needed.

    What is kept under the hours that are known is of these alone: the first calls of another may have come since.
    """
    chosen = "({environment:String} = '' OR environment = {environment:String})"
    ends = f"({within('minute', 'start', 'first')} OR {within('minute', 'last', 'end')})"
    parts = [f"SELECT {_LIVE} AS piece, {selected} FROM edges WHERE {ends} AND {chosen}"]
    if {_LATEST, _HOURS} & {*wanted}:
        latest = f"minute >= fromUnixTimestamp64Nano({{latest:Int64}}, 'UTC'), {_LATEST}, {_HOURS}"
        parts.append(
            f"SELECT if({latest}) AS piece, {selected} FROM edge_hours WHERE {within('minute', 'first', 'last')}"
            f"{'' if plan.hours is None else ' AND toUnixTimestamp(minute) IN {hours:Array(UInt32)}'}"
            f" AND piece IN {{wanted:Array(UInt8)}} AND {chosen}"
        )
    if _DAYS in wanted:
        parts.append(
            f"SELECT {_DAYS} AS piece, {selected} FROM edge_days WHERE {within('hour', 'first', 'last')}"
            f" AND version IN {{versions:Array(UInt64)}} AND {chosen}"
        )
    return " UNION ALL ".join(parts)


def _piece(columns: Mapping[str, Array], piece: int) -> _Piece:
    """Return the rows of one piece of an answer."""
    if not columns:
        return _Piece({"edge": np.empty(0, np.uint64), **dict.fromkeys(_NUMBERS, np.empty(0, np.int64))})
    mine = columns["piece"] == piece
    numbers = {name: columns[f"all_{name}" if name in COUNTS else name][mine].astype(np.int64) for name in _NUMBERS}
    return _Piece({"edge": columns["edge"][mine].astype(np.uint64), **numbers})


def _ends(store: Store, plan: _Plan, wanted: Sequence[int]) -> Mapping[int, Ends]:
    """Return the ends of some edges of a range; those that were asked for before are known."""
    found = store.kept.find([NAMES])
    ends: dict[int, Ends] = dict(found[NAMES].ends) if found else {}
    known = len(ends)
    for pieces in ([_LIVE, _LATEST], [_LIVE, *plan.pieces]):  # most edges have calls of the last hours
        missing = [edge for edge in wanted if edge not in ends]
        if missing:
            rows = store.query(
                f"SELECT * FROM ({_parts(plan, pieces, ', '.join([f'{_EDGE} AS edge', *ENDS]))})"
                " WHERE edge IN {edges:Array(UInt64)} LIMIT 1 BY edge",
                {**plan.parameters, "wanted": pieces, "edges": missing},
            )
            ends |= {row[1]: (row[2], row[3], row[4], row[5], row[6]) for row in rows}
    if len(ends) > known:
        store.kept.add(
            {NAMES: _Names(ends if len(ends) <= _MOST_NAMES else {edge: ends[edge] for edge in wanted if edge in ends})}
        )
    return ends
