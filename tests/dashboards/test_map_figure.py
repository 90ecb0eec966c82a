"""The map's drawing: health, words and routes; and the panel beside it."""

from itertools import pairwise

import pytest
from components import texts
from faasight_dashboards.figures.map import drawing, status
from faasight_dashboards.views.map_panel import counts, panel
from faasight_store.types import InvocationMap, MapEdge, MapNode

HOUR = 3600.0
HOSTILE = "<img src=x onerror=alert(1)>"

SHOP = InvocationMap(
    nodes=[
        MapNode("api:shop", "api", "shop", None, None, None, None),
        MapNode("external:<b>", "external", HOSTILE, None, None, None, None),
        MapNode("function:checkout", "function", "checkout", 7200, 36, 0, 120.0),
        MapNode("function:payment", "function", "payment", 3600, 360, 12, 900.0),
        MapNode("queue:orders", "queue", "orders", None, None, None, None),
    ],
    edges=[
        MapEdge("api:shop", "function:checkout", 7200, 36, 0, 0, 120.0, None),
        MapEdge("function:checkout", "queue:orders", 3600, 0, 0, 0, 9.0, None),
        MapEdge("function:payment", "external:<b>", 3600, 0, 0, 50, 300.0, None),
        MapEdge("queue:orders", "function:payment", 3600, 360, 12, 40, 900.0, 1500.0),
    ],
)


def drawn() -> tuple[dict[str, dict[str, object]], dict[str, dict[str, object]]]:
    picture = drawing(SHOP, HOUR)
    return {node["id"]: node for node in picture["nodes"]}, {edge["id"]: edge for edge in picture["edges"]}


@pytest.mark.parametrize(
    ("calls", "errors", "throttles", "retries", "expected"),
    [
        (1000, 0, 0, 0, "ok"),
        (1000, 9, 0, 0, "ok"),
        (1000, 11, 0, 0, "warn"),
        (1000, 50, 0, 0, "error"),
        (1000, 0, 1, 0, "warn"),
        (1000, 0, 0, 11, "warn"),
        (0, 0, 0, 0, "ok"),
    ],
)
def test_status_by_share_of_failures(calls: int, errors: int, throttles: int, retries: int, expected: str) -> None:
    assert status(calls, errors, throttles, retries) == expected


def test_nodes_say_rate_errors_and_p95() -> None:
    nodes, _ = drawn()
    assert nodes["function:checkout"]["detail"] == "2/s · 0.5% · 120 ms"
    assert nodes["queue:orders"]["detail"] == "queue · 1/s"
    assert nodes["api:shop"]["detail"] == "api"
    assert [nodes[f"function:{name}"]["status"] for name in ("checkout", "payment")] == ["ok", "error"]


def test_clouds_are_told_where_there_are_several() -> None:
    """A map of AWS alone says it nowhere; the panel always does."""

    def shown(*providers: str) -> list[object]:
        nodes = [MapNode(f"function:{n}", "function", str(n), 1, 0, 0, 1.0, one) for n, one in enumerate(providers)]
        return [node["cloud"] for node in drawing(InvocationMap(nodes, []), HOUR)["nodes"]]

    assert shown("aws", "aws", "") == ["", "", ""]
    assert shown("aws", "gcp", "") == ["aws", "gcp", ""]
    assert shown("azure") == ["azure"]
    azure = MapNode("function:f", "function", "f", 1, 0, 0, 1.0, "azure")
    assert "function · Azure Functions" in texts(panel(InvocationMap([azure], []), "function:f", HOUR))


def test_the_ring_fills_with_what_failed_or_was_turned_away() -> None:
    nodes, _ = drawn()
    assert nodes["function:payment"]["ill_share"] == pytest.approx(6 * 372 / 3612, abs=0.001)
    assert nodes["queue:orders"]["ill_share"] == 0


def test_edges_say_rate_errors_and_how_long_messages_waited() -> None:
    _, edges = drawn()
    asynchronous = edges["queue:orders>function:payment"]
    assert asynchronous["label"] == "1/s · 10.0%\nwaits 1.50 s"
    assert asynchronous["asynchronous"] is True
    assert edges["function:checkout>queue:orders"]["label"] == "1/s"
    assert edges["function:checkout>queue:orders"]["told"] is False
    assert edges["function:payment>external:<b>"]["status"] == "warn"


def test_a_busier_edge_is_thicker() -> None:
    _, edges = drawn()
    assert edges["api:shop>function:checkout"]["thickness"] > edges["function:checkout>queue:orders"]["thickness"]


def test_an_edge_leaves_and_arrives_level() -> None:
    """Control points are told relative to the line between the ends; in the plane they lie on the ends' heights."""
    nodes, edges = drawn()
    edge = edges["api:shop>function:checkout"]
    (x0, y0), (x1, y1) = (
        (float(str(nodes[end]["x"])), float(str(nodes[end]["y"]))) for end in ("api:shop", "function:checkout")
    )
    length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
    weights, distances = edge["weights"], edge["distances"]
    assert isinstance(weights, list)
    assert isinstance(distances, list)
    heights = [
        y0 + weight * (y1 - y0) + distance * (x1 - x0) / length
        for weight, distance in zip(weights, distances, strict=True)
    ]
    assert heights == pytest.approx([y0, y1], abs=1)


def chain(length: int) -> InvocationMap:
    nodes = [MapNode(f"function:{i:02}", "function", f"f{i}", 1, 0, 0, 1.0) for i in range(length)]
    edges = [MapEdge(a.id, b.id, 1, 0, 0, 0, 1.0, None) for a, b in pairwise(nodes)]
    return InvocationMap(nodes, edges)


@pytest.mark.parametrize(("length", "down"), [(3, False), (12, True)])
def test_a_long_chain_runs_downwards_so_that_a_screen_shows_it_larger(length: int, down: bool) -> None:
    picture = drawing(chain(length), HOUR)
    assert (len({node["x"] for node in picture["nodes"]}) == 1) is down
    assert (len({node["y"] for node in picture["nodes"]}) == 1) is not down
    assert {edge["leaves"] for edge in picture["edges"]} == {"0% 50%" if down else "50% 0%"}
    assert {tuple(edge["distances"]) for edge in picture["edges"]} == {(0.0, 0.0)}, "a straight line"


def test_a_call_back_bows_out_instead_of_crossing_cards() -> None:
    nodes = [MapNode(f"function:{name}", "function", name, 1, 0, 0, 1.0) for name in "ab"]
    there, back = (MapEdge(f"function:{a}", f"function:{b}", 1, 0, 0, 0, 1.0, None) for a, b in ("ab", "ba"))
    edges = {edge["id"]: edge for edge in drawing(InvocationMap(nodes, [there, back]), HOUR)["edges"]}
    assert len(edges["function:a>function:b"]["weights"]) == 2
    assert edges["function:b>function:a"]["weights"] == [0.5]


def test_a_map_without_traffic_has_no_edges() -> None:
    assert drawing(InvocationMap([], []), HOUR) == {"nodes": [], "edges": []}
    assert counts(InvocationMap([], [])) == "0 functions · 0 edges"


def test_the_panel_of_a_function_tells_figures_neighbours_and_ways_on() -> None:
    told = texts(panel(SHOP, "function:payment", HOUR))
    assert {"payment", "Failing", "3,600 · 1/s", "360 · 10.0%", "12", "900 ms", "Called by", "orders"} <= set(told)
    assert HOSTILE in told


def test_the_panel_of_a_queue_tells_the_wait() -> None:
    told = texts(panel(SHOP, "queue:orders", HOUR))
    assert "p95 queue wait" in told
    assert "1.50 s" in told


def test_the_panel_of_an_edge_tells_retries_and_wait() -> None:
    told = texts(panel(SHOP, "queue:orders>function:payment", HOUR))
    assert {"orders", "payment", "asynchronous", "Retries", "40", "1.50 s"} <= set(told)


def test_the_panel_says_what_to_do_when_nothing_is_chosen_or_it_is_gone() -> None:
    for chosen in (None, "function:gone"):
        assert "Select a node or an edge" in texts(panel(SHOP, chosen, HOUR))
