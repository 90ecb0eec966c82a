"""The invocation map as the browser draws it (assets/clientside/map.js): places, routes, figures in words."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from faasight_store.types import InvocationMap, MapEdge, MapNode

from faasight_dashboards import format as fmt
from faasight_dashboards.layered import Edge, Layout, Point, Spacing, layered
from faasight_dashboards.views.health import DEGRADED, FAILING

RING_SCALE = 6.0  # the ring fills at 1/6 failed: a few per cent must be visible

_WIDEST_CARD = 184.0  # pixels; longer names end in an ellipsis
_NARROWEST_CARD = 104.0
_BESIDE_TEXT = 60.0  # the ring, and the margins
_TITLE_CHARACTER, _DETAIL_CHARACTER = 7.6, 5.8  # mean widths in pixels

_THINNEST, _THICKEST = 1.2, 5.2  # of an edge, in pixels
_BACK_BOW = 90.0  # how far a call back to the left bows out
_KEPT = 3  # decimals of what is sent

_SCREEN = Point(1120.0, 670.0)  # the room for a map on a laptop, in pixels
_DOWNWARDS = Spacing(gap=48)  # cards are broad and low: layers may stand close
_WORTH_IT = 1.2  # so much larger must a map downwards be: to the right is what people expect

Drawing = dict[str, list[dict[str, Any]]]


def drawing(invocation_map: InvocationMap, seconds: float) -> Drawing:
    """Return `{"nodes": [...], "edges": [...]}` of a map over so many seconds."""
    nodes = {node.id: node for node in invocation_map.nodes}
    edges = [edge for edge in invocation_map.edges if edge.source in nodes and edge.target in nodes]
    called = _calls_into(edges)
    details = {node.id: _node_detail(node, called.get(node.id, 0), seconds) for node in nodes.values()}
    widths = {node.id: _width(node, details[node.id]) for node in nodes.values()}
    layout = _layout(widths, [(edge.source, edge.target) for edge in edges])
    clouds = {node.provider for node in nodes.values() if node.provider}
    told = clouds if clouds - {"aws"} else set()  # where all is on AWS it goes without saying
    busiest = max((edge.calls for edge in edges), default=0)
    return {
        "nodes": [
            _node(node, layout.nodes[node.id], details[node.id], widths[node.id])
            | {"cloud": node.provider if node.provider in told else ""}
            for node in nodes.values()
        ],
        "edges": [_edge(edge, seconds, busiest) | _route(_stops(edge, layout), layout.down) for edge in edges],
    }


def _layout(widths: Mapping[str, float], edges: Sequence[Edge]) -> Layout:
    """Return the layout to the right, or downwards if a screen shows that one larger: a long chain is a ribbon."""
    right = layered(widths, edges)
    down = layered(widths, edges, _DOWNWARDS, down=True)
    return down if _zoom(down, widths) > _WORTH_IT * _zoom(right, widths) else right


def _zoom(layout: Layout, widths: Mapping[str, float]) -> float:
    """Return how large a screen can show all of a layout, 1 at most."""
    bends = [point for chain in layout.bends.values() for point in chain]
    cards = [(at.x - widths[name] / 2, at.x + widths[name] / 2) for name, at in layout.nodes.items()]
    across = [point.x for point in bends] + [side for card in cards for side in card]
    down = [point.y for point in (*layout.nodes.values(), *bends)]
    if not cards:
        return 1.0
    height = max(down) - min(down) + Spacing().card
    return min(1.0, _SCREEN.x / (max(across) - min(across)), _SCREEN.y / height)


def _stops(edge: MapEdge, layout: Layout) -> list[Point]:
    bends = layout.bends.get((edge.source, edge.target), ())
    return [layout.nodes[edge.source], *bends, layout.nodes[edge.target]]


def status(calls: int, errors: int, throttles: int, retries: int = 0) -> str:
    """Return ok, warn or error by the share of calls that failed; throttles and retries alone warn."""
    if errors and errors >= FAILING * calls:
        return "error"
    if throttles or retries > DEGRADED * calls or errors > DEGRADED * calls:
        return "warn"
    return "ok"


def node_status(node: MapNode) -> str:
    """Return the status of a node; what is no function is always ok, its edges tell."""
    return status(node.invocations or 0, node.errors or 0, node.throttles or 0)


def edge_status(edge: MapEdge) -> str:
    """Return the status of an edge."""
    return status(edge.calls, edge.errors, edge.throttles, edge.retries)


def _node(node: MapNode, at: Point, detail: str, width: float) -> dict[str, Any]:
    ill = (node.errors or 0) + (node.throttles or 0)
    attempts = (node.invocations or 0) + (node.throttles or 0)
    return {
        "id": node.id,
        "kind": node.kind,
        "label": node.name,
        "detail": detail,
        "width": width,
        "status": node_status(node),
        "ill_share": round(min(1.0, ill / attempts * RING_SCALE), _KEPT) if attempts else 0,
        "x": round(at.x),
        "y": round(at.y),
    }


def _width(node: MapNode, detail: str) -> float:
    if node.invocations is not None:
        return _WIDEST_CARD  # functions stand in line
    text = max(len(node.name) * _TITLE_CHARACTER, len(detail) * _DETAIL_CHARACTER)
    return min(_WIDEST_CARD, max(_NARROWEST_CARD, round(_BESIDE_TEXT + text)))


def _node_detail(node: MapNode, called: int, seconds: float) -> str:
    if node.invocations is None:
        return f"{node.kind} · {fmt.rate(called, seconds)}" if called else node.kind
    errors = fmt.percent((node.errors or 0) / node.invocations if node.invocations else 0.0, 1)
    return f"{fmt.rate(node.invocations, seconds)} · {errors} · {fmt.ms(node.p95_ms)}"


def _edge(edge: MapEdge, seconds: float, busiest: int) -> dict[str, Any]:
    health = edge_status(edge)
    waits = edge.queue_wait_p95_ms is not None
    share = (edge.calls / busiest) ** 0.5 if busiest else 0.0
    return {
        "id": f"{edge.source}>{edge.target}",
        "source": edge.source,
        "target": edge.target,
        "status": health,
        "asynchronous": waits,
        "told": waits or health != "ok",  # its label shows without being asked for
        "thickness": round(_THINNEST + (_THICKEST - _THINNEST) * share, 1),
        "label": edge_label(edge, seconds, between="\n"),
    }


def edge_label(edge: MapEdge, seconds: float, between: str = " · ") -> str:
    """Return rate, errors if there are any, and how long messages waited: `18.7/s · 7.4% · waits 1.20 s`."""
    told = fmt.rate(edge.calls, seconds)
    if edge.errors:
        told += f" · {fmt.percent(edge.errors / max(edge.calls, 1), 1)}"
    if edge.queue_wait_p95_ms is not None:
        told += f"{between}waits {fmt.ms(edge.queue_wait_p95_ms)}"
    return told


def _calls_into(edges: Sequence[MapEdge]) -> dict[str, int]:
    called: dict[str, int] = {}
    for edge in edges:
        called[edge.target] = called.get(edge.target, 0) + edge.calls
    return called


def _route(stops: Sequence[Point], down: bool) -> dict[str, Any]:
    """Return the control points of an edge, relative to the line between its ends as Cytoscape wants them.

    Each hop leaves and arrives along the layers' way, through two control points in the middle of the gap.
    """
    source, target = stops[0], stops[-1]
    if (target.y <= source.y) if down else (target.x <= source.x):
        return {"weights": [0.5], "distances": [_BACK_BOW], "leaves": "outside-to-node", "enters": "outside-to-node"}
    controls: list[Point] = []
    for one, other in pairwise(stops):
        middle = Point((one.x + other.x) / 2, (one.y + other.y) / 2)
        controls += (
            [Point(one.x, middle.y), Point(other.x, middle.y)]
            if down
            else [Point(middle.x, one.y), Point(middle.x, other.y)]
        )
    along = [_relative(point, source, target) for point in controls]
    return {
        "weights": [round(weight, _KEPT) for weight, _ in along],
        "distances": [round(distance, 1) for _, distance in along],
        "leaves": "0% 50%" if down else "50% 0%",
        "enters": "0% -50%" if down else "-50% 0%",
    }


def _relative(point: Point, source: Point, target: Point) -> tuple[float, float]:
    """Return how far along the line a point lies (0 to 1), and how far beside it in pixels."""
    dx, dy = target.x - source.x, target.y - source.y
    px, py = point.x - source.x, point.y - source.y
    length = (dx * dx + dy * dy) ** 0.5
    return (px * dx + py * dy) / (length * length), (py * dx - px * dy) / length
