"""Alerts in a real browser: what fires first, and what changed."""

import re

import pytest
from browser import Visit
from inside import go
from order_flow import HOSTILE
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

ROWS = "#alerts-grid .ag-center-cols-container .ag-row"


def test_what_fires_stands_first_and_leads_to_the_function(order_tab: Visit) -> None:
    page = go(order_tab, "/alerts")
    expect(page.locator("#alerts-count")).to_have_text("1 firing · 1 pending")
    cards = page.locator(".alert-card")
    expect(cards).to_have_count(2)
    for text in ("Critical", "errors", "payment", "error rate > 10 % over 5 min", HOSTILE):
        expect(cards.first).to_contain_text(text)
    expect(cards.first).to_contain_text(re.compile(r"firing for [1-9]\d*m"))  # it began long before this test did
    expect(cards.nth(1)).to_contain_text("pending")
    cards.first.get_by_role("link", name="Function", exact=True).click()
    page.wait_for_url("**/functions/payment*")


def test_history_tells_what_became_of_each_message(order_tab: Visit) -> None:
    page = go(order_tab, "/alerts")
    expect(page.locator(ROWS)).to_have_count(4)
    found = [page.locator(ROWS).nth(i).inner_text().split("\n") for i in range(4)]
    told = {(row[1], row[2], row[4], row[-1]) for row in found}
    assert told == {
        ("pending", "warning", "checkout", "none"),
        ("firing", "critical", "payment", "queued"),
        ("resolved", "warning", "stock", "broken"),
        ("firing", "warning", "stock", "sent"),
    }


def test_a_range_without_changes_says_what_to_do(order_tab: Visit) -> None:
    page = go(order_tab, "/alerts?from=1700000000000&to=1700003600000")
    expect(page.locator("#alerts-empty")).to_contain_text("Choose a longer range")
