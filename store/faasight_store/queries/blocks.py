"""Settled cells in memory: a settling never changes, so each is read once for a way of grouping it.

A block is one settling (a version of an hour or day) by one `Shape`. Those that are missing are read in one statement;
what is fresh is all that a running dashboard asks for. (minutes.py does so with settled minutes.)
"""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
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
            return [cells_of(news, shape)]
        by_piece = apart(news, "piece", partial(cells_of, shape=shape))
        new: dict[Hashable, Cells] = {
            (table, piece, shape, clip): by_piece.get(place, cells_of({}, shape)) for place, piece in enumerate(missing)
        }
        found |= new
        store.kept.add(new)
    return list(found.values())


def apart(columns: Mapping[str, Array], by: str, made: Callable[[Mapping[str, Array]], S]) -> dict[int, S]:
    """Return what is `made` of the rows of an answer, by one of its columns."""
    if not columns or not len(columns[by]):
        return {}
    of = columns[by].astype(np.uint64)
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
