"""Lists of single invocations, the newest first."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np

from faasight_store.connection import Store
from faasight_store.queries import about
from faasight_store.queries.live import live_cells
from faasight_store.queries.merged import Interval, Sql
from faasight_store.queries.settled import MINUTES_FOR_NS, Sources, invocations, sources
from faasight_store.queries.settled import recent as what_is_recent
from faasight_store.queries.windows import hex_id, newest_first
from faasight_store.times import from_ns, to_ns
from faasight_store.types import Invocation, Scope

_FOUND_BY = ("invocation", "start", "outcome", "cold_start", "duration_ms")
_COLUMNS = (
    "function", "version", "request_id", "trace_id", "start", "duration_ms", "init_ms", "cold_start", "outcome",
    "error_type", "trigger", "source_kind", "source_name", "attempt", "queue_wait_ms", "billed_ms", "memory_mb",
    "memory_used_mb", "cost_usd",
)  # fmt: skip
_SHOWN = {"trace_id": "lower(hex(trace_id))", "start": "toUnixTimestamp64Nano(start)"}
_INVOCATION = ", ".join(_SHOWN.get(name, name) for name in _COLUMNS)
_READ = (*_COLUMNS, "invocation")
_START = _COLUMNS.index("start")
_CHOSEN = "invocation IN {chosen:Array(UInt64)}"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is looked for."""

    function: str
    environment: str
    failed: bool
    cold: bool
    min_ms: float
    max_ms: float | None
    running: bool  # those too that have not ended

    @property
    def of(self) -> dict[str, Any]:
        """Return what the sub-select of invocations is narrowed by."""
        return {"function": self.function, "environment": self.environment, "running": self.running}

    @property
    def condition(self) -> Sql:
        """Return it as SQL over merged invocations."""
        parts = [
            "outcome NOT IN ('ok', 'running', 'warm_up')" if self.failed else "",
            "cold_start" if self.cold else "",
            "ifNull(duration_ms, 0) >= {min_ms:Float64}" if self.min_ms else "",
            "duration_ms < {max_ms:Float64}" if self.max_ms is not None else "",
        ]
        text = " AND ".join(part for part in parts if part) or "1"
        return Sql(text, {"min_ms": self.min_ms, "max_ms": self.max_ms or 0.0})


def recent(
    store: Store,
    scope: Scope,
    function: str = "",
    *,
    failed: bool = False,
    cold: bool = False,
    min_ms: float = 0,
    max_ms: float | None = None,
    running: bool = False,
    limit: int = 50,
) -> list[Invocation]:
    """Return the newest invocations first; with `running` those too that have begun and not ended."""
    wanted = _Wanted(function, scope.environment, failed, cold, min_ms, max_ms, running)
    found: list[Sequence[Any]] = []
    scope = _until_seen(store, scope, function)
    for interval in newest_first(scope, found, limit, _settled_until(store, scope)):
        found += _of_interval(store, interval, wanted, limit - len(found))
    return [_invocation(row) for row in found]


def _until_seen(store: Store, scope: Scope, function: str) -> Scope:
    """Return the scope up to when a function was last seen, if that is hours ago: facts of the time since need no look.

    Settled minutes do: they are cheap.
    """
    now = time.time_ns()
    if not (function and store.remembers and to_ns(scope.end) > now):
        return scope
    known = about.with_older(store, scope, about.newest(store, scope), [function])
    if function not in known or known[function].last_seen_ns > now - MINUTES_FOR_NS:
        return scope
    return replace(scope, end=min(scope.end, from_ns(known[function].last_seen_ns) + timedelta(microseconds=1)))


def _settled_until(store: Store, scope: Scope) -> int | None:
    """Return from which ns on all is in memory, of a scope that has some of that: it is looked at in one."""
    if not store.remembers or to_ns(scope.end) < time.time_ns() - MINUTES_FOR_NS:
        return None
    return what_is_recent(store).standing.frontier


def _of_interval(store: Store, interval: Interval, wanted: _Wanted, limit: int) -> list[Sequence[Any]]:
    source = sources(store, [interval], time.time_ns())
    older = source
    rows: list[Sequence[Any]] = []
    if source.recent and not wanted.running:
        older = source.without_newest()
        rows += _full(
            store, replace(source, facts=source.facts[-1:], minutes=None), wanted, _newest(store, source, wanted, limit)
        )
    if older.facts:
        rows += _full(store, older, wanted, _which(store, older, wanted, limit))
    elif older:  # settled minutes alone: all columns at once
        some = invocations(older, columns=_READ, **wanted.of)
        rows += store.query(
            f"SELECT {_INVOCATION} FROM {some.text} WHERE {wanted.condition.text}"
            " ORDER BY start DESC, invocation LIMIT {limit:UInt32}",
            {**some.parameters, **wanted.condition.parameters, "limit": limit},
        )
    return sorted(rows, key=lambda row: row[_START], reverse=True)[:limit]


def _newest(store: Store, source: Sources, wanted: _Wanted, limit: int) -> list[int]:
    """Return which of those in memory are wanted."""
    cells = live_cells(store, source, wanted.function, wanted.environment)
    chosen = np.ones(len(cells), dtype=bool)
    if wanted.failed:
        chosen &= (cells["outcome"] != "ok") & (cells["outcome"] != "warm_up")
    if wanted.cold:
        chosen &= cells["cold"] > 0
    if wanted.min_ms:
        chosen &= cells["duration_ms"] >= wanted.min_ms
    if wanted.max_ms is not None:
        chosen &= (cells["duration_ms"] >= 0) & (cells["duration_ms"] < wanted.max_ms)
    cells = cells.where(chosen)
    newest = np.lexsort((cells["invocation"], -cells["start"]))[:limit]
    ids: list[int] = cells["invocation"][newest].tolist()
    return ids


def _which(store: Store, source: Sources, wanted: _Wanted, limit: int) -> list[int]:
    """Return which of those in the tables are wanted, from few columns: to merge all of a range costs far more."""
    some = invocations(source, columns=_FOUND_BY, unwell=wanted.failed, **wanted.of)
    rows = store.query(
        f"SELECT invocation FROM {some.text} WHERE {wanted.condition.text}"
        " ORDER BY start DESC, invocation LIMIT {limit:UInt32}",
        {**some.parameters, **wanted.condition.parameters, "limit": limit},
    )
    return [row[0] for row in rows]


def _full(store: Store, source: Sources, wanted: _Wanted, chosen: Sequence[int]) -> Sequence[Sequence[Any]]:
    if not chosen:
        return []
    full = invocations(source, columns=_READ, where=_CHOSEN, **wanted.of)
    return store.query(
        f"SELECT {_INVOCATION} FROM {full.text} WHERE {wanted.condition.text} ORDER BY start DESC, invocation",
        {**full.parameters, **wanted.condition.parameters, "chosen": chosen},
    )


def _invocation(row: Sequence[Any]) -> Invocation:
    values = [*row[:3], hex_id(row[3]), from_ns(row[4]), *row[5:7], bool(row[7]), *row[8:]]
    return Invocation(*values)
