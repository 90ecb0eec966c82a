"""The functions of a scope, each with its figures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from faasight_store.connection import Store
from faasight_store.queries import about
from faasight_store.queries.about import About
from faasight_store.queries.cells import Cells, Grain
from faasight_store.queries.figures import LEVELS, Figures, factorized, figures, known, quantiles_ms
from faasight_store.queries.gather import gather
from faasight_store.queries.windows import step_ns
from faasight_store.times import HOUR, from_ns, to_ns, within
from faasight_store.types import ColdStarts, FunctionRow, ImportCost, Scope

SPARK_BUCKETS = 24
MOST_IMPORTS = 40


def functions(store: Store, scope: Scope) -> list[FunctionRow]:
    """Return one row for each function seen in the scope, by name."""
    return _rows(store, scope, "")


def function(store: Store, scope: Scope, name: str) -> FunctionRow | None:
    """Return one function, None if it was not seen in the scope."""
    rows = _rows(store, scope, name)
    return rows[0] if rows else None


def cold_starts(store: Store, scope: Scope, name: str) -> ColdStarts:
    """Return the anatomy of its cold starts; percentiles are at most 2 % off."""
    of_spans = store.beside(lambda: _starts(store, scope, name))
    found = by_function(store, scope, name)
    total, count = int(found["invocations"].sum()), int(found["cold_starts"].sum())
    p50, _, p95, _ = quantiles_ms(np.zeros(len(found), np.int64), 1, found["init_bucket"], found["cold_starts"])[0]
    kinds, kind = np.unique(found["init_type"], return_inverse=True)
    by_kind = np.bincount(kind, found["cold_starts"], len(kinds))
    starts = of_spans.result()
    return ColdStarts(
        count=count,
        share=count / total if total else 0.0,
        p50_ms=None if np.isnan(p50) else float(p50),
        p95_ms=None if np.isnan(p95) else float(p95),
        by_init_type={str(name): int(some) for name, some in zip(kinds, by_kind, strict=True) if some},
        imports=starts.imports,
        overhead_ms=starts.overhead_ms,
        pings=starts.pings,
    )


@dataclass(frozen=True, slots=True)
class _Starts:
    """What spans of inits, imports and pings tell."""

    imports: list[ImportCost]
    overhead_ms: float | None  # the mean cost of the wrapper to an init, None if no init was told of
    pings: int


def _starts(store: Store, scope: Scope, name: str) -> _Starts:
    rows = store.query(
        f"""SELECT phase, if(phase = 'import', start_spans.module, '') AS module,
            uniqExact(reinterpretAsUInt64(span_id)), avg(duration_ns) / 1e6, avg(self_ms), count(overhead_ms),
            sum(overhead_ms)
        FROM start_spans
        WHERE {within("ts", "start", "end")} AND function = {{function:String}}
          AND ({{environment:String}} = '' OR environment = {{environment:String}})
        GROUP BY phase, module ORDER BY phase, sum(duration_ns) DESC, module LIMIT {{limit:UInt32}} BY phase""",
        {
            "start": to_ns(scope.start),
            "end": to_ns(scope.end),
            "function": name,
            "environment": scope.environment,
            "limit": MOST_IMPORTS,
        },
    )
    others = [row for row in rows if row[0] != "import"]
    told = sum(row[5] for row in others)
    return _Starts(
        imports=[ImportCost(*row[1:5]) for row in rows if row[0] == "import"],
        overhead_ms=sum(row[6] or 0.0 for row in others) / told if told else None,
        pings=sum(row[2] for row in others if row[0] == "warm_up"),
    )


def _rows(store: Store, scope: Scope, name: str) -> list[FunctionRow]:
    step = step_ns(scope, SPARK_BUCKETS)
    newest = store.beside(lambda: about.newest(store, scope))
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
    told = about.with_older(store, scope, newest.result(), names)
    nothing = About(to_ns(scope.end))
    return [
        _row(function, of_names, i, known(inits[i]), spark[function], told.get(function, nothing), scope)
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
    told: About,
    scope: Scope,
) -> FunctionRow:
    return FunctionRow(
        function=function,
        runtime=told.runtime,
        version=told.version,
        architecture=told.architecture,
        region=told.region,
        account=told.account,
        provider=told.provider,
        memory_mb=told.memory_mb or None,
        memory_used_mb=known(measures.memory_used_mb[i]),
        timeout_ms=told.timeout_ms or None,
        totals=measures.totals(i),
        max_ms=known(measures.max_ms[i]),
        init_p95_ms=init_p95_ms,
        last_seen=from_ns(min(told.last_seen_ns, to_ns(scope.end))),
        spark=spark,
    )


def _sparks(cells: Cells, names: Sequence[str]) -> dict[str, list[int]]:
    """Return how many invocations each function had in each step of a spark line."""
    cells = cells.where((cells["i"] >= 0) & (cells["i"] < SPARK_BUCKETS))
    of, key = factorized(cells["function"])
    counts = np.bincount(key * SPARK_BUCKETS + cells["i"], cells["invocations"], len(of) * SPARK_BUCKETS)
    found = dict(zip(of, np.rint(counts).astype(np.int64).reshape(-1, SPARK_BUCKETS).tolist(), strict=True))
    return {name: found.get(name, [0] * SPARK_BUCKETS) for name in names}
