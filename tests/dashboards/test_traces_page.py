"""The list of traces in a real browser: filters, the id box, and the way to a trace."""

import pytest
from browser import Visit
from inside import go
from order_flow import Flow
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

ROWS = "#traces-grid .ag-center-cols-container .ag-row"


def test_the_list_tells_of_each_trace_and_leads_to_it(order_tab: Visit, flow: Flow) -> None:
    page = go(order_tab, "/traces?function=checkout")
    expect(page.locator(ROWS)).to_have_count(1)
    for text in ("checkout", "invoke", "2", "1"):
        expect(page.locator(ROWS)).to_contain_text(text)
    page.locator(ROWS).click()
    page.wait_for_url(f"**/traces/{flow.trace_id}*")


def test_filters_narrow_the_list_and_stand_in_the_address(order_tab: Visit) -> None:
    page = go(order_tab, "/traces")
    expect(page.locator(ROWS)).to_have_count(2)
    page.get_by_text("Cold starts", exact=True).first.click()
    expect(page.locator(ROWS)).to_have_count(1)
    expect(page.locator("#traces-count")).to_have_text("1 found")
    assert "cold=1" in page.url
    page.get_by_role("textbox", name="Shortest duration").fill("5000")
    expect(page.locator("#traces-empty")).to_contain_text("fewer filters")
    assert "min_ms=5000" in page.url
    again = go(order_tab, "/traces?errors=1&min_ms=100")
    expect(again.locator(ROWS)).to_have_count(1)
    expect(again.locator(ROWS)).to_contain_text("checkout")


def test_a_trace_is_opened_by_its_id(order_tab: Visit, flow: Flow) -> None:
    page = go(order_tab, "/traces")
    page.keyboard.press("/")
    page.keyboard.type("nonsense")
    page.keyboard.press("Enter")
    expect(page.locator("#toast")).to_contain_text("32 hexadecimal digits")
    page.locator("#traces-id").fill(flow.trace_id.upper())
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/traces/{flow.trace_id}*")
