"""Logs in a real browser: search, faults of a query, what unfolds, the live tail, zoom, and files to take away."""

import csv
import json
import time
from typing import Any

import pytest
from browser import Visit
from faasight_store import Store
from inside import go
from order_flow import HOSTILE, LINES, Flow
from otlp import logs, segment
from playwright.sync_api import Page, expect
from polling import wait_until

pytestmark = pytest.mark.browser

ROWS = "#log-list .log-row"


def land(store: Store, token: str, *messages: str) -> None:
    """Store lines as of now."""
    lines: list[dict[str, Any]] = [{"ts": time.time_ns() + i, "body": text} for i, text in enumerate(messages)]
    store.land("logs", segment(logs(lines)), token)


def search(page: Page, query: str) -> None:
    page.locator("#logs-query").fill(query)


def test_lines_come_newest_first_as_text(order_tab: Visit, flow: Flow) -> None:
    page = go(order_tab, f"/logs?q=trace_id:{flow.trace_id}")
    expect(page.locator(ROWS)).to_have_count(LINES)
    expect(page.locator(ROWS).first).to_contain_text("checkout answered 502")
    expect(page.locator(".level-ERROR .log-message")).to_have_text(f"charge failed {HOSTILE}")
    expect(page.locator("#logs-count")).to_have_text(f"{LINES} lines")


def test_a_query_narrows_and_stands_in_the_address(order_tab: Visit) -> None:
    page = go(order_tab, "/logs")
    search(page, 'level:error function:check* duration_ms:>500 "charge failed"')
    expect(page.locator(ROWS)).to_have_count(1)
    wait_until(lambda: "q=level%3Aerror" in page.url, "the address has the query")
    search(page, "level:error -order_id:o-1")
    expect(page.locator(".log-scroller")).to_have_attribute(
        "data-empty", "No line matches: choose a longer range, or another query."
    )
    expect(page.locator(ROWS)).to_have_count(0)


def test_a_wrong_query_is_told_below_and_the_lines_stay(order_tab: Visit, flow: Flow) -> None:
    page = go(order_tab, f"/logs?q=trace_id:{flow.trace_id}")
    expect(page.locator(ROWS)).to_have_count(LINES)
    search(page, "level:error function:")
    expect(page.locator("#logs-error")).to_contain_text("character 22")
    expect(page.locator("#logs-error mark")).to_have_count(1)
    expect(page.locator(ROWS)).to_have_count(LINES)
    search(page, "level:error")
    expect(page.locator("#logs-error")).to_be_empty()


def test_a_line_unfolds_with_its_attributes_and_the_way_to_its_trace(order_tab: Visit, flow: Flow) -> None:
    page = go(order_tab, "/logs?q=level:error")
    line = page.locator(ROWS).first
    line.focus()
    page.keyboard.press("Enter")
    detail = line.locator(".log-detail")
    for text in ("order_id", "o-1", f"Traceback\n  {HOSTILE}", flow.checkout.request_id):
        expect(detail).to_contain_text(text)
    page.keyboard.press("Enter")
    expect(detail).to_have_count(0)
    line.click(position={"x": 40, "y": 8})
    detail.get_by_role("link", name=flow.trace_id).click()
    page.wait_for_url(f"**/traces/{flow.trace_id}?span={flow.declined.span_id.hex()}*")


def test_a_value_is_added_to_the_query(order_tab: Visit) -> None:
    page = go(order_tab, "/logs?q=level:error")
    page.locator(ROWS).first.click(position={"x": 40, "y": 8})
    page.locator("[data-term='order_id:o-1']").click()
    expect(page.locator("#logs-query")).to_have_value("level:error order_id:o-1")
    expect(page.locator(ROWS)).to_have_count(1)


def test_the_live_tail_shows_what_comes_and_waits_while_one_reads(
    order_tab: Visit, order_store: Store, token: str
) -> None:
    page = go(order_tab, f"/logs?q={token}")
    expect(page.locator(".log-scroller")).to_be_attached()
    page.locator("#logs-tail").click()
    expect(page.locator("#logs-tail-label")).to_have_text("Pause")
    land(order_store, f"{token}-1", *(f"{token} line {i}" for i in range(60)))
    expect(page.locator(ROWS)).to_have_count(60)
    expect(page.locator(ROWS).first).to_contain_text("line 59")
    scroller = page.locator(".log-scroller")
    scroller.evaluate("list => { list.scrollTop = 200; }")
    land(order_store, f"{token}-2", f"{token} late 0", f"{token} late 1")
    expect(page.locator(".log-news")).to_have_text("2 new")
    expect(page.locator(ROWS)).to_have_count(60)
    page.locator(".log-news").click()
    expect(page.locator(ROWS)).to_have_count(62)
    expect(page.locator(ROWS).first).to_contain_text("late 1")
    page.locator("#logs-tail").click()
    expect(page.locator("#logs-tail-label")).to_have_text("Live tail")


def test_the_list_keeps_a_thousand_lines_and_no_more(order_tab: Visit) -> None:
    page = go(order_tab, "/logs?q=level:error")
    expect(page.locator(ROWS)).to_have_count(1)
    page.evaluate(
        """() => {
            const list = new faasight.LogList(document.getElementById('log-list'));
            const ids = {request_id: '', trace_id: '', span_id: '', attributes: {}};
            const line = i => ({ts: 1.7e12 + i, level: 'INFO', function: 'f', message: `m ${i}`, ...ids});
            for (let k = 0; k < 3; k++) list.push(Array.from({length: 600}, (_, j) => line(k * 600 + j)));
        }"""
    )
    expect(page.locator(ROWS)).to_have_count(1000)
    expect(page.locator(ROWS).first).to_contain_text("m 1799")


def test_lines_are_taken_away_as_csv_and_ndjson(order_tab: Visit, flow: Flow) -> None:
    page = go(order_tab, f"/logs?q=trace_id:{flow.trace_id}")
    expect(page.locator(ROWS)).to_have_count(LINES)
    saved = {}
    for label, name in (("CSV", "logs.csv"), ("NDJSON", "logs.ndjson")):
        page.get_by_role("button", name="Export").click()
        with page.expect_download() as download:
            page.get_by_role("menuitem", name=label, exact=True).click()
        assert download.value.suggested_filename == name
        saved[label] = download.value.path().read_text()
    rows = list(csv.DictReader(saved["CSV"].splitlines()))
    objects = [json.loads(line) for line in saved["NDJSON"].splitlines()]
    assert len(rows) == len(objects) == LINES
    assert [row["message"] for row in rows] == [one["message"] for one in objects]
    assert {one["trace_id"] for one in objects} == {flow.trace_id}


def test_a_drag_over_the_volume_zooms_the_page(order_tab: Visit) -> None:
    page = go(order_tab, "/logs?from=now-1h&to=now")
    expect(page.locator(".chart .bars path").first).to_be_attached()

    def dragged() -> bool:
        """Drag once; a drag is lost when the chart is drawn anew under it, as while the page arrives."""
        box = page.locator(".chart .nsewdrag").first.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 20, steps=5)
        page.mouse.up()
        return "from=now-1h" not in page.url

    wait_until(dragged, "the range is the stretch", every_s=1)
    expect(page.locator("#range-label")).not_to_contain_text("Last 1 hour")
