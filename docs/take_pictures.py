"""Takes the README's pictures of a running demo: `make demo` in one terminal, `make pictures` in another."""

import argparse
import shutil
import sys
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, sync_playwright

PICTURES = Path(__file__).parent / "pictures"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
PAGES = {  # taken in the dark; the first also in the light
    "overview": "/",
    "functions": "/functions",
    "function": "/functions/payment",
    "map": "/map",
    "logs": "/logs",
    "alerts": "/alerts",
}


def settle(page: Page) -> None:
    """Wait until all panels have their data and stand still."""
    page.wait_for_selector("#page > *", timeout=30_000)
    page.wait_for_selector(".skeleton", state="detached", timeout=30_000)
    page.wait_for_timeout(1500)


def order_across_queues(page: Page, origin: str) -> str:
    """Return the path of a trace that began at the checkout and ended with the customer's letter."""
    page.goto(f"{origin}/traces?function=notification")
    settle(page)
    found = page.locator(".ag-row a[href*='/traces/']")
    path = found.first.get_attribute("href") if found.count() else None
    if not path:
        sys.exit("no order has gone through all queues yet; let the demo run for two minutes")
    return path


def take(browser: Browser, origin: str, scheme: Literal["dark", "light"]) -> None:
    """Take the pages of one colour scheme."""
    context = browser.new_context(viewport={"width": 1520, "height": 920}, color_scheme=scheme, timezone_id="UTC")
    page = context.new_page()
    pages = {**PAGES, "trace": order_across_queues(page, origin)} if scheme == "dark" else {"overview": "/"}
    for name, path in pages.items():
        page.goto(origin + path)
        settle(page)
        if name == "trace":
            page.locator(".wf-row").nth(6).click()
            page.wait_for_timeout(800)
        file = PICTURES / f"{name}-{scheme}.png"
        page.screenshot(path=file)
        sys.stdout.write(f"{file.name}\n")
    context.close()


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8050", help="where the dashboards answer")
    origin = parser.parse_args().url.rstrip("/")
    PICTURES.mkdir(exist_ok=True)
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        for scheme in ("dark", "light"):
            take(browser, origin, scheme)
        browser.close()


if __name__ == "__main__":
    main()
