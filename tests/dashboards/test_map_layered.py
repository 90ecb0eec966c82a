"""The map's layout: deterministic, from left to right, without overlap, whatever the graph."""

import itertools
import random

import pytest
from faasight_dashboards.layered import Layout, Spacing, layered

WIDTH = 180.0
SPACING = Spacing()


def place(*edges: tuple[str, str], alone: tuple[str, ...] = ()) -> Layout:
    names = {name for edge in edges for name in edge} | set(alone)
    return layered(dict.fromkeys(names, WIDTH), edges)


def overlaps(layout: Layout) -> list[tuple[str, str]]:
    """Return the pairs of cards nearer to each other than cards in one layer may be."""
    width, height = (WIDTH + SPACING.beside, SPACING.card) if layout.down else (WIDTH, SPACING.row)
    return [
        (a, b)
        for (a, p), (b, q) in itertools.combinations(layout.nodes.items(), 2)
        if abs(p.x - q.x) < width - 0.001 and abs(p.y - q.y) < height - 0.001
    ]


def test_callers_stand_left_of_what_they_call() -> None:
    layout = place(("api", "checkout"), ("checkout", "queue"), ("queue", "payment"), ("checkout", "table"))
    x = {name: point.x for name, point in layout.nodes.items()}
    assert x["api"] < x["checkout"] < x["queue"] < x["payment"]
    assert x["table"] == x["queue"]


def test_downwards_callers_stand_above_what_they_call() -> None:
    edges = [
        ("api", "checkout"),
        ("checkout", "queue"),
        ("queue", "payment"),
        ("checkout", "table"),
        ("api", "payment"),
    ]
    widths = {"api": 100.0, "checkout": 180.0, "queue": 120.0, "payment": 180.0, "table": 120.0, "alone": 90.0}
    layout = layered(widths, edges, down=True)
    at = layout.nodes
    assert at["api"].y < at["checkout"].y < at["queue"].y < at["payment"].y < at["alone"].y
    assert at["queue"].y == at["table"].y
    assert abs(at["queue"].x - at["table"].x) >= 120.0 + SPACING.beside - 0.001
    assert [bend.y for bend in layout.bends["api", "payment"]] == [at["checkout"].y, at["queue"].y]


def test_a_source_stands_just_before_what_it_calls() -> None:
    layout = place(("a", "b"), ("b", "c"), ("c", "d"), ("timer", "d"))
    assert layout.nodes["timer"].x == layout.nodes["c"].x


def test_the_same_graph_is_placed_alike_whatever_its_order() -> None:
    edges = [("a", "b"), ("a", "c"), ("c", "d"), ("b", "d"), ("d", "e"), ("a", "e")]
    assert place(*edges, alone=("z", "y")) == place(*reversed(edges), alone=("y", "z"))


def test_cycles_and_calls_to_itself_are_placed() -> None:
    layout = place(("a", "b"), ("b", "c"), ("c", "a"), ("c", "c"), ("api", "a"))
    x = [layout.nodes[name].x for name in ("api", "a", "b", "c")]
    assert x == sorted(x)
    assert len(set(x)) == 4
    assert not overlaps(layout)


def test_edges_to_unknown_nodes_do_not_matter() -> None:
    assert layered({"a": WIDTH}, [("a", "gone"), ("gone", "a")]).nodes.keys() == {"a"}


def test_a_long_edge_gets_a_lane_that_no_card_stands_in() -> None:
    layout = place(("a", "b"), ("b", "c"), ("c", "d"), ("a", "d"))
    bends = layout.bends["a", "d"]
    assert [bend.x for bend in bends] == [layout.nodes["b"].x, layout.nodes["c"].x]
    room = (SPACING.row + SPACING.lane) / 2 - 0.001
    assert all(abs(bend.y - layout.nodes[name].y) >= room for bend, name in zip(bends, "bc", strict=True))


def test_a_single_chain_runs_level() -> None:
    layout = place(("a", "b"), ("b", "c"))
    assert len({point.y for point in layout.nodes.values()}) == 1


def test_nodes_without_edges_stand_below_the_rest() -> None:
    layout = place(("a", "b"), ("a", "c"), alone=("lonely", "lost"))
    lowest = max(layout.nodes[name].y for name in "abc")
    assert all(layout.nodes[name].y > lowest for name in ("lonely", "lost"))
    assert not overlaps(layout)


def test_columns_are_as_wide_as_their_widest_card() -> None:
    layout = layered({"a": 100.0, "b": 200.0, "c": 100.0}, [("a", "b"), ("b", "c")], Spacing(gap=50))
    assert [layout.nodes[name].x for name in "abc"] == [50, 250, 450]


def test_a_hub_with_hundreds_of_targets_is_no_ribbon() -> None:
    layout = place(*(("api", f"f{i:03}") for i in range(299)))
    x = [point.x for point in layout.nodes.values()]
    y = [point.y for point in layout.nodes.values()]
    assert max(y) - min(y) < 2 * (max(x) - min(x))
    assert all(layout.nodes[f"f{i:03}"].x > layout.nodes["api"].x for i in range(299))


def test_an_empty_map_is_empty() -> None:
    assert layered({}, []) == Layout({}, {})


@pytest.mark.parametrize("down", [False, True])
def test_three_hundred_nodes_do_not_overlap(down: bool) -> None:
    chance = random.Random(7)
    names = [f"f{i:03}" for i in range(300)]
    edges = [(names[chance.randrange(i // 2 + 1)], names[i]) for i in range(1, 260)]
    edges += [(chance.choice(names[:260]), chance.choice(names[:260])) for _ in range(150)]
    layout = layered(dict.fromkeys(names, WIDTH), edges, down=down)
    assert layout.nodes.keys() == set(names)
    assert not overlaps(layout)
