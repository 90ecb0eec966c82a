"""The invocation map: who called whom."""

from collections.abc import Sequence
from typing import Any

from faasight_store import buckets
from faasight_store.connection import Store
from faasight_store.queries.cells import HOURS_IN_SCOPE
from faasight_store.queries.figures import factorized, figures
from faasight_store.queries.functions import by_function
from faasight_store.times import HOUR, MINUTE, to_ns, within
from faasight_store.types import InvocationMap, MapEdge, MapNode, Scope, Totals

Ends = tuple[str, str, str, str]


def invocation_map(store: Store, scope: Scope) -> InvocationMap:
    """Return nodes and edges, both sorted by id.

    Edges are counted by the minute, so the first minute of the scope counts whole.
    """
    of_edges, of_clouds = store.beside(lambda: _edges(store, scope)), store.beside(lambda: _clouds(store, scope))
    functions = _functions(store, scope)
    edges, clouds = of_edges.result(), of_clouds.result()
    ends = {(e[0], e[1]) for e in edges} | {(e[2], e[3]) for e in edges} | {("function", name) for name in functions}
    return InvocationMap(
        nodes=[_node(kind, name, functions if kind == "function" else {}, clouds) for kind, name in sorted(ends)],
        edges=[_edge(ends, sides) for ends, sides in sorted(edges.items())],
    )


def _node(kind: str, name: str, functions: dict[str, Totals], clouds: dict[str, str]) -> MapNode:
    t = functions.get(name)
    if t is None:
        return MapNode(f"{kind}:{name}", kind, name, None, None, None, None)
    return MapNode(f"{kind}:{name}", kind, name, t.invocations, t.errors, t.throttles, t.p95_ms, clouds.get(name, ""))


def _edge(ends: Ends, sides: dict[str, Sequence[Any]]) -> MapEdge:
    """Show an edge as the caller saw it, who knows of throttles, with the callee's queue wait."""
    told = sides.get("caller") or sides["callee"]
    calls, errors, throttles, retries, bucket, _, _ = told
    callee = sides.get("callee")
    waited = callee is not None and callee[6] > 0
    return MapEdge(
        source=f"{ends[0]}:{ends[1]}",
        target=f"{ends[2]}:{ends[3]}",
        calls=calls,
        errors=errors,
        throttles=throttles,
        retries=retries,
        p95_ms=buckets.middle_ms(bucket),
        queue_wait_p95_ms=buckets.middle_ms(callee[5]) if callee is not None and waited else None,
    )


def _edges(store: Store, scope: Scope) -> dict[Ends, dict[str, Sequence[Any]]]:
    start, end = to_ns(scope.start) // MINUTE * MINUTE, to_ns(scope.end)
    first, last = -(-start // HOUR) * HOUR, end // HOUR * HOUR  # whole hours come from the table of hours
    rows = store.query(
        f"""SELECT source_kind, source_name, target_kind, target_name, side,
            sum(calls), sum(errors), sum(throttles), sum(retries), quantileExactWeighted(0.95)(bucket, calls),
            quantileExactWeightedIf(0.95)(wait_bucket, calls, wait_bucket > {buckets.NONE}),
            sumIf(calls, wait_bucket > {buckets.NONE})
        FROM (
            SELECT * FROM edges WHERE {within("minute", "start", "first")} OR {within("minute", "last", "end")}
            UNION ALL SELECT * FROM edge_hours WHERE {within("minute", "first", "last")}
        ) WHERE {{environment:String}} = '' OR environment = {{environment:String}}
        GROUP BY source_kind, source_name, target_kind, target_name, side""",
        {
            "start": start, "end": end, "first": min(first, end), "last": max(last, min(first, end)),
            "environment": scope.environment,
        },
    )  # fmt: skip
    edges: dict[Ends, dict[str, Sequence[Any]]] = {}
    for source_kind, source, target_kind, target, side, *measures in rows:
        edges.setdefault((source_kind, source, target_kind, target), {})[side] = measures
    return edges


def _functions(store: Store, scope: Scope) -> dict[str, Totals]:
    found = by_function(store, scope, "")
    names, key = factorized(found["function"])
    of_names = figures(found, key, len(names))
    return {name: of_names.totals(i) for i, name in enumerate(names)}


def _clouds(store: Store, scope: Scope) -> dict[str, str]:
    """Return whose cloud each function runs in, of those that tell."""
    rows = store.query(
        f"""SELECT function, max(provider).2 FROM function_hours
        WHERE {HOURS_IN_SCOPE} AND ({{environment:String}} = '' OR environment IN ({{environment:String}}, ''))
        GROUP BY function""",
        {"scope_ns": to_ns(scope.start), "scope_end_ns": to_ns(scope.end), "environment": scope.environment},
    )
    return {str(function): str(provider) for function, provider in rows}
