"""Every page in a real browser over the real store: nothing breaks or leaves the machine, and the numbers are true."""

import re
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from browser import Visit, visit
from faasight_dashboards import Dashboards, Settings
from faasight_store import Scope, Store
from faasight_store.queries import functions, invocations
from otlp import Run, segment
from playwright.sync_api import Browser, expect
from polling import wait_until
from shop import FUNCTIONS, THROTTLED

pytestmark = pytest.mark.browser

PAGES = (
    "/",
    "/functions",
    "/functions/payment",
    "/functions/unknown",
    "/map",
    "/traces",
    "/traces/" + "ab" * 16,
    "/logs",
    "/alerts",
    "/nowhere",
)
MOST_COMPONENTS = 500  # Dash renders trees in quadratic time

_COUNT = """() => {
    const count = node => Array.isArray(node) ? node.reduce((sum, child) => sum + count(child), 0)
        : node && node.props ? 1 + Object.values(node.props).reduce((sum, value) => sum + count(value), 0)
        : 0;
    return count(window.dash_component_api.getLayout([]).components);
}"""

_BACKGROUND = "() => getComputedStyle(document.body).backgroundColor"

_DRAWN = """() => Object.fromEntries([...document.querySelectorAll('.chart')].map(chart => [
    chart.getAttribute('aria-label'),
    (chart.querySelector('.js-plotly-plot')?.data || []).map(trace => [trace.name, trace.z ? trace.z.flat() : trace.y]),
]))"""


def _length_ms(url: str) -> int:
    """Return how long the absolute range of an address is."""
    start, end = re.findall(r"(?:from|to)=(\d{13})", url)
    return int(end) - int(start)


@pytest.fixture
def dark(chromium: Browser, site: str) -> Iterator[Visit]:
    """Return a tab, dark."""
    with visit(chromium, site) as seen:
        yield seen
        assert seen.faults == []


@pytest.mark.parametrize("path", PAGES)
def test_every_page_renders_dark_and_light_and_stays_small(dark: Visit, path: str) -> None:
    page = dark.open(path)
    assert page.locator(".failure").count() == 0, page.locator(".failure").all_inner_texts()
    assert page.title().endswith(" · FaaSight")
    assert 30 < page.evaluate(_COUNT) < MOST_COMPONENTS
    background = page.evaluate(_BACKGROUND)
    page.locator("#scheme").click()
    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "light")
    assert page.evaluate(_BACKGROUND) != background
    dark.settle()


def test_overview_shows_what_is_stored(dark: Visit, shop_store: Store) -> None:
    page = dark.open("/?from=now-3h")
    now = datetime.now(UTC)
    stored = invocations.totals(shop_store, Scope(now - timedelta(hours=3), now + timedelta(hours=1)))
    assert stored.invocations == sum(kind.count for kind in FUNCTIONS.values())
    cards = page.locator("#overview-kpis .kpi").all_inner_texts()
    assert [card.split("\n")[0] for card in cards] == [
        "Invocations",
        "Error rate",
        "p95 duration",
        "Cold starts",
        "Throttles",
        "Est. cost",
    ]
    assert str(stored.invocations) in cards[0]
    assert f"{stored.errors} errors" in cards[1]
    assert str(THROTTLED[1]) in cards[4]
    assert "1 function" in cards[4]
    assert page.locator("#overview-tiles a").count() == len(FUNCTIONS)
    assert "all stored" in page.locator("#overview-telemetry").inner_text()


def test_charts_count_what_is_stored(dark: Visit) -> None:
    page = dark.open("/functions/payment?from=now-3h")
    drawn: dict[str, Any] = page.evaluate(_DRAWN)
    bars = dict(drawn["function-outcomes"])
    assert sum(bars["OK"]) + sum(bars["Errors"]) == FUNCTIONS["payment"].count
    assert sum(bars["Errors"]) == FUNCTIONS["payment"].count / FUNCTIONS["payment"].fails_every
    cells = [value for value in drawn["function-heatmap"][0][1] if value is not None]
    assert round(sum(value**2 for value in cells)) == pytest.approx(
        FUNCTIONS["payment"].count, abs=3
    )  # roots are rounded
    assert [name for name, _ in drawn["function-percentiles"]] == ["p50", "p90", "p95", "p99"]


def test_function_opens_its_cold_starts_up_to_the_import_and_its_errors_to_a_trace(dark: Visit) -> None:
    page = dark.open("/functions/payment?from=now-3h")
    assert "pandas" in page.locator("#function-anatomy").inner_text()
    failures = page.locator("#function-failures")
    expect(failures).to_contain_text("CardDeclined")
    page.locator("#function-failures >> text=Example trace").click()
    page.wait_for_url(re.compile(r"/traces/[0-9a-f]{32}"))
    assert "from=now-3h" in page.url
    dark.settle()


def test_grid_has_a_row_for_each_function_and_leads_on(dark: Visit) -> None:
    page = dark.open("/functions?from=now-3h")
    names = page.locator(".ag-pinned-left-cols-container .fn a")
    expect(names).to_have_count(len(FUNCTIONS))
    assert set(names.all_inner_texts()) == set(FUNCTIONS)
    with page.expect_download() as download:
        page.locator("#functions-csv").click()
    text = download.value.path().read_text()
    assert len(text.strip().splitlines()) == len(FUNCTIONS) + 1
    names.first.click()
    page.wait_for_url(re.compile(r"/functions/[\w-]+\?"))
    assert "from=now-3h" in page.url


def test_range_lives_in_the_url_and_moves_no_page(dark: Visit) -> None:
    page = dark.open("/")
    page.evaluate("document.querySelector('#overview').dataset.mark = 'kept'")
    page.locator("#range-button").click()
    page.locator("[data-range='now-15m']").click()
    expect(page.locator("#range-label")).to_have_text("Last 15 minutes")
    assert "from=now-15m&to=now" in page.url
    dark.settle()
    assert page.locator("#overview").get_attribute("data-mark") == "kept"
    page.locator("#range-button").click()  # it opens a second time, and Escape closes it
    expect(page.locator("[data-range='now-15m']")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("[data-range='now-15m']")).to_be_hidden()
    page.locator("a.navlink", has_text="Functions").click()
    page.wait_for_url(re.compile(r"/functions\?from=now-15m"))
    expect(page.locator("a.navlink[aria-current]")).to_have_text("Functions")
    page.go_back()
    page.wait_for_url(re.compile(r"/\?from=now-15m"))
    expect(page.locator("#range-label")).to_have_text("Last 15 minutes")
    dark.settle()


def test_a_drag_on_a_chart_zooms_the_range(dark: Visit) -> None:
    page = dark.open("/?from=now-3h")
    box = page.locator("#overview .nsewdrag").first.bounding_box()
    assert box is not None
    before = datetime.now(UTC).timestamp() * 1000
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 60, steps=5)
    page.mouse.up()
    page.wait_for_url(re.compile(r"from=\d+&to=\d+"))
    start = int(re.findall(r"from=(\d+)", page.url)[0])
    assert _length_ms(page.url) / 60_000 == pytest.approx(45, abs=3)
    assert (before - start) / 60_000 == pytest.approx(90, abs=4)
    dark.settle()
    page.locator("[data-zoom]").click()
    wait_until(lambda: _length_ms(page.url) > 80 * 60_000, "the range is wider")
    dark.settle()


def test_times_are_the_viewers_with_utc_on_hover(chromium: Browser, site: str) -> None:
    with visit(chromium, site, zone="Asia/Tokyo") as seen:
        page = seen.open("/functions/payment?from=now-3h")
        stamp = page.locator("#function-recent time").first
        shown, said, exact = stamp.inner_text(), stamp.get_attribute("title"), stamp.get_attribute("datetime")
        assert exact is not None
        assert said is not None
        assert said.endswith("UTC")
        local = datetime.fromisoformat(exact) + timedelta(hours=9)
        assert shown.startswith(local.strftime("%Y-%m-%d %H:%M:%S"))
        assert seen.faults == []


def test_search_finds_a_function_a_trace_and_lines(dark: Visit) -> None:
    page = dark.open("/?from=now-3h")
    page.keyboard.press("Control+k")
    page.locator(".palette-input").fill("ship")
    expect(page.locator(".palette-hit").first).to_contain_text("shipping")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/functions/shipping\?from=now-3h"))
    dark.settle()
    page.keyboard.press("/")
    page.locator(".palette-input").fill("ab" * 16)
    expect(page.locator(".palette-hit").first).to_contain_text("Trace")
    page.keyboard.press("Escape")


def test_environment_narrows_the_view(dark: Visit) -> None:
    page = dark.open("/functions?from=now-3h&env=nowhere")
    expect(page.locator("#functions-count")).to_have_text("0 in nowhere")
    page = dark.open("/functions?from=now-3h&env=prod")
    expect(page.locator("#functions-count")).to_have_text(f"{len(FUNCTIONS)} in prod")


def test_shared_link_is_absolute(dark: Visit) -> None:
    page = dark.open("/?from=now-1h")
    page.locator("[data-share]").click()
    expect(page.locator("#toast.shown")).to_contain_text("Link copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert _length_ms(copied) == pytest.approx(3_600_000, abs=1000)


def test_a_wrong_range_is_said_in_the_panels_and_breaks_nothing(chromium: Browser, site: str) -> None:
    with visit(chromium, site) as seen:
        page = seen.open("/?from=yesterday")
        expect(page.locator("#overview-kpis .failure")).to_contain_text("'yesterday' is no time")
        assert page.locator(".failure").count() >= 4
        page.locator("#range-button").click()
        page.locator("[data-range='now-3h']").click()
        expect(page.locator("#overview-kpis .kpi")).to_have_count(6)
        assert seen.faults == []


@pytest.mark.parametrize(("scheme", "other"), [("dark", "light"), ("light", "dark")])
def test_colour_scheme_is_kept(chromium: Browser, site: str, scheme: Literal["dark", "light"], other: str) -> None:
    with visit(chromium, site, scheme) as seen:
        page = seen.open("/alerts")
        root = page.locator("html")
        expect(root).to_have_attribute("data-mantine-color-scheme", scheme)
        page.locator("#scheme").click()
        expect(root).to_have_attribute("data-mantine-color-scheme", other)
        page.reload()
        expect(root).to_have_attribute("data-mantine-color-scheme", other)


def test_refresh_is_off_until_wanted_and_then_remembered(dark: Visit) -> None:
    page = dark.open("/alerts")
    expect(page.locator("#refresh-label")).to_have_text("Off")
    page.locator("#refresh-label").click()
    page.locator("[data-refresh='5']").click()
    expect(page.locator("#refresh-label")).to_have_text("5s")
    with page.expect_response(re.compile("_dash-update-component"), timeout=60_000):
        pass
    page.reload()
    expect(page.locator("#refresh-label")).to_have_text("5s")


def test_first_run_turns_into_the_overview_by_itself(chromium: Browser, store: Store) -> None:
    """In both modes of the store: from nothing, over the first event, to the figures."""
    dashboards = Dashboards(Settings(port=0, collector_url="http://collector:4318"), store)
    dashboards.start()
    try:
        with visit(chromium, dashboards.url) as seen:
            page = seen.page
            page.goto(dashboards.url + "/?from=now-15m")
            expect(page.locator("#first-run")).to_contain_text("FAASIGHT_ENDPOINT=http://collector:4318")
            expect(page.locator("#overview")).to_be_hidden()
            now_ns = int(datetime.now(UTC).timestamp() * 1e9)
            store.land("traces", segment(Run(now_ns - 10**9, 120.0, "hello", cold=True).traces()), secrets.token_hex(8))
            expect(page.locator("#overview")).to_be_visible()
            expect(page.locator("#overview-kpis .kpi").first).to_contain_text("1")
            page.locator("#overview-tiles a", has_text="hello").click()
            page.wait_for_url(re.compile("/functions/hello"))
            expect(page.locator("#function-recent tbody tr")).to_have_count(1)
            assert seen.faults == []
    finally:
        dashboards.stop()


def test_functions_of_the_store_are_those_of_the_shop(shop_store: Store) -> None:
    """What the pages are compared with is itself what was landed."""
    now = datetime.now(UTC)
    rows = functions.functions(shop_store, Scope(now - timedelta(hours=3), now + timedelta(hours=1)))
    assert {row.function: row.totals.invocations for row in rows} == {
        name: kind.count for name, kind in FUNCTIONS.items()
    }
