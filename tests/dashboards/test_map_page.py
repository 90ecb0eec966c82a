"""The invocation map in a real browser: what is stored is what is drawn."""

from typing import Any

import pytest
from browser import Visit, visit
from inside import go
from order_flow import HOSTILE, Flow
from playwright.sync_api import Browser, Page, expect
from polling import wait_until

pytestmark = pytest.mark.browser

PAYMENT = "function:payment"


def drawn(page: Page) -> dict[str, Any]:
    """Return what the map shows, as soon as it shows anything."""
    return dict(
        wait_until(
            lambda: page.evaluate("(() => { const m = faasight.map(); return m && m.nodes.length ? m : null; })()"),
            "the map is drawn",
        )
    )


def by_id(items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {item["id"]: item for item in items}


def tap(page: Page, at: dict[str, float]) -> None:
    """Click a place of the map."""
    box = page.locator("#map-graph").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + at["x"], box["y"] + at["y"])


def choose(page: Page, node: str) -> None:
    tap(page, by_id(drawn(page)["nodes"])[node]["at"])
    expect(page.locator("#map-panel h2")).to_have_text(node.split(":", 1)[1])


def test_nodes_and_edges_are_those_of_the_flow(order_tab: Visit) -> None:
    page = go(order_tab, "/map")
    picture = drawn(page)
    nodes = by_id(picture["nodes"])
    assert set(nodes) == {
        "api:shop-api",
        "function:checkout",
        "function:payment",
        "function:stock",
        "queue:order-queue",
        "table:orders",
        f"external:{HOSTILE}",
    }
    assert {(edge["source"], edge["target"]) for edge in picture["edges"]} == {
        ("api:shop-api", "function:checkout"),
        ("function:checkout", "table:orders"),
        ("function:checkout", "queue:order-queue"),
        ("function:checkout", f"external:{HOSTILE}"),
        ("queue:order-queue", "function:payment"),
    }
    assert nodes["function:checkout"]["status"] == "error"
    assert nodes["function:stock"]["status"] == "warn"
    assert nodes[PAYMENT]["status"] == "ok"
    assert nodes["api:shop-api"]["at"]["x"] < nodes["function:checkout"]["at"]["x"] < nodes[PAYMENT]["at"]["x"]
    expect(page.locator("#map-count")).to_have_text("3 functions · 5 edges")


def test_the_legend_names_what_is_on_the_map(order_tab: Visit) -> None:
    page = go(order_tab, "/map")
    drawn(page)
    words = page.locator("#map-legend > span").all_inner_texts()
    assert words == ["function", "api", "queue", "table", "external", "ran well", "failed", "waits between"]


def test_an_asynchronous_edge_tells_how_long_messages_waited(order_tab: Visit) -> None:
    edge = by_id(drawn(go(order_tab, "/map"))["edges"])["queue:order-queue>function:payment"]
    assert edge["asynchronous"]
    assert "waits 4" in edge["label"]  # about 480 ms: the store keeps it in buckets


def test_choosing_a_node_tells_of_it_and_dims_the_rest(order_tab: Visit) -> None:
    page = go(order_tab, "/map")
    choose(page, "function:checkout")
    expect(page.locator("#map-panel")).to_contain_text("Failing")
    expect(page.locator("#map-panel")).to_contain_text(HOSTILE)
    dim = {node["id"] for node in drawn(page)["nodes"] if node["dim"]}
    assert dim == {PAYMENT, "function:stock"}
    assert "node=function%3Acheckout" in page.url
    page.get_by_role("link", name="Function", exact=True).click()
    page.wait_for_url("**/functions/checkout*")


def test_choosing_an_edge_tells_of_it(order_tab: Visit) -> None:
    page = go(order_tab, "/map")
    tap(page, by_id(drawn(page)["edges"])["queue:order-queue>function:payment"]["at"])
    expect(page.locator("#map-panel h2")).to_have_text("order-queue → payment")
    expect(page.locator("#map-panel")).to_contain_text("p95 queue wait")


def test_a_click_beside_everything_and_escape_let_go(order_tab: Visit) -> None:
    page = go(order_tab, "/map")
    choose(page, PAYMENT)
    tap(page, {"x": 8, "y": 8})
    expect(page.locator("#map-panel")).to_have_text("Select a node or an edge")
    choose(page, PAYMENT)
    page.keyboard.press("Escape")
    expect(page.locator("#map-panel")).to_have_text("Select a node or an edge")
    assert not any(node["dim"] for node in drawn(page)["nodes"])
    assert "node=" not in page.url


def test_a_link_leads_to_a_chosen_node(order_tab: Visit) -> None:
    page = go(order_tab, "/map?node=queue%3Aorder-queue")
    expect(page.locator("#map-panel h2")).to_have_text("order-queue")
    wait_until(lambda: any(node["dim"] for node in drawn(page)["nodes"]), "the rest is dimmed")


def test_only_errors_leaves_what_is_ill_and_its_ends(order_tab: Visit) -> None:
    page = go(order_tab, "/map")
    whole = len(drawn(page)["nodes"])
    page.locator("#map-errors").click()
    wait_until(lambda: len(drawn(page)["nodes"]) < whole, "the healthy are gone")
    assert {node["id"] for node in drawn(page)["nodes"]} == {
        "api:shop-api",
        "function:checkout",
        "function:stock",
        f"external:{HOSTILE}",
    }
    page.locator("#map-errors").click()
    wait_until(lambda: len(drawn(page)["nodes"]) == whole, "all are back")


def test_a_refresh_moves_nothing(order_tab: Visit) -> None:
    page = go(order_tab, "/map")
    drawn(page)
    page.evaluate(
        "() => { const cy = document.getElementById('map-graph')._cyreg.cy; cy.zoom(0.7); cy.pan({x: 40, y: 200}); }"
    )
    before = {node["id"]: node["at"] for node in drawn(page)["nodes"]}
    with page.expect_response(lambda answer: "map-drawing" in (answer.request.post_data or "")):
        page.locator("[data-refresh=now]").click()
    order_tab.settle()
    assert {node["id"]: node["at"] for node in drawn(page)["nodes"]} == before


def test_the_map_follows_the_theme(order_tab: Visit) -> None:
    page = go(order_tab, "/map")
    drawn(page)
    style = "document.getElementById('map-graph')._cyreg.cy.nodes()[0].style('background-color')"
    dark = wait_until(lambda: page.evaluate(style), "a node is styled")
    page.locator("#scheme").click()
    light = wait_until(lambda: page.evaluate(style) != dark and page.evaluate(style), "the cards are repainted")
    assert (dark, light) == ("rgb(18,21,29)", "rgb(255,255,255)")


def test_the_map_is_saved_as_a_picture(order_tab: Visit) -> None:
    page = go(order_tab, "/map")
    drawn(page)
    with page.expect_download() as saved:
        page.locator("#map-png").click()
    assert saved.value.suggested_filename == "invocation-map.png"
    assert saved.value.path().read_bytes().startswith(b"\x89PNG")


def test_fit_shows_the_whole_map(order_tab: Visit) -> None:
    page = go(order_tab, "/map")
    zoom = drawn(page)["zoom"]
    page.evaluate("() => { document.getElementById('map-graph')._cyreg.cy.zoom(0.2); }")
    page.locator("#map-fit").click()
    wait_until(lambda: drawn(page)["zoom"] == pytest.approx(zoom, rel=0.01), "the map fits")


def test_an_empty_range_says_what_to_do(order_tab: Visit, flow: Flow) -> None:
    ms = flow.checkout.start_ns // 10**6
    page = go(order_tab, f"/map?from={ms - 9_000_000}&to={ms - 8_000_000}")
    expect(page.locator("#map-empty")).to_contain_text("Choose a longer range")


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_names_on_edges_and_cards_keep_within_the_map(chromium: Browser, order_site: str, scheme: Any) -> None:
    with visit(chromium, order_site, scheme) as seen:
        page = seen.open("/map")
        box = page.locator("#map-graph").bounding_box()
        assert box is not None
        for node in drawn(page)["nodes"]:
            assert 0 < node["at"]["x"] < box["width"]
            assert 0 < node["at"]["y"] < box["height"]
        assert seen.faults == []
