"""The functions of a scope, each with its figures."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np

from faasight_store.connection import Store
from faasight_store.queries.cells import HOURS_IN_SCOPE, Cells, Grain
from faasight_store.queries.figures import LEVELS, Figures, factorized, figures, known, quantiles_ms
from faasight_store.queries.gather import gather
from faasight_store.queries.windows import step_ns
from faasight_store.times import HOUR, from_ns, to_ns, within
from faasight_store.types import ColdStarts, FunctionRow, ImportCost, Scope

SPARK_BUCKETS = 24
MOST_IMPORTS = 40
_LATELY = timedelta(days=2)  # what is known of a function is in its newest hours; most were seen so lately
_HOURS = f"{HOURS_IN_SCOPE} AND ({{environment:String}} = '' OR environment IN ({{environment:String}}, ''))"


def functions(store: Store, scope: Scope) -> list[FunctionRow]:
    """Return one row for each function seen in the scope, by name."""
    return _rows(store, scope, "")


def function(store: Store, scope: Scope, name: str) -> FunctionRow | None:
    """Return one function, None if it was not seen in the scope."""
    rows = _rows(store, scope, name)
    return rows[0] if rows else None


def cold_starts(store: Store, scope: Scope, name: str) -> ColdStarts:
    """Return the anatomy of its cold starts; percentiles are at most 2 % off."""
    of_imports = store.beside(lambda: _imports(store, scope, name))
    found = by_function(store, scope, name)
    total, count = int(found["invocations"].sum()), int(found["cold_starts"].sum())
    p50, _, p95, _ = quantiles_ms(np.zeros(len(found), np.int64), 1, found["init_bucket"], found["cold_starts"])[0]
    kinds, kind = np.unique(found["init_type"], return_inverse=True)
    by_kind = np.bincount(kind, found["cold_starts"], len(kinds))
    overhead_ms, pings = _overhead_and_pings(store, scope, name)
    return ColdStarts(
        count=count,
        share=count / total if total else 0.0,
        p50_ms=None if np.isnan(p50) else float(p50),
        p95_ms=None if np.isnan(p95) else float(p95),
        by_init_type={str(name): int(some) for name, some in zip(kinds, by_kind, strict=True) if some},
        imports=of_imports.result(),
        overhead_ms=overhead_ms,
        pings=pings,
    )


_SPANS = (
    within("ts", "start", "end")
    + " AND function = {function:String} AND ({environment:String} = '' OR environment = {environment:String})"
)


def _imports(store: Store, scope: Scope, name: str) -> list[ImportCost]:
    rows = store.query(
        f"""SELECT module, uniqExact(span_id), avg(duration_ns) / 1e6, avg(self_ms)
        FROM start_spans WHERE {_SPANS} AND phase = 'import'
        GROUP BY module ORDER BY sum(duration_ns) DESC LIMIT {{limit:UInt32}}""",
        {**_span_parameters(scope, name), "limit": MOST_IMPORTS},
    )
    return [ImportCost(*row) for row in rows]


def _overhead_and_pings(store: Store, scope: Scope, name: str) -> tuple[float | None, int]:
    """Return the mean cost of the wrapper to an init, None if no init was told of, and how many pings came."""
    inits, mean, pings = store.query(
        f"""SELECT count(overhead_ms), avg(overhead_ms), uniqExactIf(span_id, phase = 'warm_up')
        FROM start_spans WHERE {_SPANS} AND phase IN ('init', 'warm_up')""",
        _span_parameters(scope, name),
    )[0]
    return float(mean) if inits else None, int(pings)


def _span_parameters(scope: Scope, name: str) -> dict[str, Any]:
    return {"start": to_ns(scope.start), "end": to_ns(scope.end), "function": name, "environment": scope.environment}


def _rows(store: Store, scope: Scope, name: str) -> list[FunctionRow]:
    step = step_ns(scope, SPARK_BUCKETS)
    newest = store.beside(lambda: _about(store, replace(scope, start=max(scope.start, scope.end - _LATELY))))
    sparks = store.beside(
        lambda: gather(
            store, scope, ["function", "i"], name, step_ns=step, grain=Grain.of_step(step, hours_from=HOUR),
            measures=("invocations",),
        )
    )  # fmt: skip
    found = by_function(store, scope, name)
    names, key = factorized(found["function"])
    of_names = figures(found, key, len(names))
    inits = quantiles_ms(key, len(names), found["init_bucket"], found["cold_starts"])[:, LEVELS.index(0.95)]
    spark = _sparks(sparks.result(), names)
    about = newest.result()
    if not about.keys() >= set(names):
        about = _about(store, scope)
    nothing = (to_ns(scope.end), "", "", "", "", "", "", None, None)
    return [
        _row(function, of_names, i, known(inits[i]), spark[function], about.get(function, nothing), scope)
        for i, function in enumerate(names)
    ]


def by_function(store: Store, scope: Scope, name: str) -> Cells:
    """Return cells by function and durations of all functions, or of one.

    The store remembers them for a moment: a function's page asks twice.
    """
    by = ("function", "bucket", "init_bucket", "init_type")
    return store.remembered(("by function", scope, name), lambda: gather(store, scope, by, name))


def _row(
    function: str,
    measures: Figures,
    i: int,
    init_p95_ms: float | None,
    spark: Sequence[int],
    about: Sequence[Any],
    scope: Scope,
) -> FunctionRow:
    last_seen, version, runtime, architecture, region, account, provider, memory_mb, timeout_ms = about
    return FunctionRow(
        function=function,
        runtime=runtime,
        version=version,
        architecture=architecture,
        region=region,
        account=account,
        provider=provider,
        memory_mb=memory_mb or None,
        memory_used_mb=known(measures.memory_used_mb[i]),
        timeout_ms=timeout_ms or None,
        totals=measures.totals(i),
        max_ms=known(measures.max_ms[i]),
        init_p95_ms=init_p95_ms,
        last_seen=from_ns(min(last_seen, to_ns(scope.end))),
        spark=spark,
    )


def _sparks(cells: Cells, names: Sequence[str]) -> dict[str, list[int]]:
    """Return how many invocations each function had in each step of a spark line."""
    cells = cells.where((cells["i"] >= 0) & (cells["i"] < SPARK_BUCKETS))
    of, key = factorized(cells["function"])
    counts = np.bincount(key * SPARK_BUCKETS + cells["i"], cells["invocations"], len(of) * SPARK_BUCKETS)
    found = dict(zip(of, np.rint(counts).astype(np.int64).reshape(-1, SPARK_BUCKETS).tolist(), strict=True))
    return {name: found.get(name, [0] * SPARK_BUCKETS) for name in names}


def _about(store: Store, scope: Scope) -> dict[str, Sequence[Any]]:
    rows = store.query(
        f"""SELECT function, toUnixTimestamp64Nano(max(last_seen)), argMaxIf(version, last_seen, version != ''),
            max(runtime).2, max(architecture).2, max(region).2, max(account).2, max(provider).2,
            max(memory_mb).2, max(timeout_ms).2
        FROM function_hours WHERE {_HOURS} GROUP BY function""",
        {"scope_ns": to_ns(scope.start), "scope_end_ns": to_ns(scope.end), "environment": scope.environment},
    )
    return {row[0]: row[1:] for row in rows}
