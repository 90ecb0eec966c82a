"""Moving about inside the app, as a click on a link does: no page is loaded from the start, so it is quick."""

from browser import Visit
from playwright.sync_api import Page, expect

_ELSEWHERE = "/nowhere"


def go(seen: Visit, path: str) -> Page:
    """Show a page anew in a tab, whatever it showed before; loads the app only the first time."""
    page = seen.page
    if not page.url.startswith(seen.origin):
        return seen.open(path)
    page.evaluate("path => faasight.go(path)", _ELSEWHERE)
    expect(page.locator("#page")).to_contain_text("There is no such page")
    page.evaluate("path => faasight.go(path)", path)
    expect(page.locator("#page")).not_to_contain_text("There is no such page")
    seen.settle()
    return page
