"""Failures grouped by function, type and frames, or by the shape of the message where there is no stack."""

import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from faasight_store.connection import Store
from faasight_store.queries.cells import SLOT_NS
from faasight_store.queries.hours import known_hours
from faasight_store.queries.live import newest
from faasight_store.queries.merged import Sql, narrowed
from faasight_store.queries.settled import Recent, Sources, invocations, sources
from faasight_store.queries.windows import hex_id
from faasight_store.times import HOUR, MINUTE, SECOND, from_ns, to_ns, within
from faasight_store.types import ErrorGroup, ErrorVersion, Scope

OF_FAILURES = (
    "environment", "function", "outcome", "error_type", "error_message", "error_frames", "version", "start", "trace_id",
)  # fmt: skip
FAILURE = "environment, function, type, shape, frames, function_version"  # what tells failures apart
_ALL = f"{FAILURE}, failures, first, last, message, trace_id"
_AS_NS = "toUnixTimestamp64Nano"
_MOST_GROUPS = 10_000  # of what is settled; the rarest go


def failures(source: Sql, by: str = "") -> str:
    """Return a select of failures by FAILURE as error_hours has them, and `part`, if they are parted `by` a time.

    Where there is no stack (a time-out, a platform that ended the sandbox) the shape of the message stands for it.
    """
    part = f"{by} AS part, " if by else ""
    return rf"""SELECT {part}environment, function, if(error_type = '', outcome, error_type) AS type,
        if(error_frames != '', '', replaceRegexpAll(error_message,
            '0x[0-9a-fA-F]+|[0-9a-fA-F]{{8,}}(-[0-9a-fA-F]+)*|[0-9]+', '#')) AS shape,
        error_frames AS frames, version AS function_version,
        count() AS failures, min(start) AS first, max(start) AS last,
        argMax(error_message, start) AS message, argMax(trace_id, start) AS trace_id
    FROM {source.text} WHERE outcome NOT IN ('ok', 'throttled', 'warm_up')
    GROUP BY {"part, " if by else ""}{FAILURE}"""


@dataclass(frozen=True, slots=True)
class _Found:
    """Rows of groups of failures, as `_grouped` or `_apart` selects them."""

    rows: Sequence[Sequence[Any]]

    @property
    def nbytes(self) -> int:
        """Roughly what they take: mostly frames and messages."""
        return sum(1000 + sum(len(some) for some in row if isinstance(some, str)) for row in self.rows)


def errors(store: Store, scope: Scope, function: str = "", limit: int = 20) -> list[ErrorGroup]:
    """Return failures grouped by function, type and frames (or shape of message), most frequent first."""
    start, end = to_ns(scope.start), to_ns(scope.end)
    known = known_hours(store, start, end)
    settled = known.settled
    whole = {hour: version for hour, version in settled.items() if hour >= start and hour + HOUR <= end}
    cut = {hour: version for hour, version in settled.items() if hour not in whole}
    if start % SLOT_NS or end % SLOT_NS:
        cut = {}  # of an hour that is cut the facts are read
    covered = [(max(hour, start), min(hour + HOUR, end)) for hour in sorted({**whole, **cut})]
    newest, rest = _newest(
        store, sources(store, known.gaps(start, end, covered), time.time_ns()), function, scope.environment
    )
    found = [*_older(store, tuple(whole.values()), rest, scope, function), *newest]
    for hour, version in cut.items():
        found += _chosen(_of_hour(store, hour, version), start, end, function, scope.environment)
    groups: dict[tuple[str, ...], list[Sequence[Any]]] = {}
    for row in found:
        groups.setdefault((row[0], row[1], row[8], row[7]), []).append(row)
    added = [_added(rows) for rows in groups.values()]
    return [_error_group(row) for row in sorted(added, key=lambda row: (row[3], row[5]), reverse=True)[:limit]]


def _added(rows: Sequence[Sequence[Any]]) -> Sequence[Any]:
    """Add up the rows of one group; message and trace are those of the last failure."""
    if len(rows) == 1:
        return rows[0]
    last = max(rows, key=lambda row: row[5])
    seen: dict[str, tuple[str, int, int, int]] = {}
    for name, count, since, until in (version for row in rows for version in row[9]):
        _, before, first, until_before = seen.get(name, (name, 0, since, until))
        seen[name] = (name, before + count, min(first, since), max(until_before, until))
    return (
        *last[:3], sum(row[3] for row in rows), min(row[4] for row in rows), last[5], last[6], *last[7:9],
        sorted(seen.values(), key=lambda version: (version[2], version[0])),
    )  # fmt: skip


def _grouped(store: Store, parts: Sequence[Sql]) -> Sequence[Sequence[Any]]:
    """Return the groups of what the parts select, each with its environments' versions."""
    if not parts:
        return []
    return store.query(
        f"""SELECT function, type, argMax(message, last), sum(failures) AS total,
            {_AS_NS}(min(first)), {_AS_NS}(max(last) AS newest), lower(hex(argMax(trace_id, last))), frames, shape,
            arraySort(seen -> (seen.3, seen.1),
                      groupArray((function_version, failures, {_AS_NS}(first), {_AS_NS}(last))))
        FROM (
            SELECT function, type, shape, frames, function_version, sum(part.failures) AS failures,
                min(part.first) AS first, max(part.last) AS last, argMax(part.message, part.last) AS message,
                argMax(part.trace_id, part.last) AS trace_id
            FROM ({" UNION ALL ".join(part.text for part in parts)}) AS part
            GROUP BY function, type, shape, frames, function_version)
        GROUP BY function, type, shape, frames ORDER BY total DESC, newest DESC LIMIT {{most:UInt32}}""",
        {name: value for part in parts for name, value in part.parameters.items()} | {"most": _MOST_GROUPS},
    )


def _newest(store: Store, rest: Sources, function: str, environment: str) -> tuple[Sequence[Sequence[Any]], Sources]:
    """Return the failures that no settled minute holds, as they are remembered, and what else is to be read."""
    known = rest.known
    if known is None or not store.remembers or rest.recent is None:
        return [], rest
    rows: Sequence[Sequence[Any]] = known.failed.get(partial(_merged, store), known)
    return _chosen(rows, *rest.recent, function, environment), rest.without_newest()


def _chosen(
    rows: Iterable[Sequence[Any]], begin: int, end: int, function: str, environment: str
) -> Sequence[Sequence[Any]]:
    """Return rows of a time as of `_grouped`; those given have their ns and environment before that."""
    return [
        row[2:] for row in rows if begin <= row[0] < end and environment in {"", row[1]} and function in {"", row[2]}
    ]


def _merged(store: Store, now: Recent) -> Sequence[Sequence[Any]]:
    source = newest(now, OF_FAILURES, unwell=True)
    return _apart(store, failures(source, by=f"{_AS_NS}(start)"), source.parameters)


def _of_hour(store: Store, hour: int, version: int) -> Sequence[Sequence[Any]]:
    """Return the failures of a settled hour by the half minute: for what begins or ends within it."""

    def ask() -> Sequence[Sequence[Any]]:
        chosen = "hour = toDateTime({hour:Int64}, 'UTC') AND version = {version:UInt64}"
        parts = f"SELECT toUnixTimestamp(slot) * {SECOND} AS part, {_ALL} FROM error_slots WHERE {chosen}"
        return _apart(store, parts, {"hour": hour // SECOND, "version": version})

    return _kept(store, ("failures of an hour", hour, version), ask)


def _kept(store: Store, key: Hashable, ask: Callable[[], Sequence[Sequence[Any]]]) -> Sequence[Sequence[Any]]:
    """Return rows that stay what they are, asked for once."""
    (found,) = store.kept.filled({key: ask}, lambda missing: {key: _Found(ask()) for key, ask in missing.items()})
    rows: Sequence[Sequence[Any]] = found.rows
    return rows


def _apart(store: Store, parts: str, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
    """Return rows as of `_grouped` of failures by `part` (ns), with that and the environment of each before it."""
    rows = store.query(
        f"""SELECT part, environment, function, type, message, failures, {_AS_NS}(first), {_AS_NS}(last),
            lower(hex(trace_id)), frames, shape, function_version
        FROM ({parts})""",
        parameters,
    )
    return [(*row[:11], [(row[11], row[5], row[6], row[7])]) for row in rows]


def _older(store: Store, hours: tuple[int, ...], rest: Sources, scope: Scope, function: str) -> Sequence[Sequence[Any]]:
    """Return the groups of all but the newest; while no other minutes or hours are settled, they stay what they are."""

    def ask() -> Sequence[Sequence[Any]]:
        return _grouped(store, _parts(hours, rest, scope, function))

    if not store.remembers or rest.facts:
        return ask()
    minutes: tuple[Any, ...] = ()
    if rest.minutes and rest.known:
        low, high = rest.minutes
        made_of = rest.known.standing.made_of
        at = tuple((minute, of) for minute, of in sorted(made_of.items()) if low - MINUTE < minute < high)
        minutes = (low, high, at, tuple(sorted(rest.late.items())))
    return _kept(store, ("failures", hours, minutes, function, scope.environment), ask)


def _parts(hours: Sequence[int], rest: Sources, scope: Scope, function: str) -> list[Sql]:
    """Return a select of failures from each table that is needed."""
    found = []
    if hours:
        chosen = narrowed(function, scope.environment)
        conditions = f"{within('hour', 'start', 'end')}{chosen.text} AND version IN {{settled:Array(UInt64)}}"
        times = {"start": to_ns(scope.start), "end": to_ns(scope.end)}
        found.append(
            Sql(
                f"SELECT {_ALL} FROM error_hours WHERE {conditions}",
                {**chosen.parameters, **times, "settled": list(hours)},
            )
        )
    if rest:
        source = invocations(
            rest, columns=OF_FAILURES, function=function, environment=scope.environment, unwell=not function
        )
        found.append(Sql(f"SELECT {_ALL} FROM ({failures(source)})", source.parameters))
    return found


def _error_group(row: Sequence[Any]) -> ErrorGroup:
    function, error_type, message, count, first, last, trace_id, frames, _, versions = row
    return ErrorGroup(
        function=function, error_type=error_type, message=message, count=count, first_seen=from_ns(first),
        last_seen=from_ns(last), trace_id=hex_id(trace_id), frames=tuple(frames.split("\n")) if frames else (),
        versions=[ErrorVersion(v, n, from_ns(since), from_ns(until)) for v, n, since, until in versions],
    )  # fmt: skip
