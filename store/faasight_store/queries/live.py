"""The newest invocations, which no settled minute holds yet: merged once for all queries, and kept in memory."""

import time
from collections.abc import Sequence
from functools import partial

from faasight_store.connection import Store
from faasight_store.queries import minutes
from faasight_store.queries.cells import MAXIMA, OF_CELLS, SUMS, Array, Cells, of_invocations
from faasight_store.queries.hours import known_hours
from faasight_store.queries.merged import Sql, merged
from faasight_store.queries.settled import FAR_AHEAD, Recent, Sources, recent
from faasight_store.times import HOUR

_KEYS = ("environment", "function", "bucket", "init_bucket", "init_type")
_COLUMNS = ", ".join([*_KEYS, *SUMS, *(f"ifNull({name}, -1) AS all_{name}" for name in MAXIMA)])


def live_cells(store: Store, rest: Sources, function: str = "", environment: str = "") -> Cells:
    """Return a cell for each invocation of `rest` that its minutes do not hold; `start` is in ns.

    Of lists: `invocation` (the hash that stands for it in the tables), `outcome`, `cold` (0 or 1), `duration_ms` (below
    0: unknown).
    """
    if rest.recent is None or rest.known is None:
        raise ValueError("nothing of it is live")
    now = rest.known
    known: Cells = now.merged.get(partial(_merged, store), now)
    chosen: Array = (known["start"] >= rest.recent[0]) & (known["start"] < rest.recent[1])
    for name, value in (("function", function), ("environment", environment)):
        if value:
            chosen &= known[name] == value
    return known.where(chosen)


def prepare(store: Store) -> None:
    """Ask what all queries must know first, if that is remembered, so that a page that comes soon need not wait."""
    if store.remembers:
        now = time.time_ns()
        known_hours(store, now - HOUR, now)
        known = recent(store)
        known.merged.get(partial(_merged, store), known)
        minutes.read_ahead(store, known)


def newest(now: Recent, columns: Sequence[str], *, unwell: bool = False) -> Sql:
    """Return a sub-select of what no settled minute holds, merged from facts."""
    at = now.standing
    begin = now.first if at.frontier is None else at.frontier
    first = min([begin, *at.late.values()])
    return merged(
        [(begin, FAR_AHEAD)],
        columns=columns,
        late=at.late,
        vague=first <= at.vague_until,
        retried=now.retried,
        unwell=unwell,
    )


def _merged(store: Store, now: Recent) -> Cells:
    source = newest(now, ("invocation", *OF_CELLS))
    cells = of_invocations(source, "invocation, outcome, toUInt8(cold_start) AS cold, duration_ms, ")
    sql = (
        "SELECT invocation, outcome, cold, ifNull(duration_ms, -1) AS all_duration_ms,"
        f" toUnixTimestamp64Nano(slot) AS start, {_COLUMNS} FROM ({cells})"
    )
    names = ["invocation", "outcome", "cold", "duration_ms", "start", *_KEYS, *SUMS, *MAXIMA]
    return Cells.of(store.columns(sql, source.parameters), names)
