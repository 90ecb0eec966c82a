"""The functions of a scope, each with its figures."""

from collections.abc import Sequence
from typing import Any

from faasight_store import buckets
from faasight_store.connection import Store
from faasight_store.queries import figures
from faasight_store.queries.cells import HOURS_IN_SCOPE, Grain, cells, plan
from faasight_store.queries.windows import step_ns
from faasight_store.times import HOUR, from_ns, to_ns, within
from faasight_store.types import ColdStarts, FunctionRow, ImportCost, Scope

SPARK_BUCKETS = 24
MOST_IMPORTS = 40
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
    source = cells(plan(store, scope), scope, name)
    total, count, known, quantiles, types = store.query(
        f"""SELECT sum(invocations), sum(cold_starts), sumIf(cold_starts, init_bucket > {buckets.NONE}),
            quantilesExactWeightedIf(0.5, 0.95)(init_bucket, cold_starts, init_bucket > {buckets.NONE}),
            sumMapIf(map(toString(init_type), cold_starts), cold_starts > 0)
        FROM {source.text}""",
        source.parameters,
    )[0]
    return ColdStarts(
        count=count,
        share=count / total if total else 0.0,
        p50_ms=buckets.middle_ms(quantiles[0]) if known else None,
        p95_ms=buckets.middle_ms(quantiles[1]) if known else None,
        by_init_type=types,
        imports=_imports(store, scope, name),
        overhead_ms=_overhead_ms(store, scope, name),
    )


_SPANS = (
    within("ts", "start", "end")
    + " AND function = {function:String} AND ({environment:String} = '' OR environment = {environment:String})"
)


def _imports(store: Store, scope: Scope, name: str) -> list[ImportCost]:
    rows = store.query(
        f"""SELECT attributes['faasight.import.module'] AS module, uniqExact(span_id), avg(duration_ns) / 1e6,
            avg(toFloat64OrZero(attributes['faasight.import.self_ms'])) AS self
        FROM spans WHERE {_SPANS} AND attributes['faasight.phase'] = 'import'
        GROUP BY module ORDER BY sum(duration_ns) DESC LIMIT {{limit:UInt32}}""",
        {**_span_parameters(scope, name), "limit": MOST_IMPORTS},
    )
    return [ImportCost(*row) for row in rows]


def _overhead_ms(store: Store, scope: Scope, name: str) -> float | None:
    count, mean = store.query(
        f"""SELECT count(), avg(toFloat64OrZero(attributes['faasight.overhead_ms'])) FROM spans
        WHERE {_SPANS} AND attributes['faasight.phase'] = 'init' AND attributes['faasight.overhead_ms'] != ''""",
        _span_parameters(scope, name),
    )[0]
    return float(mean) if count else None


def _span_parameters(scope: Scope, name: str) -> dict[str, Any]:
    return {"start": to_ns(scope.start), "end": to_ns(scope.end), "function": name, "environment": scope.environment}


def _rows(store: Store, scope: Scope, name: str) -> list[FunctionRow]:
    step = step_ns(scope, SPARK_BUCKETS)
    source = cells(plan(store, scope, Grain.of_step(step, hours_from=HOUR)), scope, name)
    sums = store.query(
        f"""SELECT function, {figures.TOTALS}, sumIf(cold_starts, init_bucket > {buckets.NONE}),
            quantileExactWeightedIf(0.95)(init_bucket, cold_starts, init_bucket > {buckets.NONE}),
            sumMap([intDiv(toUnixTimestamp64Nano(slot) - {{scope_ns:Int64}}, {{width:Int64}})], [invocations]) AS spark
        FROM {source.text} GROUP BY function ORDER BY function""",
        {**source.parameters, "width": step},
    )
    about = _about(store, source.parameters)
    nothing = (to_ns(scope.end), "", "", "", "", "", "", None, None)
    return [_row(row, about.get(row[0], nothing), to_ns(scope.end)) for row in sums]


def _row(sums: Sequence[Any], about: Sequence[Any], end: int) -> FunctionRow:
    measures, (cold, init_bucket, spark) = sums[1 : 1 + figures.WIDTH], sums[1 + figures.WIDTH :]
    last_seen, version, runtime, architecture, region, account, provider, memory_mb, timeout_ms = about
    return FunctionRow(
        function=sums[0],
        runtime=runtime,
        version=version,
        architecture=architecture,
        region=region,
        account=account,
        provider=provider,
        memory_mb=memory_mb or None,
        memory_used_mb=measures[9],
        timeout_ms=timeout_ms or None,
        totals=figures.totals(measures),
        max_ms=measures[8],
        init_p95_ms=buckets.middle_ms(init_bucket) if cold else None,
        last_seen=from_ns(min(last_seen, end)),
        spark=_filled(*spark),
    )


def _about(store: Store, parameters: dict[str, Any]) -> dict[str, Sequence[Any]]:
    rows = store.query(
        f"""SELECT function, toUnixTimestamp64Nano(max(last_seen)), max(version).2, max(runtime).2,
            max(architecture).2, max(region).2, max(account).2, max(provider).2,
            max(memory_mb).2, max(timeout_ms).2
        FROM function_hours WHERE {_HOURS} GROUP BY function""",
        parameters,
    )
    return {row[0]: row[1:] for row in rows}


def _filled(places: Sequence[int], counts: Sequence[int]) -> list[int]:
    known = dict(zip(places, counts, strict=True))
    return [known.get(i, 0) for i in range(SPARK_BUCKETS)]
