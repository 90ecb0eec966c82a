"""A trace in a real browser: the waterfall over a queue, its keys, its panel, and ten thousand spans."""

import json

import pytest
from browser import Visit
from faasight_store import Store
from inside import go
from order_flow import HOSTILE, Flow
from otlp import MS, segment, span, traces
from playwright.sync_api import Locator, Page, expect
from polling import wait_until

pytestmark = pytest.mark.browser

MANY = 10_000


@pytest.fixture
def page(order_tab: Visit, flow: Flow) -> Page:
    """Return the page of the order's trace, drawn."""
    shown = go(order_tab, f"/traces/{flow.trace_id}")
    expect(shown.locator(".wf-row").first).to_be_visible()
    return shown


def row(page: Page, text: str) -> Locator:
    return page.locator(".wf-row", has_text=text)


def names(page: Page) -> list[str]:
    return [" ".join(text.split()) for text in page.locator(".wf-viewport .wf-name").all_inner_texts()]


def selected(page: Page) -> str:
    return " ".join(page.locator(".wf-selected .wf-name").inner_text().split())


def test_the_waterfall_goes_on_behind_the_queue(page: Page) -> None:
    assert names(page) == [
        "checkout invoke",
        "checkout INIT",
        f"checkout import {HOSTILE}",
        "pool size=8 idle=5",
        "checkout started",
        "checkout DynamoDB.PutItem orders",
        "checkout POST payment-provider",
        "retrying attempt=2",
        f"charge failed {HOSTILE}",
        "order queued",
        "checkout send order-queue",
        "payment process order-queue",
        "checkout answered 502",
    ]
    assert row(page, "process order-queue").get_attribute("aria-level") == "3"
    expect(row(page, "process order-queue").locator(".wf-wait")).to_have_attribute(
        "title", "waited 480 ms in the queue"
    )
    expect(row(page, "INIT").locator(".wf-bar-init")).to_be_visible()
    expect(row(page, "invoke").locator(".wf-cold")).to_be_visible()
    expect(row(page, "POST payment-provider").locator(".wf-exception")).to_have_count(1)
    assert page.locator(".wf-critical").count() >= 4


def test_the_head_sums_up(page: Page, flow: Flow) -> None:
    head = page.locator("#trace-head")
    for text in (
        "invoke",
        "2 errors",
        "1 cold start",
        "1 linked trace",
        "7 spans",
        "2 services",
        "$0.0000",
        flow.trace_id,
    ):
        expect(head).to_contain_text(text)


def test_a_chosen_span_is_told_and_stands_in_the_address(order_tab: Visit, page: Page, flow: Flow) -> None:
    row(page, "POST payment-provider").click()
    panel = page.locator("#trace-panel")
    for text in (
        "POST payment-provider",
        "client",
        "300 ms",
        "CardDeclined",
        f"Traceback\n  {HOSTILE}",
        "peer.service",
    ):
        expect(panel).to_contain_text(text)
    span_id = flow.declined.span_id.hex()
    assert f"span={span_id}" in page.url
    again = go(order_tab, f"/traces/{flow.trace_id}?span={span_id}")
    expect(again.locator(".wf-selected")).to_contain_text("POST payment-provider")
    expect(panel).to_contain_text("CardDeclined")


def test_keys_move_fold_and_find_errors(page: Page) -> None:
    for _ in range(2):
        page.keyboard.press("j")
    assert selected(page) == "checkout INIT"
    page.keyboard.press("ArrowLeft")
    assert selected(page) == "checkout invoke", "a span without children leads to its parent"
    page.keyboard.press("ArrowLeft")
    assert names(page) == ["checkout invoke 12"]
    page.keyboard.press("ArrowRight")
    assert len(names(page)) == 13
    page.keyboard.press("e")
    assert selected(page) == "checkout POST payment-provider"
    page.keyboard.press("k")
    assert selected(page) == "checkout DynamoDB.PutItem orders"


def test_find_dims_the_rest_and_goes_from_match_to_match(page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.type("queue")
    expect(page.locator("#trace-found")).to_have_text("3 found")
    expect(page.locator(".wf-row.wf-dim")).to_have_count(10)
    page.keyboard.press("Enter")
    assert selected(page) == "order queued"
    page.keyboard.press("Enter")
    assert selected(page) == "checkout send order-queue"
    page.keyboard.press("Shift+Enter")
    assert selected(page) == "order queued"
    page.keyboard.press("Escape")
    expect(page.locator(".wf-row.wf-dim")).to_have_count(0)


def test_log_lines_can_be_left_out(page: Page) -> None:
    page.locator("#trace-logs").click()
    expect(page.locator(".wf-log")).to_have_count(0)
    page.locator("#trace-logs").click()
    expect(page.locator(".wf-log")).to_have_count(6)


def test_the_trace_is_copied_as_otlp_json(page: Page) -> None:
    page.locator("#trace-copy").click()
    expect(page.locator("#toast")).to_contain_text("copied")
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    spans = [s["name"] for group in copied["resourceSpans"] for scope in group["scopeSpans"] for s in scope["spans"]]
    assert sorted(spans) == sorted(
        [
            "invoke",
            "INIT",
            f"import {HOSTILE}",
            "DynamoDB.PutItem orders",
            "POST payment-provider",
            "send order-queue",
            "process order-queue",
        ]
    )


def test_a_drag_on_the_minimap_zooms_and_a_click_shows_all(page: Page) -> None:
    whole = page.locator(".wf-header .wf-time").inner_text()
    box = page.locator(".wf-minimap").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 20)
    page.mouse.up()
    assert page.locator(".wf-header .wf-time").inner_text() != whole
    page.locator(".wf-minimap").click()
    assert page.locator(".wf-header .wf-time").inner_text() == whole


def test_an_unknown_trace_and_a_wrong_id_say_what_to_do(order_tab: Visit) -> None:
    assert "This trace is unknown" in go(order_tab, f"/traces/{'ab' * 16}").locator("#page").inner_text()
    assert "32 hexadecimal digits" in go(order_tab, "/traces/xyz").locator("#page").inner_text()


def test_ten_thousand_spans_scroll_with_few_rows_in_the_page(order_tab: Visit, order_store: Store, flow: Flow) -> None:
    trace_id, start = bytes([7] * 16), flow.checkout.start_ns - 36_000 * 1000 * MS  # no other test sees it
    ids = [(i + 1).to_bytes(8, "big") for i in range(MANY)]
    spans = [
        span(
            f"step {i}",
            start + i * MS // 10,
            5 if i else 1100,
            trace_id=trace_id,
            span_id=ids[i],
            parent_span_id=ids[(i - 1) // 8] if i else b"",
        )
        for i in range(MANY)
    ]
    order_store.land("traces", segment(traces(spans)), "many-spans")
    page = go(order_tab, f"/traces/{trace_id.hex()}?span={ids[MANY - 1].hex()}")
    expect(page.locator("#trace-head")).to_contain_text("10,000 spans", timeout=60_000)
    expect(page.locator(".wf-selected")).to_contain_text(f"step {MANY - 1}")
    page.locator(".wf-viewport").evaluate("viewport => { viewport.scrollTop = 0; }")
    expect(page.locator(".wf-row").first).to_be_visible()
    wait_until(lambda: "checkout step 0" in names(page), "the first row is there again")
    assert page.locator(".wf-row").count() < 80
    page.keyboard.press("k")
    wait_until(lambda: selected(page), "the chosen row scrolls into view")


def test_the_imports_of_a_long_init_begin_folded(order_tab: Visit, order_store: Store, flow: Flow) -> None:
    """So that what the trace is about is seen first; whoever comes for an import finds it open."""
    trace_id, start = bytes([8] * 16), flow.checkout.start_ns - 37_000 * 1000 * MS  # no other test sees it
    ids = [(i + 1).to_bytes(8, "big") for i in range(50)]
    spans = [span("handle", start, 100, trace_id=trace_id, span_id=ids[0])]
    spans += [
        span(
            f"import m{i}" if i > 1 else "INIT",
            start + i * MS // 10,
            1,
            attributes={"faasight.phase": "import" if i > 1 else "init"},
            trace_id=trace_id,
            span_id=ids[i],
            parent_span_id=ids[min(i - 1, 1)],
        )
        for i in range(1, 49)
    ]
    spans.append(span("work", start + 90 * MS, 5, trace_id=trace_id, span_id=ids[49], parent_span_id=ids[0]))
    order_store.land("traces", segment(traces(spans)), "long-init")
    page = go(order_tab, f"/traces/{trace_id.hex()}")
    expect(row(page, "work")).to_be_visible()
    assert names(page) == ["checkout handle", "checkout INIT 47", "checkout work"]
    page = go(order_tab, f"/traces/{trace_id.hex()}?span={ids[30].hex()}")
    expect(page.locator(".wf-selected")).to_contain_text("import m30")
