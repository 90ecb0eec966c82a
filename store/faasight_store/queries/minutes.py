"""Settled minutes in memory: each is read once, whole, and of its counts the cells of every question are made.

A minute's counts hold as long as its settlings do; `Standing.made_of` tells them apart. Of a function that is late (its
facts are merged anew from some minute on) only what began before that is taken. Where so much runs that all counts
would be too many, each question's cells are read by themselves.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from faasight_store.connection import Store
from faasight_store.queries.blocks import Shape, apart, cells_of
from faasight_store.queries.cells import MAXIMA, OF_CELLS, SLOT_NS, SUMS, Array, Cells, of_invocations
from faasight_store.queries.figures import factorized
from faasight_store.queries.merged import Interval
from faasight_store.queries.settled import FAR_AHEAD, Recent, Sources, invocations
from faasight_store.queries.steps import spread
from faasight_store.times import MINUTE, SECOND

_CHUNK = 10 * MINUTE  # cells are kept together by so many: fewer of them
MOST_FACTS = 3_000_000  # of all minutes; some 60 bytes for each two or three
_KEY = "minutes"  # under which the last ones that were read are kept
_SLOT_S = SLOT_NS // SECOND
_NAMES = ("environment", "function", "init_type")
_TIMES = ("began", "slot")  # s, of half minutes
_BUCKETS = ("bucket", "init_bucket")
_COUNTS = tuple(name for name in SUMS if name not in {"cost_usd", "busy_ms"})
_TYPES = {
    **dict.fromkeys(_TIMES, "UInt32"), **dict.fromkeys(_BUCKETS, "Int16"), **dict.fromkeys(_COUNTS, "UInt32"),
    **dict.fromkeys(("cost_usd", "busy_ms", *MAXIMA), "Float64"),
}  # fmt: skip
_AT = f"toUnixTimestamp(toStartOfInterval(toDateTime(%s, 'UTC'), INTERVAL {_SLOT_S} SECOND))"
_OF_MINUTE = "toUnixTimestamp(toStartOfMinute(toDateTime(start, 'UTC')))"
Name = tuple[str, str, str]  # as _NAMES


@dataclass(frozen=True, slots=True)
class Counts:
    """What began in some time, by names, durations, and the half minutes in which it `began` and ran (`slot`).

    Where it began all but its busy time counts, and each half minute has as much of that as it ran there.
    """

    names: Sequence[Name]
    of: Array  # the place of each row's names
    numbers: Mapping[str, Array]  # of _TYPES

    @property
    def nbytes(self) -> int:
        """How many bytes its columns take; texts are shared."""
        return self.of.nbytes + sum(column.nbytes for column in self.numbers.values())

    def where(self, chosen: Array) -> "Counts":
        """Return the rows for which a mask holds, or those of some places."""
        return Counts(self.names, self.of[chosen], {name: column[chosen] for name, column in self.numbers.items()})

    @classmethod
    def together(cls, parts: Sequence["Counts"]) -> "Counts":
        """Return all rows of several."""
        places: dict[Name, int] = {}
        own = [np.array([places.setdefault(name, len(places)) for name in part.names], np.int64) for part in parts]
        of = np.concatenate([mine[part.of] for mine, part in zip(own, parts, strict=True)])
        return cls(tuple(places), of, {name: np.concatenate([part.numbers[name] for part in parts]) for name in _TYPES})


@dataclass(frozen=True)
class Minutes:
    """The counts of all settled minutes (ns), with what tells their settlings apart."""

    counts: Mapping[int, Counts]
    made_of: Mapping[int, int]

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
    few = known.standing.facts <= MOST_FACTS
    unit = SLOT_NS if few else MINUTE
    low, high = -(-start // unit) * unit, end // unit * unit
    if low >= high:
        return [], [(start, end)]
    keys: dict[Hashable, _Piece] = {(_KEY, piece, shape): piece for piece in _pieces(low, high, rest)}
    found: dict[Hashable, Cells] = store.kept.find(keys)
    if missing := {key: piece for key, piece in keys.items() if key not in found}:
        if few:
            minutes = known.minutes.get(partial(_read, store), known)
            new = {key: _cells(minutes, piece, shape) for key, piece in missing.items()}
        else:
            new = _asked(store, rest, missing, shape)
        found |= new
        store.kept.add(new)
    return list(found.values()), [(a, b) for a, b in ((start, low), (high, end)) if a < b]


def read_ahead(store: Store, now: Recent) -> None:
    """Read the minutes that are settled by now, as the next question would."""
    if now.standing.facts <= MOST_FACTS:
        now.minutes.get(partial(_read, store), now)


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
    at = now.standing
    made_of = {minute: of for minute, of in at.made_of.items() if at.frontier and minute < at.frontier}
    before: Minutes | None = store.kept.find([_KEY]).get(_KEY)
    kept = {
        minute: counts
        for minute, counts in (before.counts.items() if before else ())
        if before and before.made_of[minute] == made_of.get(minute)
    }
    missing = sorted(made_of.keys() - kept)
    news = _ask(store, missing) if missing else {}
    minutes = Minutes({minute: kept.get(minute) or news.get(minute) or _NOTHING for minute in made_of}, made_of)
    store.kept.add({_KEY: minutes})
    return minutes


def _ask(store: Store, minutes: Sequence[int]) -> dict[int, Counts]:
    """Return the counts of minutes (ns) in which anything began."""
    source = invocations(Sources((), (minutes[0], minutes[-1] + MINUTE)), columns=OF_CELLS)
    told = {name: f"ifNull({name}, -1)" for name in MAXIMA} | {"began": _AT % "start", "slot": _AT % "cell.slot"}
    numbers = ", ".join(f"to{kind}({told.get(name, name)}) AS of_{name}" for name, kind in _TYPES.items())
    columns = store.columns(
        f"""SELECT {_OF_MINUTE} AS piece, {", ".join(_NAMES)}, {numbers}
        FROM ({spread(of_invocations(source))}) AS cell WHERE piece IN {{minutes:Array(UInt32)}}""",
        {
            **source.parameters, "scope_ns": 0, "step_ns": SLOT_NS,
            "minutes": [minute // SECOND for minute in minutes],
        },
    )  # fmt: skip
    return {piece * SECOND: counts for piece, counts in apart(columns, "piece", _counted).items()}


def _counted(columns: Mapping[str, Array]) -> Counts:
    """Return rows as counts: those of the same names, durations and times in one."""
    texts = [factorized(columns[name]) for name in _NAMES]
    place = _code([of for _, of in texts], len(columns["piece"]))
    _, some, of = np.unique(place, return_index=True, return_inverse=True)
    names = tuple(zip(*([told[code[row]] for row in some] for told, code in texts), strict=True))
    numbers = {name: columns[f"of_{name}"] for name in _TYPES}
    order, firsts = _groups([of, *(numbers[name] for name in (*_TIMES, *_BUCKETS))])
    keys = {name: numbers[name][order[firsts]] for name in (*_TIMES, *_BUCKETS)}
    return Counts(names, of[order[firsts]].astype(np.int32), keys | _summed(numbers, (*SUMS, *MAXIMA), order, firsts))


_NOTHING = Counts((), np.empty(0, np.int32), {name: np.empty(0, kind.lower()) for name, kind in _TYPES.items()})


def _cells(minutes: Minutes, piece: _Piece, shape: Shape) -> Cells:
    """Return the cells of some minutes."""
    all_of = Counts.together([minutes.counts.get(minute, _NOTHING) for minute in piece.minutes])
    chosen = _chosen(all_of, piece, shape)
    counts = all_of if chosen.all() else all_of.where(chosen)
    keys: dict[str, tuple[Array, Array | None]] = {}
    for name in shape.by:
        if name in _NAMES:
            told, code = factorized(np.array([some[_NAMES.index(name)] for some in counts.names], object))
            keys[name] = code[counts.of], np.array(told, object)
        elif name == "i":
            keys["slot"] = counts.numbers["slot"].astype(np.int64) // shape.unit_s * shape.unit_s, None
        else:
            keys[name] = counts.numbers[name].astype(np.int64), None
    order, firsts = _groups([code for code, _ in keys.values()])
    columns: dict[str, Array] = {}
    for name, (code, texts) in keys.items():
        column = code[order[firsts]]
        columns[name] = column if texts is None else texts[column]
    sums = _summed(counts.numbers, shape.measures, order, firsts)
    return Cells(columns | {name: column.astype(np.float64) for name, column in sums.items()})


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


def _code(columns: Sequence[Array], rows: int) -> Array:
    """Return one number for the values of several columns in each row."""
    code = np.zeros(rows, np.int64)
    for column in columns if rows else ():
        low = int(column.min())
        code = code * (int(column.max()) - low + 1) + (column.astype(np.int64) - low)
    return code


def _groups(keys: Sequence[Array]) -> tuple[Array, Array]:
    """Return an order of the rows in which equal ones stand together, and where each group begins in it."""
    code = _code(keys, len(keys[0]))
    order = np.argsort(code)
    in_order = code[order]
    begins = np.ones(len(code), bool)
    begins[1:] = in_order[1:] != in_order[:-1]
    return order, np.flatnonzero(begins)


def _summed(numbers: Mapping[str, Array], names: Sequence[str], order: Array, firsts: Array) -> dict[str, Array]:
    """Return measures of groups of rows: sums, and the largest of MAXIMA."""
    if not len(order):
        return {name: numbers[name] for name in names}
    return {name: (np.maximum if name in MAXIMA else np.add).reduceat(numbers[name][order], firsts) for name in names}


def _asked(store: Store, rest: Sources, missing: Mapping[Hashable, _Piece], shape: Shape) -> dict[Hashable, Cells]:
    """Return the cells of pieces that are whole minutes, by one read for this shape alone."""
    pieces = list(missing.values())
    span = (pieces[0].minutes[0], pieces[-1].minutes[-1] + MINUTE)
    source = invocations(
        replace(rest, facts=(), minutes=span), columns=OF_CELLS, function=shape.function, environment=shape.environment
    )
    cells = of_invocations(source)
    cut = "i" in shape.by and "busy_ms" in shape.measures
    columns = store.columns(
        f"""SELECT transform({_OF_MINUTE}, {{minutes:Array(UInt32)}}, {{places:Array(UInt32)}}, {len(pieces)}) AS piece,
            {shape.selected()}
        FROM ({spread(cells) if cut else f"SELECT *, slot AS start FROM ({cells})"})
        WHERE piece < {len(pieces)} GROUP BY piece{shape.grouped}""",
        {
            **source.parameters, "scope_ns": 0, "step_ns": shape.unit_s * SECOND,
            "minutes": [minute // SECOND for piece in pieces for minute in piece.minutes],
            "places": [place for place, piece in enumerate(pieces) for _ in piece.minutes],
        },
    )  # fmt: skip
    of_pieces = apart(columns, "piece", partial(cells_of, shape=shape))
    return {key: of_pieces.get(place, cells_of({}, shape)) for place, key in enumerate(missing)}
