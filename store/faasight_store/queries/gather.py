"""Gathers the cells that a query needs, grouped by some keys: settled ones kept in memory, the newest merged once.

What is settled is asked for once (blocks.py, minutes.py), what is not settled yet is merged once for all queries
(live.py); the rest, which is little, is read in one flat statement, for to plan a statement costs more than to run it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from faasight_store.connection import Store
from faasight_store.queries.blocks import Settled, Shape, settled_cells, unit_s
from faasight_store.queries.cells import (
    MAXIMA,
    OF_CELLS,
    SLOT_NS,
    SUMS,
    Cells,
    Grain,
    Plan,
    of_invocations,
    plan,
)
from faasight_store.queries.live import live_cells
from faasight_store.queries.merged import Interval
from faasight_store.queries.minutes import minute_cells
from faasight_store.queries.settled import Sources, invocations
from faasight_store.queries.steps import placed, spread, started
from faasight_store.times import DAY, HOUR, SECOND, to_ns
from faasight_store.types import Scope

# What is not cut by time is kept by so much of it: fewer cells, and one that is settled anew has few others read again.
_HOURS_TOGETHER, _DAYS_TOGETHER = 6 * HOUR, 7 * DAY


def gather(
    store: Store,
    scope: Scope,
    by: Sequence[str],
    function: str = "",
    *,
    step_ns: int = 0,
    grain: Grain = Grain.DAYS,
    measures: Sequence[str] = (*SUMS, *MAXIMA),
) -> Cells:
    """Return the cells of a scope by some of: function, bucket, init_bucket, init_type, i (which step of `step_ns`).

    Of their measures only those that are asked for are read.

    Where `i` is asked for, the busy time of invocations that no settled hour holds is spread over the steps that they
    ran through, in cells that count nothing else.
    """
    if grain is Grain.DAYS and not function and "function" not in by:
        grain = Grain.HOURS  # of the fleet there are no days: its hours are few
    planned, names = plan(store, scope, grain), [*by, *measures]
    start, end = to_ns(scope.start), to_ns(scope.end)
    shape = Shape(tuple(by), tuple(measures), function, scope.environment, unit_s(start, end, step_ns))
    older = planned.rest.without_newest() if planned.rest.recent else planned.rest
    minutes, edges = minute_cells(store, older, shape)
    found = [*_settled(store, planned, shape, (start, end), step_ns), *minutes]
    if step_ns:
        found = [_stepped(cells, start, step_ns) for cells in found]
    rest = [replace(older, minutes=edges[0] if edges else None)]
    rest += [replace(older, minutes=edge, facts=()) for edge in edges[1:]]
    found += _asked(store, rest, shape, start, step_ns)
    if planned.rest.recent:
        cells = live_cells(store, planned.rest, function, scope.environment)
        if "i" in by:
            cells = placed(cells, scope, step_ns) if shape.cuts else started(cells, scope, step_ns)
        found.append(cells)
    if not found:
        return Cells.of({}, names)
    return Cells({name: np.concatenate([some[name] for some in found]) for name in names})


def _settled(store: Store, planned: Plan, shape: Shape, scope_ns: Interval, step_ns: int) -> list[Cells]:
    """Return the cells of settled days, hours, and parts of hours."""
    of, hours = "invocation", "invocation_hours"
    if not shape.function and "function" not in shape.by:
        of, hours = "fleet", "fleet_hours"
    shape = replace(shape, unit_s=shape.unit_s or SLOT_NS // SECOND)
    by_hours = replace(shape, unit_s=SLOT_NS // SECOND)  # an hour's slot is its first: any unit tells it
    whole_s = (scope_ns[0] // HOUR * HOUR // SECOND, scope_ns[1] // SECOND + 1)
    found = []
    if planned.days:
        days = Settled("invocation_days", whole_s)
        found += settled_cells(store, days, _of_steps(planned.days, _DAYS_TOGETHER), by_hours)
    if planned.hours:
        pieces, of_hours = _each(planned.hours), by_hours
        if "i" not in shape.by:
            pieces = _of_steps(planned.hours, _HOURS_TOGETHER)
        elif step_ns > HOUR and step_ns % HOUR == 0 and scope_ns[0] % step_ns == 0:  # the hours of a step together
            pieces, of_hours = _of_steps(planned.hours, step_ns), replace(shape, unit_s=step_ns // SECOND)
        found += settled_cells(store, Settled(hours, whole_s), pieces, of_hours)
    if planned.slots:
        found += _of_slots(store, Settled(f"{of}_slots", whole_s), planned, shape)
    return found


def _of_slots(store: Store, slots: Settled, planned: Plan, shape: Shape) -> list[Cells]:
    """Return the cells of hours by the half minute, cut to the scope."""
    if "i" not in shape.by:
        uncut = [version for version in planned.slots if version not in planned.cut]
        found = settled_cells(store, slots, _each(uncut), shape) if uncut else []
        for version, clip in planned.cut.items():
            found += settled_cells(store, replace(slots, clip=clip), [(version,)], shape)
        return found
    first_s, last_s = planned.start_ns // SECOND, planned.end_ns // SECOND
    whole = settled_cells(store, slots, _each(planned.slots), shape)
    inside = [(cells["slot"] >= first_s) & (cells["slot"] < last_s) for cells in whole]
    return [cells if all_of.all() else cells.where(all_of) for cells, all_of in zip(whole, inside, strict=True)]


def _each(versions: Iterable[int]) -> list[tuple[int, ...]]:
    return [(version,) for version in versions]


def _of_steps(hours: Mapping[int, int], step_ns: int) -> list[tuple[int, ...]]:
    """Return versions of hours or days by the step that they lie in: a month would be many cells by the hour."""
    steps: dict[int, list[int]] = {}
    for version, hour in hours.items():
        steps.setdefault(hour // step_ns, []).append(version)
    return [tuple(versions) for versions in steps.values()]


def _stepped(cells: Cells, start: int, step_ns: int) -> Cells:
    """Say in which step the cells of some slots lie."""
    return Cells({**cells.columns, "i": (cells["slot"] * SECOND - start) // step_ns})


def _asked(store: Store, rest: Sequence[Sources], shape: Shape, start: int, step_ns: int) -> list[Cells]:
    """Return the cells of what is read from single invocations, in the tables."""
    found = []
    for some in rest:
        if not some:
            continue
        source = invocations(some, columns=OF_CELLS, function=shape.function, environment=shape.environment)
        cells = of_invocations(source)
        if shape.cuts:
            cells = spread(cells)
        grouping = f" GROUP BY {', '.join(shape.by)}" if shape.by else ""
        columns = store.columns(
            f"SELECT {shape.selected(_STEP)} FROM ({cells}){grouping}",
            {**source.parameters, "scope_ns": start, "step_ns": step_ns},
        )
        found.append(Cells.of(columns, [*shape.by, *shape.measures]))
    return found


_STEP = "intDiv(toUnixTimestamp64Nano(slot) - {scope_ns:Int64}, {step_ns:Int64}) AS i"
