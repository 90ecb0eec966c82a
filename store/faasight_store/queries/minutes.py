"""Settled minutes in memory: each is read once, whole, and of its counts the cells of every question are made.

A minute's counts hold as long as its settlings do; `Standing.made_of` tells them apart. Of a function that is late (its
facts are merged anew from some minute on) only what began before that is taken. Where all are not in memory yet, or
would be too many, each question's cells are read by themselves.
"""

import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from faasight_store.connection import Store
from faasight_store.queries.blocks import Shape, apart, cells_of
from faasight_store.queries.cells import OF_CELLS, SLOT_NS, Array, Cells, of_invocations
from faasight_store.queries.counts import NOTHING, SELECTED, Counts
from faasight_store.queries.merged import Interval
from faasight_store.queries.settled import FAR_AHEAD, Recent, Sources, invocations
from faasight_store.queries.steps import spread
from faasight_store.times import MINUTE, SECOND

_CHUNK = 10 * MINUTE  # cells are kept together by so many: fewer of them
MOST_FACTS = 3_000_000  # of all minutes; some 60 bytes for each two or three
MOST_BYTES = 64 * 2**20  # of all minutes, or they are left: those whose invocations run for long have many rows
_AGAIN_NS = 10 * MINUTE  # when minutes that were too large are tried again
_SLICE = 20  # minutes that are read at once
_MOST_NEW = 15  # minutes: to read more of them takes longer than a question's own cells
KEY = "minutes"  # under which the last ones that were read are kept
_OF_MINUTE = "toUnixTimestamp(toStartOfMinute(toDateTime(start, 'UTC')))"


@dataclass(frozen=True)
class Minutes:
    """The counts of all settled minutes (ns), with what tells their settlings apart."""

    counts: Mapping[int, Counts]
    made_of: Mapping[int, int]
    too_large_until: int = 0  # ns: none are here, for they would be too large; until then they are not tried again

    @cached_property
    def nbytes(self) -> int:
        """How much they take."""
        return sum(counts.nbytes for counts in self.counts.values())


@dataclass(frozen=True, slots=True)
class _Piece:
    """Minutes whose cells are kept together."""

    minutes: tuple[int, ...]  # ns
    clip: Interval | None  # of which only what began between these two (ns), None: all
    late: tuple[tuple[str, int], ...]  # functions of which only what began before some ns
    made_of: tuple[int, ...]


def minute_cells(store: Store, rest: Sources, shape: Shape) -> tuple[list[Cells], list[Interval]]:
    """Return the cells of settled minutes, and the edges that must be asked of the tables: no half minutes."""
    if rest.minutes is None or rest.minutes[0] >= rest.minutes[1]:
        return [], []
    start, end = rest.minutes
    known = rest.known
    if known is None or not store.remembers or ("i" in shape.by and not shape.unit_s):
        return [], [(start, end)]
    minutes = _minutes(store, known)
    unit = SLOT_NS if minutes else MINUTE
    low, high = -(-start // unit) * unit, end // unit * unit
    if low >= high:
        return [], [(start, end)]

    def read(missing: Mapping[Hashable, _Piece]) -> Mapping[Hashable, Cells]:
        if minutes is None:
            return _asked(store, rest, missing, shape)
        return {key: _cells(minutes, piece, shape) for key, piece in missing.items()}

    cells = store.kept.filled({(KEY, piece, shape): piece for piece in _pieces(low, high, rest)}, read)
    return cells, [(a, b) for a, b in ((start, low), (high, end)) if a < b]


def read_ahead(store: Store, now: Recent) -> None:
    """Read all minutes that are settled by now, for the questions that come."""
    if now.standing.facts <= MOST_FACTS:
        now.minutes.get(partial(_read, store), now)


def _minutes(store: Store, now: Recent) -> Minutes | None:
    """Return the settled minutes if they are in memory, or nearly so: no question waits until all were read."""
    if now.minutes.answer is None and len(_missing(now, _kept(_last(store), now))) > _MOST_NEW:
        return None
    read_ahead(store, now)
    minutes: Minutes | None = now.minutes.answer
    return None if minutes is None or minutes.too_large_until else minutes


def _last(store: Store) -> Minutes:
    """Return the minutes that were read last."""
    last: Minutes = store.kept.find([KEY]).get(KEY, Minutes({}, {}))
    return last


def _kept(last: Minutes, now: Recent) -> dict[int, Counts]:
    """Return those that hold still."""
    made_of = now.standing.made_of
    return {minute: counts for minute, counts in last.counts.items() if last.made_of[minute] == made_of.get(minute)}


def _missing(now: Recent, kept: Mapping[int, Counts]) -> list[int]:
    """Return the settled minutes that are to be read."""
    frontier = now.standing.frontier or 0
    return sorted(minute for minute in now.standing.made_of if minute < frontier and minute not in kept)


def _pieces(low: int, high: int, rest: Sources) -> list[_Piece]:
    """Return the minutes from `low` to `high` (ns) as they are kept: by ten where all of them are asked for."""
    made_of = rest.known.standing.made_of if rest.known else {}
    pieces, at = [], low // MINUTE * MINUTE
    while at < high:
        end = at + (_CHUNK if at % _CHUNK == 0 and low <= at and at + _CHUNK <= high else MINUTE)
        clip = (max(at, low), min(end, high))
        minutes = tuple(range(at, end, MINUTE))
        late = tuple(sorted((name, ns) for name, ns in rest.late.items() if ns < end))
        of = tuple(made_of.get(minute, 0) for minute in minutes)  # 0: nothing ran
        pieces.append(_Piece(minutes, clip if clip != (at, end) else None, late, of))
        at = end
    return pieces


def _read(store: Store, now: Recent) -> Minutes:
    """Return the settled minutes; of those that were read before, what has changed since is read anew."""
    last = _last(store)
    if last.too_large_until > time.time_ns():
        return last
    counts = _kept(last, now)
    missing = _missing(now, counts)
    for part in (missing[at : at + _SLICE] for at in range(0, len(missing), _SLICE)):
        counts |= dict.fromkeys(part, NOTHING) | _ask(store, part)
        if sum(some.nbytes for some in counts.values()) > MOST_BYTES:
            minutes = Minutes({}, {}, time.time_ns() + _AGAIN_NS)
            break
    else:
        minutes = Minutes(counts, {minute: now.standing.made_of[minute] for minute in counts})
    store.kept.add({KEY: minutes})
    return minutes


def _ask(store: Store, minutes: Sequence[int]) -> dict[int, Counts]:
    """Return the counts of minutes (ns) in which anything began."""
    source = invocations(Sources((), (minutes[0], minutes[-1] + MINUTE)), columns=OF_CELLS)
    columns = store.columns(
        f"""SELECT {_OF_MINUTE} AS piece, {SELECTED} FROM ({spread(of_invocations(source))}) AS cell
        WHERE piece IN {{minutes:Array(UInt32)}}""",
        {
            **source.parameters, "scope_ns": 0, "step_ns": SLOT_NS,
            "minutes": [minute // SECOND for minute in minutes],
        },
    )  # fmt: skip
    return {piece * SECOND: counts for piece, counts in apart(columns, Counts.of_rows).items()}


def _cells(minutes: Minutes, piece: _Piece, shape: Shape) -> Cells:
    """Return the cells of some minutes."""
    counts = Counts.together([minutes.counts.get(minute, NOTHING) for minute in piece.minutes])
    chosen = _chosen(counts, piece, shape)
    return (counts if chosen.all() else counts.where(chosen)).cells(shape)


def _chosen(counts: Counts, piece: _Piece, shape: Shape) -> Array:
    """Return which rows are asked for, as a mask."""
    names, began = counts.names, counts.numbers["began"].astype(np.int64) * SECOND
    mine = [shape.environment in {"", environment} and shape.function in {"", name} for environment, name, _ in names]
    chosen: Array = np.array(mine, bool)[counts.of]
    if piece.clip:
        chosen &= (began >= piece.clip[0]) & (began < piece.clip[1])
    if piece.late:
        until = dict(piece.late)
        chosen &= began < np.array([until.get(name, FAR_AHEAD) for _, name, _ in names], np.int64)[counts.of]
    if "busy_ms" not in shape.measures:
        chosen &= counts.numbers["slot"] == counts.numbers["began"]
    return chosen


def _asked(store: Store, rest: Sources, missing: Mapping[Hashable, _Piece], shape: Shape) -> dict[Hashable, Cells]:
    """Return the cells of pieces that are whole minutes, by one read for this shape alone."""
    pieces = list(missing.values())
    span = (pieces[0].minutes[0], pieces[-1].minutes[-1] + MINUTE)
    source = invocations(
        replace(rest, facts=(), minutes=span), columns=OF_CELLS, function=shape.function, environment=shape.environment
    )
    cells = of_invocations(source)
    columns = store.columns(
        f"""SELECT transform({_OF_MINUTE}, {{minutes:Array(UInt32)}}, {{places:Array(UInt32)}}, {len(pieces)}) AS piece,
            {shape.selected()}
        FROM ({spread(cells) if shape.cuts else f"SELECT *, slot AS start FROM ({cells})"})
        WHERE piece < {len(pieces)} GROUP BY piece{shape.grouped}""",
        {
            **source.parameters, "scope_ns": 0, "step_ns": shape.unit_s * SECOND,
            "minutes": [minute // SECOND for piece in pieces for minute in piece.minutes],
            "places": [place for place, piece in enumerate(pieces) for _ in piece.minutes],
        },
    )  # fmt: skip
    of_pieces = apart(columns, partial(cells_of, shape=shape))
    return {key: of_pieces.get(place, cells_of({}, shape)) for place, key in enumerate(missing)}
