"""Gathers the cells that a query needs, grouped by some keys: settled ones from their tables, the newest from memory.

Each table is read in one flat statement, for to plan a statement costs more than to run it; what is not settled yet is
merged once for all queries (live.py).
"""

from collections.abc import Sequence

import numpy as np

from faasight_store import buckets
from faasight_store.connection import Store
from faasight_store.queries.cells import (
    HOURS_IN_SCOPE,
    MAXIMA,
    OF_CELLS,
    SUMS,
    Cells,
    Grain,
    Plan,
    of_invocations,
    plan,
)
from faasight_store.queries.live import live_cells
from faasight_store.queries.merged import Sql
from faasight_store.queries.settled import invocations
from faasight_store.times import SECOND, to_ns
from faasight_store.types import Scope


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
    by_function = bool(function) or "function" in by
    if grain is Grain.DAYS and not by_function:
        grain = Grain.HOURS  # of the fleet there are no days: its hours are few
    planned, names = plan(store, scope, grain), [*by, *measures]
    found = []
    newest = planned.rest.recent and store.beside(lambda: live_cells(store, planned.rest, function, scope.environment))
    if parts := _parts(planned, by, measures, scope, function, step_ns):
        sql = " UNION ALL ".join(part.text for part in parts)
        parameters = {name: value for part in parts for name, value in part.parameters.items()}
        found.append(Cells.of(store.columns(sql, parameters), names))
    if newest:
        cells = newest.result()
        if "i" in by:
            cells = _placed(cells, scope, step_ns) if "busy_ms" in measures else _started(cells, scope, step_ns)
        found.append(cells)
    if not found:
        return Cells.of({}, names)
    return Cells({name: np.concatenate([some[name] for some in found]) for name in names})


def _parts(
    planned: Plan, by: Sequence[str], measures: Sequence[str], scope: Scope, function: str, step_ns: int
) -> list[Sql]:
    """Return a select of each table that is needed."""
    own = {"scope_ns": to_ns(scope.start), "scope_end_ns": to_ns(scope.end), "step_ns": step_ns}
    chosen = {name: value for name, value in (("function", function), ("environment", scope.environment)) if value}
    conditions = "".join(f" AND {name} = {{{name}:String}}" for name in chosen)
    hours, slots = "invocation_hours", "invocation_slots"
    if not function and "function" not in by:
        hours, slots = "fleet_hours", "fleet_slots"
    found = []
    if planned.days:
        where = f"{HOURS_IN_SCOPE} AND version IN {{days:Array(UInt64)}}{conditions}"
        found.append(
            Sql(_grouped(by, measures, "invocation_days", where), {**own, **chosen, "days": list(planned.days)})
        )
    if planned.hours:
        where = f"{HOURS_IN_SCOPE} AND version IN {{hours:Array(UInt64)}}{conditions}"
        found.append(Sql(_grouped(by, measures, hours, where), {**own, **chosen, "hours": list(planned.hours)}))
    if planned.slots:
        where = (
            f"{HOURS_IN_SCOPE} AND version IN {{slots:Array(UInt64)}}{conditions}"
            " AND slot >= toDateTime({first_s:Int64}, 'UTC') AND slot < toDateTime({last_s:Int64}, 'UTC')"
        )
        times = {"first_s": planned.start_ns // SECOND, "last_s": planned.end_ns // SECOND}
        found.append(
            Sql(_grouped(by, measures, slots, where), {**own, **chosen, **times, "slots": list(planned.slots)})
        )
    rest = planned.rest.without_newest() if planned.rest.recent else planned.rest
    if rest:
        source = invocations(rest, columns=OF_CELLS, function=function, environment=scope.environment)
        cells = of_invocations(source)
        spread = "i" in by and "busy_ms" in measures
        text = _grouped(by, measures, f"({_SPREAD % {'cells': cells}})" if spread else f"({cells})", "1")
        found.append(Sql(text, {**own, **source.parameters}))
    return found


_STEP = "intDiv(toUnixTimestamp64Nano(slot) - {scope_ns:Int64}, {step_ns:Int64}) AS i"
_STEP_OF_SLOT = "intDiv(toInt64(toUnixTimestamp(slot)) * 1000000000 - {scope_ns:Int64}, {step_ns:Int64}) AS i"


def _grouped(by: Sequence[str], measures: Sequence[str], table: str, where: str) -> str:
    # Not called as the columns: an alias would stand for the column in the other expressions.
    told = ", ".join(
        f"ifNull(max({name}), -1) AS all_{name}" if name in MAXIMA else f"sum({name}) AS all_{name}"
        for name in measures
    )
    step = _STEP if table.startswith("(") else _STEP_OF_SLOT  # slots of the tables are whole seconds
    keys = "".join(f"{step if name == 'i' else name}, " for name in by)
    grouping = f" GROUP BY {', '.join(by)}" if by else ""
    return f"SELECT {keys}{told} FROM {table} WHERE {where}{grouping}"


def _started(cells: Cells, scope: Scope, step_ns: int) -> Cells:
    """Say in which step single invocations started."""
    return Cells({**cells.columns, "i": (cells["start"] - to_ns(scope.start)) // step_ns})


def _placed(cells: Cells, scope: Scope, step_ns: int) -> Cells:
    """Cut single invocations into the steps that they ran through; all but their busy time counts where they start."""
    start = cells["start"] - to_ns(scope.start)
    first = start // step_ns
    busy_ns = (cells["busy_ms"] * 1e6).astype(np.int64)
    steps = np.minimum((start + busy_ns) // step_ns - first, _MOST_STEPS) + 1
    row = np.repeat(np.arange(len(cells)), steps)
    k = np.arange(len(row)) - np.repeat(np.cumsum(steps) - steps, steps)
    low = (first[row] + k) * step_ns
    ran = np.minimum((start + busy_ns)[row], low + step_ns) - np.maximum(start[row], low)
    columns = {name: column[row] for name, column in cells.columns.items()}
    began = k == 0
    for name in SUMS:
        columns[name] = np.maximum(ran, 0) / 1e6 if name == "busy_ms" else columns[name] * began
    for name in MAXIMA:
        columns[name] = np.where(began, columns[name], -1.0)
    for name in ("bucket", "init_bucket"):
        columns[name] = np.where(began, columns[name], buckets.NONE)
    return Cells(columns | {"i": first[row] + k})


_MOST_STEPS = 2000
# The same in SQL, for invocations that are not in memory.
_BEGAN, _ENDED = "toUnixTimestamp64Nano(start)", "(toUnixTimestamp64Nano(start) + toInt64(busy * 1e6))"
_EDGE = "({scope_ns:Int64} + (first_step + k) * {step_ns:Int64})"
_SPREAD = f"""SELECT environment, function, fromUnixTimestamp64Nano(if(k = 0, {_BEGAN}, {_EDGE}), 'UTC') AS slot,
        {", ".join(f"(k = 0) * counted_{name} AS {name}" for name in SUMS if name != "busy_ms")},
        greatest(least({_ENDED}, {_EDGE} + {{step_ns:Int64}}) - greatest({_BEGAN}, {_EDGE}), 0) / 1e6 AS busy_ms,
        {", ".join(f"if(k = 0, whole_{name}, NULL) AS {name}" for name in MAXIMA)},
        {", ".join(f"if(k = 0, whole_{name}, {buckets.NONE}) AS {name}" for name in ("bucket", "init_bucket"))},
        if(k = 0, whole_init_type, '') AS init_type
    FROM (SELECT environment, function, slot AS start, busy_ms AS busy,
            {", ".join(f"{name} AS counted_{name}" for name in SUMS if name != "busy_ms")},
            {", ".join(f"{name} AS whole_{name}" for name in (*MAXIMA, "bucket", "init_bucket", "init_type"))},
            intDiv({_BEGAN} - {{scope_ns:Int64}}, {{step_ns:Int64}}) AS first_step,
            intDiv({_ENDED} - {{scope_ns:Int64}}, {{step_ns:Int64}}) AS last_step
        FROM (%(cells)s))
    ARRAY JOIN range(toUInt64(least(last_step - first_step, {_MOST_STEPS})) + 1) AS k"""
