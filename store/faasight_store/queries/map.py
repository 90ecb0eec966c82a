"""The invocation map: who called whom."""

import numpy as np

from faasight_store.connection import Store
from faasight_store.queries import about
from faasight_store.queries.edges import COUNTS, Edges, edges
from faasight_store.queries.figures import LEVELS, factorized, figures, quantiles_ms
from faasight_store.queries.functions import by_function
from faasight_store.types import InvocationMap, MapEdge, MapNode, Scope, Totals


def invocation_map(store: Store, scope: Scope) -> InvocationMap:
    """Return nodes and edges, both sorted by id.

    Edges are counted by the minute, so the first minute of the scope counts whole.
    """
    of_edges, newest = store.beside(lambda: _edges(store, scope)), store.beside(lambda: about.newest(store, scope))
    functions = _functions(store, scope)
    told = about.with_older(store, scope, newest.result(), functions)
    found, clouds = of_edges.result(), {name: some.provider for name, some in told.items()}
    ends = {(e[0], e[1]) for e in found} | {(e[2], e[3]) for e in found} | {("function", name) for name in functions}
    return InvocationMap(
        nodes=[_node(kind, name, functions if kind == "function" else {}, clouds) for kind, name in sorted(ends)],
        edges=list(found.values()),
    )


def _node(kind: str, name: str, functions: dict[str, Totals], clouds: dict[str, str]) -> MapNode:
    t = functions.get(name)
    if t is None:
        return MapNode(f"{kind}:{name}", kind, name, None, None, None, None)
    return MapNode(f"{kind}:{name}", kind, name, t.invocations, t.errors, t.throttles, t.p95_ms, clouds.get(name, ""))


def _edges(store: Store, scope: Scope) -> dict[tuple[str, str, str, str], MapEdge]:
    """Return the edges by the kinds and names of their ends, sorted.

    Each is shown as the caller saw it, who knows of throttles, with the callee's queue wait.
    """
    found = edges(store, scope)
    sums = {name: np.rint(np.bincount(found.edge, found[name], len(found.ends))).astype(np.int64) for name in COUNTS}
    took, waited = _p95_ms(found, "bucket"), _p95_ms(found, "wait_bucket")
    told: dict[tuple[str, str, str, str], dict[str, int]] = {}
    for place, (source_kind, source, target_kind, target, side) in enumerate(found.ends):
        told.setdefault((source_kind, source, target_kind, target), {})[side] = place
    shown = {}
    for ends, places in sorted(told.items()):
        place, callee = places.get("caller", places.get("callee", 0)), places.get("callee")
        calls, errors, throttles, retries = (int(sums[name][place]) for name in COUNTS)
        shown[ends] = MapEdge(
            source=f"{ends[0]}:{ends[1]}",
            target=f"{ends[2]}:{ends[3]}",
            calls=calls,
            errors=errors,
            throttles=throttles,
            retries=retries,
            p95_ms=took[place],
            queue_wait_p95_ms=None if callee is None else waited[callee],
        )
    return shown


def _p95_ms(found: Edges, name: str) -> list[float | None]:
    """Return the 95th percentile of durations or waits of each edge, None where none is known."""
    p95 = quantiles_ms(found.edge, len(found.ends), found[name], found["calls"])[:, LEVELS.index(0.95)]
    return [None if np.isnan(some) else float(some) for some in p95]


def _functions(store: Store, scope: Scope) -> dict[str, Totals]:
    found = by_function(store, scope, "")
    names, key = factorized(found["function"])
    of_names = figures(found, key, len(names))
    return {name: of_names.totals(i) for i, name in enumerate(names)}
