"""Deployments: versions that began to run, and how a function did before and after."""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from faasight_store.connection import Store
from faasight_store.pattern_types import Comparison, Deployment, VersionFigures
from faasight_store.queries.merged import Interval
from faasight_store.queries.settled import invocations, sources
from faasight_store.times import HOUR, from_ns, moment, to_ns
from faasight_store.types import Scope

# A version that did not run for so long, while another did, was taken back into use.
AWAY_NS = 24 * HOUR
_READ = (
    "version", "outcome", "cold_start", "duration_ms", "init_ms", "memory_used_mb", "cost_usd", "start", "never_ran",
)  # fmt: skip
Run = tuple[int, int, str]  # first, last (ns), version


def deployments(store: Store, scope: Scope, function: str = "") -> list[Deployment]:
    """Return the versions that began to run in the scope, oldest first: marks for a chart.

    Versions come from `faas.version` and the platform's events. Several may run at once (weighted aliases); a version
    that goes on after another appeared is no deployment. All hours that are kept are looked at, so that what ran before
    is known.
    """
    rows = store.query(
        f"""SELECT function, toUnixTimestamp64Nano(min(first_seen)), toUnixTimestamp64Nano(max(last_seen)), version
        FROM function_hours
        WHERE version != '' AND hour < {moment("end")} AND ({{function:String}} = '' OR function = {{function:String}})
          AND ({{environment:String}} = '' OR environment IN ({{environment:String}}, ''))
        GROUP BY function, version, hour ORDER BY function, min(first_seen)""",
        {"end": to_ns(scope.end), "function": function, "environment": scope.environment},
    )
    by_function: dict[str, list[Run]] = {}
    for name, first, last, version in rows:
        by_function.setdefault(name, []).append((first, last, version))
    start, end = to_ns(scope.start), to_ns(scope.end)
    found = [d for name, runs in by_function.items() for d in _beginnings(name, runs) if start <= to_ns(d.at) < end]
    return sorted(found, key=lambda d: (d.at, d.function))


def _beginnings(function: str, runs: Sequence[Run]) -> Iterator[Deployment]:
    seen: dict[str, int] = {}  # version: when it last ran
    for first, last, version in runs:
        others = {other: ran for other, ran in seen.items() if other != version}
        previous = max(others, key=lambda other: others[other], default="")
        ran = seen.get(version)
        if ran is None:
            yield Deployment(function, version, previous, "new" if previous else "first", from_ns(first))
        elif first - ran > AWAY_NS and previous and others[previous] > ran:
            yield Deployment(function, version, previous, "return", from_ns(first))
        seen[version] = max(last, seen.get(version, 0))


def versions(store: Store, scope: Scope, function: str) -> list[VersionFigures]:
    """Return the figures of each version that ran in the scope, the newest to begin first: canary against stable."""
    return _figures(store, function, scope.environment, (to_ns(scope.start), to_ns(scope.end)), "version")


def compare(store: Store, function: str, at: datetime, window: timedelta, environment: str = "") -> Comparison:
    """Return the figures of a function in the time before and after a moment, as of a deployment."""
    middle, length = to_ns(at), window // timedelta(microseconds=1) * 1000

    def one(interval: Interval) -> VersionFigures | None:
        rows = _figures(store, function, environment, interval, "''")
        return rows[0] if rows else None

    return Comparison(one((middle - length, middle)), one((middle, middle + length)))


def _figures(store: Store, function: str, environment: str, interval: Interval, key: str) -> list[VersionFigures]:
    chosen = sources(store, [interval], time.time_ns())
    source = invocations(chosen, columns=_READ, function=function, environment=environment)
    rows = store.query(
        f"""SELECT {key} AS shown, count(), countIf(outcome != 'ok'), countIf(outcome = 'timeout'), countIf(cold_start),
            countIf(duration_ms IS NOT NULL),
            quantilesExactIf(0.5, 0.95, 0.99)(ifNull(duration_ms, 0), duration_ms IS NOT NULL),
            countIf(cold_start AND init_ms IS NOT NULL),
            quantileExactIf(0.95)(ifNull(init_ms, 0), cold_start AND init_ms IS NOT NULL),
            max(memory_used_mb), sum(cost_usd), toUnixTimestamp64Nano(min(start)) AS first,
            toUnixTimestamp64Nano(max(start))
        FROM {source.text} WHERE NOT never_ran AND outcome != 'warm_up' GROUP BY shown ORDER BY first DESC""",
        source.parameters,
    )
    return [
        VersionFigures(
            version=row[0], invocations=row[1], errors=row[2], timeouts=row[3], cold_starts=row[4],
            p50_ms=row[6][0] if row[5] else None, p95_ms=row[6][1] if row[5] else None,
            p99_ms=row[6][2] if row[5] else None, init_p95_ms=row[8] if row[7] else None, memory_used_mb=row[9],
            cost_usd=row[10], first_seen=from_ns(row[11]), last_seen=from_ns(row[12]),
        )
        for row in rows
    ]  # fmt: skip
