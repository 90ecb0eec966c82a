"""Single invocations cut into the steps of a chart that they ran through: in memory, and in SQL."""

import numpy as np

from faasight_store import buckets
from faasight_store.queries.cells import MAXIMA, SUMS, Cells
from faasight_store.times import to_ns
from faasight_store.types import Scope


def spread(cells: str) -> str:
    """Return a select of `cells` (cells.of_invocations) by the steps that they ran through, from `slot` on.

    All but their busy time counts where they start, at `start`. Its parameters: scope_ns, step_ns.
    """
    return _SPREAD % {"cells": cells}


def started(cells: Cells, scope: Scope, step_ns: int) -> Cells:
    """Say in which step single invocations started."""
    return Cells({**cells.columns, "i": (cells["start"] - to_ns(scope.start)) // step_ns})


def placed(cells: Cells, scope: Scope, step_ns: int) -> Cells:
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
_SPREAD = f"""SELECT environment, function, start, fromUnixTimestamp64Nano(if(k = 0, {_BEGAN}, {_EDGE}), 'UTC') AS slot,
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
