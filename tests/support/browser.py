"""A real headless Chromium, and a visit that notes what goes wrong on a page."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, TimeoutError, expect, sync_playwright  # noqa: A004 - its own, not Python's

NAMES = ("chromium", "chromium-browser", "google-chrome")
LIVE_MS = 10_000  # for a live page to be idle for a moment, which on a busy machine it never is
PATIENCE_MS = 90_000  # a busy machine is slow; on an idle one a page takes a second
ARGUMENTS = [
    "--no-sandbox",  # in containers there is no user namespace for it
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class LateError(AssertionError):
    """A page's panels have not got their data in time."""


@dataclass
class Visit:
    """A tab on one site, with the faults that were seen in it."""

    page: Page
    origin: str
    live: bool = False  # its pages refresh by themselves: on a busy machine some request is always under way
    faults: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        """Go to a page and wait until all of its panels have their data."""
        self.page.goto(self.origin + path)
        self.settle()
        return self.page

    def settle(self) -> None:
        """Wait until nothing is loading any more."""
        try:
            expect(self.page.locator("#page > *").first).to_be_attached(timeout=PATIENCE_MS)
            expect(self.page.locator(".skeleton")).to_have_count(0, timeout=PATIENCE_MS)
        except AssertionError as problem:
            raise LateError(str(problem)) from None
        try:
            self.page.wait_for_load_state("networkidle", timeout=LIVE_MS if self.live else PATIENCE_MS)
        except TimeoutError:
            if not self.live:
                raise

    def _watch(self) -> None:
        page = self.page
        page.on("console", lambda line: self.faults.append(f"console: {line.text}") if line.type == "error" else None)
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("response", lambda one: self.faults.append(f"{one.status} {one.url}") if one.status >= 400 else None)
        page.on("request", lambda one: self._leaves(one.url))

    def _leaves(self, url: str) -> None:
        if not url.startswith((self.origin + "/", "data:", "blob:")):
            self.faults.append(f"leaves the machine: {url}")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Run Chromium for the tests of one module: while Playwright runs, no other test can run an event loop."""
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("the browser tests need Chromium: sudo apt-get install chromium")
        pytest.skip("there is no Chromium: sudo apt-get install chromium")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def visit(
    browser: Browser, origin: str, scheme: Literal["dark", "light"] = "dark", zone: str = "UTC", *, live: bool = False
) -> Iterator[Visit]:
    """Open a fresh tab for one site."""
    context = browser.new_context(
        viewport={"width": 1520, "height": 920},
        color_scheme=scheme,
        timezone_id=zone,
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.set_default_timeout(PATIENCE_MS)
    try:
        seen = Visit(context.new_page(), origin, live)
        seen._watch()
        yield seen
    finally:
        context.close()
