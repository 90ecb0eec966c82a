"""The panel beside the invocation map: what is known of the node or edge that is chosen."""

from collections.abc import Sequence
from urllib.parse import quote

from dash import html
from dash.development.base_component import Component
from faasight_store.types import InvocationMap, MapEdge, MapNode

from faasight_dashboards import format as fmt
from faasight_dashboards.components import badge, function_href, icon, link, logs_href
from faasight_dashboards.figures.map import edge_label, edge_status, node_status
from faasight_dashboards.views.clouds import NAMES
from faasight_dashboards.views.health import WORDS

NEIGHBOURS = 8  # listed on each side; the map shows the rest


def counts(invocation_map: InvocationMap) -> str:
    """Return how much there is on the map: `20 functions · 34 edges`."""
    functions = sum(node.kind == "function" for node in invocation_map.nodes)
    edges = len(invocation_map.edges)
    return f"{functions} function{'' if functions == 1 else 's'} · {edges} edge{'' if edges == 1 else 's'}"


def panel(invocation_map: InvocationMap, chosen: str | None, seconds: float) -> Component:
    """Return the panel for a node's id or an edge's (`source>target`); a hint if nothing is chosen, or it is gone."""
    node = next((node for node in invocation_map.nodes if node.id == chosen), None)
    if node is not None:
        return node_panel(node, invocation_map, seconds)
    edge = next((edge for edge in invocation_map.edges if f"{edge.source}>{edge.target}" == chosen), None)
    if edge is not None:
        return edge_panel(edge, invocation_map, seconds)
    return hint()


def hint() -> Component:
    """Return what the panel says while nothing is chosen."""
    return html.Div([icon("workflow"), "Select a node or an edge"], className="map-hint")


def node_panel(node: MapNode, invocation_map: InvocationMap, seconds: float) -> Component:
    """Return figures, neighbours and links of a node."""
    callers = [edge for edge in invocation_map.edges if edge.target == node.id]
    called = [edge for edge in invocation_map.edges if edge.source == node.id]
    names = {other.id: other.name for other in invocation_map.nodes}
    facts = (
        _function_facts(node, seconds) if node.invocations is not None else _resource_facts(callers, called, seconds)
    )
    return html.Div(
        [
            _head(node.name, node_status(node) if node.invocations is not None else None, _kind(node)),
            _facts(facts),
            _neighbours("Called by", [(names.get(edge.source, edge.source), edge) for edge in callers], seconds),
            _neighbours("Calls", [(names.get(edge.target, edge.target), edge) for edge in called], seconds),
            _links(node),
        ]
    )


def _kind(node: MapNode) -> str:
    """Return what a node is, and where it runs if that is known."""
    return " · ".join([node.kind, *filter(None, [NAMES.get(node.provider)])])


def edge_panel(edge: MapEdge, invocation_map: InvocationMap, seconds: float) -> Component:
    """Return figures and links of an edge."""
    nodes = {node.id: node for node in invocation_map.nodes}
    source, target = nodes[edge.source], nodes[edge.target]
    facts = [
        ("Calls", f"{edge.calls:,} · {fmt.rate(edge.calls, seconds)}"),
        ("Errors", _share(edge.errors, edge.calls)),
        ("Throttles", f"{edge.throttles:,}"),
        ("Retries", f"{edge.retries:,}"),
        ("p95 duration", fmt.ms(edge.p95_ms)),
    ]
    if edge.queue_wait_p95_ms is not None:
        facts.append(("p95 queue wait", fmt.ms(edge.queue_wait_p95_ms)))
    title = html.Span([source.name, html.Span(" → ", className="map-arrow"), target.name])
    function = next((node for node in (target, source) if node.kind == "function"), None)
    return html.Div(
        [
            _head(title, edge_status(edge), "asynchronous" if edge.queue_wait_p95_ms is not None else "call"),
            _facts(facts),
            _links(function) if function else None,
        ]
    )


def _function_facts(node: MapNode, seconds: float) -> list[tuple[str, str]]:
    invocations = node.invocations or 0
    return [
        ("Invocations", f"{invocations:,} · {fmt.rate(invocations, seconds)}"),
        ("Errors", _share(node.errors or 0, invocations)),
        ("Throttles", f"{node.throttles or 0:,}"),
        ("p95 duration", fmt.ms(node.p95_ms)),
    ]


def _resource_facts(callers: Sequence[MapEdge], called: Sequence[MapEdge], seconds: float) -> list[tuple[str, str]]:
    facts = []
    if callers:
        calls = sum(edge.calls for edge in callers)
        facts += [
            ("Calls in", f"{calls:,} · {fmt.rate(calls, seconds)}"),
            ("Errors", _share(sum(edge.errors for edge in callers), calls)),
        ]
        slowest = max((edge.p95_ms for edge in callers if edge.p95_ms is not None), default=None)
        facts.append(("p95 of a call", fmt.ms(slowest)))
    if called:
        calls = sum(edge.calls for edge in called)
        facts += [
            ("Invokes", f"{calls:,} · {fmt.rate(calls, seconds)}"),
            ("Failed", _share(sum(edge.errors for edge in called), calls)),
        ]
        waits = [edge.queue_wait_p95_ms for edge in called if edge.queue_wait_p95_ms is not None]
        if waits:
            facts.append(("p95 queue wait", fmt.ms(max(waits))))
    return facts


def _share(part: int, whole: int) -> str:
    return f"{part:,} · {fmt.percent(part / whole)}" if part and whole else f"{part:,}"


def _head(title: str | Component, status: str | None, kind: str) -> Component:
    mark = badge(WORDS[status], status, mark=True) if status else None
    return html.Div(
        [html.H2(title), html.Span(kind, className="sub"), html.Span(className="grow"), mark], className="map-head"
    )


def _facts(facts: Sequence[tuple[str, str]]) -> Component:
    return html.Dl([part for name, value in facts for part in (html.Dt(name), html.Dd(value))], className="kv")


def _neighbours(title: str, found: Sequence[tuple[str, MapEdge]], seconds: float) -> Component | None:
    if not found:
        return None
    busiest = sorted(found, key=lambda pair: (-pair[1].calls, pair[0]))
    rows = [
        html.Li(
            [
                html.Span(name, className="map-name", title=name),
                html.Span(edge_label(edge, seconds), className=f"map-figures {edge_status(edge)}"),
            ]
        )
        for name, edge in busiest[:NEIGHBOURS]
    ]
    more = html.Li(f"and {len(found) - NEIGHBOURS} more") if len(found) > NEIGHBOURS else None
    return html.Div([html.H3(title), html.Ul([*rows, more])], className="map-neighbours")


def _links(node: MapNode) -> Component | None:
    if node.kind != "function":
        return None
    targets = (
        ("square-function", "Function", function_href(node.name)),
        ("list-tree", "Traces", f"/traces?function={quote(node.name, safe='')}"),
        ("scroll-text", "Logs", logs_href(f'function:"{node.name}"')),
    )
    return html.Div(
        [link([icon(symbol), label], href, className="pill") for symbol, label, href in targets],
        className="pills map-links",
    )
