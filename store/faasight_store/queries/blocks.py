"""Settled cells in memory: a settling never changes, so each is read once for a way of grouping it.

A block is one settling (a version of an hour or day) by one `Shape`. Those that are missing are read in one statement;
what is fresh is all that a running dashboard asks for. (minutes.py does so with settled minutes.)
"""

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np

from faasight_store.connection import Store
from faasight_store.queries.cells import MAXIMA, SLOT_NS, Array, Cells
from faasight_store.queries.merged import narrowed
from faasight_store.queries.windows import chart_step_s
from faasight_store.times import HOUR, SECOND

S = TypeVar("S")
Clip = tuple[int, int]
Piece = tuple[int, ...]  # versions


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

    @property
    def cuts(self) -> bool:
        """Whether busy time is cut into the steps that it ran through."""
        return "i" in self.by and "busy_ms" in self.measures

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


@dataclass(frozen=True, slots=True)
class Settled:
    """Where settlings are read from."""

    table: str
    within_s: tuple[int, int]  # their hours
    clip: Clip | None = None  # of which only those slots (s), None: all


def settled_cells(store: Store, source: Settled, pieces: Iterable[Piece], shape: Shape) -> list[Cells]:
    """Return the cells of some settlings; each piece is kept as a whole."""
    if not store.remembers:
        versions = tuple(version for piece in pieces for version in piece)
        return [cells_of(_ask(store, source, [versions], shape), shape)]

    def read(missing: Mapping[Hashable, Piece]) -> dict[Hashable, Cells]:
        found = _of_all(store, source, missing, shape)
        if asked := {key: piece for key, piece in missing.items() if key not in found}:
            columns = _ask(store, source, list(asked.values()), shape)
            news = apart(columns, partial(cells_of, shape=shape))
            found |= {key: news.get(place, cells_of({}, shape)) for place, key in enumerate(asked)}
        return found

    cells: list[Cells] = store.kept.filled({_key(source, piece, shape): piece for piece in pieces}, read)
    return cells


def _key(source: Settled, piece: Piece, shape: Shape) -> Hashable:
    return source.table, piece, shape, source.clip


def _of_all(store: Store, source: Settled, pieces: Mapping[Hashable, Piece], shape: Shape) -> dict[Hashable, Cells]:
    """Return the cells of one function of those pieces that are there of all functions."""
    if not shape.function or "function" not in shape.by:
        return {}
    everyone = replace(shape, function="")
    keys = {_key(source, piece, everyone): key for key, piece in pieces.items()}
    found: dict[Hashable, Cells] = store.kept.find(keys)
    return {keys[key]: cells.where(cells["function"] == shape.function) for key, cells in found.items()}


def _ask(store: Store, source: Settled, pieces: Sequence[Piece], shape: Shape) -> dict[str, Array]:
    """Return what is asked for of some pieces, with the place of each."""
    chosen = narrowed(shape.function, shape.environment)
    conditions, parameters = chosen.text, chosen.parameters
    if source.clip:
        conditions += " AND slot >= toDateTime({low_s:Int64}, 'UTC') AND slot < toDateTime({high_s:Int64}, 'UTC')"
        parameters |= {"low_s": source.clip[0], "high_s": source.clip[1]}
    of = "transform(version, {versions:Array(UInt64)}, {places:Array(UInt64)}, 0)" if len(pieces) > 1 else "0"
    return store.columns(
        f"""SELECT {of} AS piece, {shape.selected()} FROM {source.table}
        WHERE hour >= toDateTime({{from_s:Int64}}, 'UTC') AND hour < toDateTime({{to_s:Int64}}, 'UTC')
          AND version IN {{versions:Array(UInt64)}}{conditions}
        GROUP BY piece{shape.grouped}""",
        {
            **parameters, "from_s": source.within_s[0], "to_s": source.within_s[1],
            "versions": [version for piece in pieces for version in piece],
            "places": [place for place, piece in enumerate(pieces) for _ in piece],
        },
    )  # fmt: skip


def apart(columns: Mapping[str, Array], made: Callable[[Mapping[str, Array]], S]) -> dict[int, S]:
    """Return what is `made` of the rows of an answer, by its column `piece`."""
    if not columns or not len(columns["piece"]):
        return {}
    of = columns["piece"].astype(np.uint64)
    order = np.argsort(of, kind="stable")
    values, firsts = np.unique(of[order], return_index=True)
    parts = np.split(order, firsts[1:])
    return {
        int(value): made({name: column[part] for name, column in columns.items()})
        for value, part in zip(values, parts, strict=True)
    }


def cells_of(columns: Mapping[str, Array], shape: Shape) -> Cells:
    """Return the cells of an answer to what a shape selects."""
    named = {**columns, "slot": columns["slot_s"]} if "slot_s" in columns else columns
    return Cells.of(named, shape.names)
