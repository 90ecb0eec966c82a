"""A user's first minutes: the shop runs under `faasight demo`, and the browser shows what it really does."""

import itertools
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest
import requests
import yaml
from browser import LateError, Visit, visit
from demo import SHOP, Demo
from playwright.sync_api import Browser, Page
from playwright.sync_api import TimeoutError as LateBrowserError
from polling import wait_until
from slack_server import SECRET, SlackServer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]
PATIENCE_S = 600.0  # no promise: a busy machine starts its functions slowly, and its load goes slowly too
Found = TypeVar("Found")

# Whom the shop calls beyond its own template: parameters give their URLs, FAASIGHT_PEER_SERVICES their names.
OUTSIDE = {("function:payment", "external:payment-provider"), ("function:shipping", "external:carrier")}


@pytest.fixture(scope="module")
def tab(demo: Demo, chromium: Browser) -> Iterator[Visit]:
    """Open one tab on the demo."""
    with visit(chromium, demo.dashboards, live=True) as seen:
        yield seen
    assert seen.faults == []


class _Template(yaml.SafeLoader):
    """Reads intrinsic functions as {name: argument}."""


_Template.add_multi_constructor(
    "!",
    lambda loader, name, node: {
        name: loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else loader.construct_sequence(node)
    },
)


def template_edges(path: Path) -> set[tuple[str, str]]:
    """Return who calls whom by the template's events and policies, which are what AWS itself would enforce."""
    resources = yaml.load(path.read_text(), _Template)["Resources"]
    names = {key: value["Properties"] for key, value in resources.items()}

    def name(reference: Any) -> str:
        (target,) = reference.values()
        properties = names[target.split(".")[0]]
        return next(str(properties[key]) for key in ("QueueName", "TableName", "Name") if key in properties)

    edges = set()
    for key, resource in resources.items():
        if resource["Type"] != "AWS::Serverless::Function":
            continue
        function = f"function:{resource['Properties']['FunctionName']}"
        for policy in resource["Properties"].get("Policies", []):
            ((kind, argument),) = policy.items()
            target = name(next(iter(argument.values())))
            edges.add((function, f"queue:{target}" if kind.startswith("SQS") else f"table:{target}"))
        for event, what in resource["Properties"]["Events"].items():
            match what["Type"]:
                case "HttpApi":
                    edges.add((f"api:{name(what['Properties']['ApiId'])}", function))
                case "SQS":
                    edges.add((f"queue:{name(what['Properties']['Queue'])}", function))
                case "Schedule":
                    edges.add((f"schedule:{key}{event}", function))
    return edges


def kebab(edge: tuple[str, str]) -> tuple[str, str]:
    """Return an edge with its names spelled alike: a schedule's generated name may be in any spelling."""
    source, target = (re.sub(r"[^a-z:]", "", end.lower()) for end in edge)
    return source, target


def drawn_edges(page: Page) -> set[tuple[str, str]]:
    """Return the edges that the map has drawn."""
    script = "() => document.getElementById('map-graph')._cyreg.cy.edges().map(e => [e.source().id(), e.target().id()])"
    return {(source, target) for source, target in page.evaluate(script)}


@contextmanager
def wholesale(demo: Demo) -> Iterator[None]:
    """Order more of one product than is on the shelf, and often enough that some card is declined."""
    cart = {"items": [{"product": "kettle", "quantity": 20}], "email": "wholesale@example.com"}
    enough = threading.Event()

    def order() -> None:
        with requests.Session() as session:
            for _ in itertools.takewhile(lambda _: not enough.is_set(), range(60)):
                with suppress(requests.RequestException):  # the shop may be slow; what it does shows on the map
                    session.post(f"{demo.gateway}/checkout", json=cart, timeout=180)

    customer = threading.Thread(target=order, daemon=True)
    customer.start()
    yield
    enough.set()
    customer.join()


def watch_until(ask: Callable[[], Found], what: str, tab: Visit, demo: Demo, *paths: str) -> Found:
    """Wait for what a page will show; if it does not, say what these pages show, and what the demo said."""
    late: list[str] = []  # pages that have not come in time

    def patient() -> Found | None:
        try:
            return ask()
        except (LateError, LateBrowserError) as problem:
            late.append(str(problem)[:500])
            return None

    try:
        found = wait_until(patient, what, PATIENCE_S, every_s=2)
    except AssertionError as failed:
        pages = [f"--- {path}\n{shown(tab, path)}" for path in paths]
        told = [str(failed), *late[-1:], *pages, "--- the demo", demo.said()[-3000:]]
        raise AssertionError("\n".join(told)) from None
    assert found is not None
    return found


def shown(tab: Visit, path: str) -> str:
    """Return what a page says, whole or not."""
    try:
        tab.open(path)
    except (LateError, LateBrowserError) as problem:
        return f"{problem}\n{tab.page.locator('body').inner_text()[:4000]}"
    return tab.page.locator("#page").inner_text()[:4000]


def test_the_map_has_the_nodes_and_edges_of_the_template(tab: Visit, demo: Demo) -> None:
    expected = {kebab(edge) for edge in template_edges(SHOP / "template.yaml") | OUTSIDE}
    assert len(expected) > 20

    def whole() -> bool:
        drawn = {kebab(edge) for edge in drawn_edges(tab.open("/map"))}
        assert drawn <= expected, f"edges that the template does not have: {drawn - expected}"
        return drawn == expected

    with wholesale(demo):
        watch_until(whole, "every edge of the template has been used and drawn", tab, demo, "/", "/functions")


def test_a_trace_crosses_the_queues_to_the_last_function(tab: Visit, demo: Demo) -> None:
    def whole_trace() -> str:
        page = tab.open("/traces?function=notification")
        rows = page.locator(".ag-center-cols-container .ag-row")
        for row in range(min(rows.count(), 12)):
            link = rows.nth(row).locator("a[href*='/traces/']").first
            address = link.get_attribute("href") or ""
            page = tab.open(address)
            services = set(page.locator(".wf-service").all_inner_texts())
            if {"checkout", "payment", "stock", "shipping", "notification"} <= services:
                return address
            page = tab.open("/traces?function=notification")
            rows = page.locator(".ag-center-cols-container .ag-row")
        return ""

    found = watch_until(whole_trace, "a trace runs from checkout to notification", tab, demo, "/traces", "/functions")
    tab.open(found)
    operations = tab.page.locator(".wf-operation").all_inner_texts()
    assert any(name.startswith("POST /checkout") for name in operations)
    assert "send order-queue" in operations
    assert "process order-queue" in operations


def test_a_cold_start_is_opened_up_to_its_heavy_import(tab: Visit, demo: Demo) -> None:
    page, lines = "/functions/recommend", "/logs?q=function:recommend"

    def anatomy() -> str:
        seen = tab.open(page).locator("#page").inner_text()
        return seen if "Slowest imports" in seen else ""

    text = watch_until(anatomy, "recommend's slowest imports are shown", tab, demo, page, lines, "/functions")
    heavy = re.findall(r"^import (\w+)", (SHOP / "src" / "recommend" / "app.py").read_text(), re.MULTILINE)
    imports = text.split("Slowest imports")[1]
    assert any(re.search(rf"\b{module}\b", imports) for module in heavy if module not in {"json", "os", "logging"})


def grid_cell(tab: Visit, function: str, column: str) -> str:
    """Return a cell of the functions' grid."""
    page = tab.open("/functions")
    return page.evaluate(
        """async ([name, column]) => {
            const api = await dash_ag_grid.getApiAsync('functions-grid');
            let found = '';
            api.forEachNode(node => { if (node.data.function === name) found = String(node.data[column]); });
            return found;
        }""",
        [function, column],
    )


def test_a_throttle_is_counted_where_it_happened(tab: Visit, demo: Demo) -> None:
    def throttles() -> int:
        return int(grid_cell(tab, "search", "throttles") or 0)

    assert watch_until(throttles, "search has been throttled", tab, demo, "/functions/search") > 0


def test_a_timeout_is_seen_and_named(tab: Visit, demo: Demo) -> None:
    def timed_out() -> bool:
        return "time limit of" in tab.open("/functions/shipping").locator("#page").inner_text()

    watch_until(timed_out, "shipping has run into its time limit", tab, demo, "/functions/shipping")


def test_the_error_alert_reaches_slack_and_its_link_opens_the_function(
    tab: Visit, slack: SlackServer, demo: Demo
) -> None:
    def message() -> str:
        return next((json.dumps(one) for one in slack.accepted if "errors on payment" in json.dumps(one)), "")

    text = watch_until(message, "Slack has the error alert of payment", tab, demo, "/alerts", "/functions/payment")
    link = re.search(rf"{re.escape(tab.origin)}(/functions/payment[^|>\"\\]*)", text)
    assert link, text
    assert "payment" in tab.open(link[1]).locator("h1").inner_text()
    shown = tab.open("/alerts").locator("#page").inner_text()
    assert "errors" in shown
    assert "payment" in shown


def test_a_log_line_leads_to_its_trace(tab: Visit) -> None:
    page = tab.open("/logs?q=function:payment level:error")
    text = page.locator("#page").inner_text()
    assert "payment provider failed" in text
    assert json.dumps(text).count("checkout") == 0  # the query held


def test_the_demo_says_what_it_does(demo: Demo) -> None:
    said = demo.said()
    assert demo.dashboards in said
    assert SECRET not in said
    assert "Traceback" not in said, said
