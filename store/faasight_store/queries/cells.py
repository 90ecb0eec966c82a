"""Cells: counts of invocations by time, function and duration, and which tables answer for a range."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from faasight_store import buckets
from faasight_store.connection import Store
from faasight_store.queries.hours import Hours, known_hours, settled_days
from faasight_store.queries.merged import Sql
from faasight_store.queries.settled import Sources, sources
from faasight_store.times import DAY, HOUR, MINUTE, SECOND, moment, to_ns
from faasight_store.types import Scope

# The measures of a cell, in the order of the tables invocation_slots and invocation_hours.
_MEASURES = (
    "invocations, errors, timeouts, out_of_memory, throttles, cold_starts, cost_usd, busy_ms, max_ms, memory_used_mb"
)
OF_CELLS = (
    "environment", "function", "start", "never_ran", "outcome", "throttles", "cold_start", "cost_usd", "duration_ms",
    "memory_used_mb", "init_ms", "init_type",
)  # fmt: skip
# A ping that only keeps a function warm costs and takes a sandbox's time, and is no invocation that anybody waits for.
_OF_INVOCATION = f"""
    toUInt64(NOT never_ran AND outcome != 'warm_up') AS invocations,
    toUInt64(outcome NOT IN ('ok', 'throttled', 'warm_up')) AS errors,
    toUInt64(outcome = 'timeout') AS timeouts,
    toUInt64(outcome = 'out_of_memory') AS out_of_memory,
    toUInt64(throttles) AS throttles,
    toUInt64(cold_start AND NOT never_ran AND outcome != 'warm_up') AS cold_starts,
    cost_usd,
    ifNull(duration_ms, 0) AS busy_ms,
    if(outcome = 'warm_up', NULL, duration_ms) AS max_ms,
    memory_used_mb,
    if(outcome = 'warm_up', {buckets.NONE}, {buckets.sql("duration_ms")}) AS bucket,
    if(cold_start AND outcome != 'warm_up', {buckets.sql("init_ms")}, {buckets.NONE}) AS init_bucket,
    multiIf(never_ran OR NOT cold_start OR outcome = 'warm_up', '', init_type = '', 'on-demand', init_type)
        AS init_type"""

SUMS = ("invocations", "errors", "timeouts", "throttles", "cold_starts", "cost_usd", "busy_ms")
COUNTS = tuple(name for name in SUMS if name not in {"cost_usd", "busy_ms"})
MAXIMA = ("max_ms", "memory_used_mb")  # below 0: unknown
_TEXTS = ("environment", "function", "init_type", "outcome")

SLOT_NS = MINUTE // 2  # of invocation_slots: pages of one and of three hours have buckets of 30 and 90 s

_MOST_SMALL = 2**32 - 1  # counts are mostly small, and there are many

Array = npt.NDArray[Any]
_NOTHING: Array = np.empty(0)


class Grain(Enum):
    """How finely a query cuts the time: it decides which tables may answer."""

    EXACT = 0  # finer than half a minute
    SLOTS = 1
    HOURS = 2
    DAYS = 3

    @classmethod
    def of_step(cls, step_ns: int, hours_from: int = 6 * HOUR) -> "Grain":
        """Return the grain for buckets of a length; hours do from `hours_from` on, an hour then lies in one bucket."""
        if step_ns < SLOT_NS:
            return cls.EXACT
        return cls.SLOTS if step_ns < hours_from else cls.HOURS


# Hours that the scope touches.
HOURS_IN_SCOPE = f"hour >= toStartOfHour({moment('scope_ns')}) AND hour < {moment('scope_end_ns')}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Where the invocations of a range are read from."""

    days: Mapping[int, int]  # versions of settled days, with their ns
    hours: Mapping[int, int]  # versions of other settled hours that lie wholly in the range, with their ns
    slots: tuple[int, ...]  # versions of settled hours at its edges, or of all, where half minutes are asked for
    cut: Mapping[int, tuple[int, int]]  # of those that lie in the range by a part: from and to which slot (s)
    rest: Sources
    start_ns: int  # between these two, slots
    end_ns: int


@dataclass(frozen=True, slots=True)
class Cells:
    """Cells as columns: the keys that were asked for, SUMS and MAXIMA. Several may have the same keys."""

    columns: Mapping[str, Array]

    @classmethod
    def of(cls, columns: Mapping[str, Array], names: Sequence[str]) -> "Cells":
        """Return the columns of these names of an answer, where a measure may be called `all_...`; none are empty."""
        return cls({name: _array(name, columns.get(name, columns.get(f"all_{name}", _NOTHING))) for name in names})

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]

    @property
    def nbytes(self) -> int:
        """How many bytes its columns take; texts are shared."""
        return sum(column.nbytes for column in self.columns.values())

    def where(self, chosen: Array) -> "Cells":
        """Return the cells for which a mask holds, or those of some places."""
        return Cells({name: column[chosen] for name, column in self.columns.items()})


def _array(name: str, column: Array) -> Array:
    if name in _TEXTS:
        return column.astype(object)
    if name in COUNTS and (not len(column) or column.max() <= _MOST_SMALL):
        return column.astype(np.uint32)
    if name in (*SUMS, *MAXIMA, "duration_ms"):
        return column.astype(np.float64)
    return column.astype(np.uint64 if name == "invocation" else np.int64)


def of_invocations(source: Sql, more: str = "") -> str:
    """Return a select of one cell an invocation, with `more` of the source's columns."""
    return f"SELECT {more}environment, function, start AS slot, {_OF_INVOCATION} FROM {source.text}"


def measures() -> str:
    """Return the names of a cell's measures, as a list of columns."""
    return _MEASURES


def plan(store: Store, scope: Scope, grain: Grain = Grain.DAYS) -> Plan:
    """Choose the cheapest tables that are fine enough."""
    start, end = to_ns(scope.start), to_ns(scope.end)
    known = known_hours(store, start, end) if grain is not Grain.EXACT else Hours({}, frozenset(), start)
    settled = known.settled
    first, last = -(-start // SLOT_NS) * SLOT_NS, end // SLOT_NS * SLOT_NS
    days = settled_days(store, start, end, settled) if grain is Grain.DAYS else {}
    whole = {h for h in settled if grain.value >= Grain.HOURS.value and h >= start and h + HOUR <= end}
    covered = [(max(h, first), min(h + HOUR, last)) for h in sorted(settled)]
    return Plan(
        days={version: day for day, version in sorted(days.items())},
        hours={settled[h]: h for h in sorted(whole) if h // DAY * DAY not in days},
        slots=tuple(version for h, version in sorted(settled.items()) if h not in whole),
        cut={
            settled[h]: (max(h, first) // SECOND, min(h + HOUR, last) // SECOND)
            for h in sorted(settled)
            if h < first or h + HOUR > last
        },
        rest=sources(store, known.gaps(start, end, [c for c in covered if c[0] < c[1]]), time.time_ns()),
        start_ns=first,
        end_ns=last,
    )
