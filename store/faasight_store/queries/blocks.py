"""Settled cells in memory: a settling never changes, so each is read once for a way of grouping it.

A block is one settling (a version of an hour or day; some minutes, with what tells their settlings apart) by one
`Shape`. Those that are missing are read in one statement; what is fresh is all that a running dashboard asks for.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from faasight_store.connection import Store
from faasight_store.queries.cells import MAXIMA, OF_CELLS, SLOT_NS, Array, Cells, of_invocations
from faasight_store.queries.merged import Interval, narrowed
from faasight_store.queries.settled import Sources, invocations
from faasight_store.queries.steps import spread
from faasight_store.queries.windows import chart_step_s
from faasight_store.times import HOUR, MINUTE, SECOND

_CHUNK = 10 * MINUTE  # minutes are kept together by so many: fewer cells
Clip = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Shape:
    """How cells are grouped."""

    by: tuple[str, ...]  # of the keys of `gather`
    measures: tuple[str, ...]
    function: str = ""  # that alone; "": all
    environment: str = ""
    unit_s: int = 0  # where `i` is asked for: time is cut by so many seconds, into the column `slot` (s)

    @property
    def names(self) -> list[str]:
        """The columns of a block."""
        return [*("slot" if key == "i" else key for key in self.by), *self.measures]

    def selected(self, of_time: str = "") -> str:
        """Return what is asked for of a table or sub-select with a time `slot`; `of_time` stands for `i`."""
        of_time = of_time or f"intDiv(toUnixTimestamp(slot), {self.unit_s}) * {self.unit_s} AS slot_s"
        # Not called as the columns: an alias would stand for the column in the other expressions.
        told = (
            f"ifNull(max({name}), -1) AS all_{name}" if name in MAXIMA else f"sum({name}) AS all_{name}"
            for name in self.measures
        )
        return ", ".join([*(of_time if key == "i" else key for key in self.by), *told])

    @property
    def grouped(self) -> str:
        """What it is grouped by, each with a comma before it."""
        return "".join(f", {'slot_s' if key == 'i' else key}" for key in self.by)


def unit_s(start: int, end: int, step: int) -> int:
    """Return a time (s) whose edges are those of a scope, of its steps and of hours; 0: below half a minute.

    All in ns; `step` may be 0 where time is not cut. As coarse as a chart of this length is cut, whatever its start: a
    range that moves on finds what it had.
    """
    chart = round(chart_step_s((end - start) / SECOND) * SECOND)
    for unit in (math.gcd(step, HOUR, chart), SLOT_NS):
        if unit % SLOT_NS == 0 and step and not any(edge % unit for edge in (step, start, end // SLOT_NS * SLOT_NS)):
            return unit // SECOND
    return 0


def settled_cells(
    store: Store,
    table: str,
    pieces: Sequence[tuple[int, ...]],
    shape: Shape,
    within_s: tuple[int, int],
    clip: Clip | None = None,
) -> list[Cells]:
    """Return the cells of some settlings of a table, which lie within some time (s); each piece is kept as a whole.

    `clip`: only of those slots (s) of each.
    """
    keys: dict[Hashable, tuple[int, ...]] = {(table, piece, shape, clip): piece for piece in pieces}
    found = store.kept.find(keys)
    missing = [piece for key, piece in keys.items() if key not in found]
    if missing:
        chosen = narrowed(shape.function, shape.environment)
        conditions, parameters = chosen.text, chosen.parameters
        if clip:
            conditions += " AND slot >= toDateTime({low_s:Int64}, 'UTC') AND slot < toDateTime({high_s:Int64}, 'UTC')"
            parameters |= {"low_s": clip[0], "high_s": clip[1]}
        versions = [version for piece in missing for version in piece]
        places = [place for place, piece in enumerate(missing) for _ in piece]
        of = "transform(version, {versions:Array(UInt64)}, {places:Array(UInt64)}, 0)" if store.remembers else "0"
        news = store.columns(
            f"""SELECT {of} AS piece, {shape.selected()} FROM {table}
            WHERE hour >= toDateTime({{from_s:Int64}}, 'UTC') AND hour < toDateTime({{to_s:Int64}}, 'UTC')
              AND version IN {{versions:Array(UInt64)}}{conditions}
            GROUP BY piece{shape.grouped}""",
            {**parameters, "from_s": within_s[0], "to_s": within_s[1], "versions": versions, "places": places},
        )
        if not store.remembers:
            return [_cells(news, shape)]
        by_piece = _apart(news, "piece", shape)
        new: dict[Hashable, Cells] = {
            (table, piece, shape, clip): by_piece.get(place, _cells({}, shape)) for place, piece in enumerate(missing)
        }
        found |= new
        store.kept.add(new)
    return list(found.values())


def minute_cells(store: Store, rest: Sources, shape: Shape) -> tuple[list[Cells], list[Interval]]:
    """Return the cells of settled minutes, and which of them must be asked of the tables: edges, and what changes."""
    if rest.minutes is None or rest.minutes[0] >= rest.minutes[1]:
        return [], []
    start, end = rest.minutes
    known = rest.known.standing.made_of if rest.known and store.remembers else {}
    low = -(-start // MINUTE) * MINUTE
    high = max(low, min([end // MINUTE * MINUTE, *rest.late.values()]))
    if not known or low >= high or ("i" in shape.by and not shape.unit_s):
        return [], [(start, end)]
    pieces = _pieces(low, high, known)
    keys: dict[Hashable, int] = {("minutes", piece, made_of, shape): piece for piece, made_of in pieces.items()}
    found = store.kept.find(keys)
    if missing := [piece for key, piece in keys.items() if key not in found]:
        by_piece = _apart(_ask_minutes(store, rest, shape, missing, (low, high)), "piece", shape)
        new: dict[Hashable, Cells] = {
            ("minutes", piece, pieces[piece], shape): by_piece.get(piece // SECOND, _cells({}, shape))
            for piece in missing
        }
        found |= new
        store.kept.add(new)
    return list(found.values()), [(a, b) for a, b in ((start, low), (high, end)) if a < b]


def _pieces(low: int, high: int, made_of: Mapping[int, int]) -> dict[int, tuple[int, ...]]:
    """Return what minutes are read together, by their first ns: with what tells their settlings apart."""
    pieces: dict[int, tuple[int, ...]] = {}
    at = low
    while at < high:
        length = _CHUNK if at % _CHUNK == 0 and at + _CHUNK <= high else MINUTE
        pieces[at] = tuple(made_of.get(minute, 0) for minute in range(at, at + length, MINUTE))  # 0: nothing ran
        at += length
    return pieces


def _ask_minutes(
    store: Store, rest: Sources, shape: Shape, missing: Sequence[int], all_of: tuple[int, int]
) -> dict[str, Array]:
    first, last = missing[0], missing[-1]
    until = min(all_of[1], last + (_CHUNK if last % _CHUNK == 0 and last + _CHUNK <= all_of[1] else MINUTE))
    wanted = replace(rest, facts=(), minutes=(first, until), late={})
    source = invocations(wanted, columns=OF_CELLS, function=shape.function, environment=shape.environment)
    cells = of_invocations(source)
    cut = "i" in shape.by and "busy_ms" in shape.measures
    table = spread(cells) if cut else f"SELECT *, slot AS start FROM ({cells})"
    chunks = (-(-all_of[0] // _CHUNK) * _CHUNK, all_of[1] // _CHUNK * _CHUNK)
    piece = (
        "toUnixTimestamp(if(start >= fromUnixTimestamp64Nano({chunks_from:Int64}, 'UTC')"
        " AND start < fromUnixTimestamp64Nano({chunks_to:Int64}, 'UTC'),"
        f" toStartOfInterval(toDateTime(start, 'UTC'), INTERVAL {_CHUNK // MINUTE} MINUTE),"
        " toStartOfMinute(toDateTime(start, 'UTC'))))"
    )
    return store.columns(
        f"""SELECT {piece} AS piece, {shape.selected()} FROM ({table})
        WHERE piece IN {{pieces:Array(UInt32)}} GROUP BY piece{shape.grouped}""",
        {
            **source.parameters, "scope_ns": 0, "step_ns": shape.unit_s * SECOND,
            "chunks_from": chunks[0], "chunks_to": chunks[1], "pieces": [some // SECOND for some in missing],
        },
    )  # fmt: skip


def _apart(columns: Mapping[str, Array], by: str, shape: Shape) -> dict[int, Cells]:
    """Return the cells of an answer by one of its columns."""
    if not columns or not len(columns[by]):
        return {}
    cells, of = _cells(columns, shape), columns[by].astype(np.uint64)
    order = np.argsort(of, kind="stable")
    values, firsts = np.unique(of[order], return_index=True)
    parts = np.split(order, firsts[1:])
    return {int(value): cells.where(part) for value, part in zip(values, parts, strict=True)}


def _cells(columns: Mapping[str, Array], shape: Shape) -> Cells:
    named = {**columns, "slot": columns["slot_s"]} if "slot_s" in columns else columns
    return Cells.of(named, shape.names)
