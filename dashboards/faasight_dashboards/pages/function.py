"""Function: one function in depth."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from dash import Dash, Output, State, dcc, html
from dash.development.base_component import Component
from faasight_store.queries import functions, invocations

from faasight_dashboards.components import card, chart, chart_id, grid, icon, legend, link, logs_href, slot
from faasight_dashboards.data import ask
from faasight_dashboards.figures import heatmap, series
from faasight_dashboards.live import live
from faasight_dashboards.router import Page
from faasight_dashboards.scope import View
from faasight_dashboards.theme import BRAND, ERROR, MUTE, OK, PERCENTILES, THROTTLE
from faasight_dashboards.views import function as views

_ERRORS = 6  # rows: the whole page stays below 500 components
_RECENT = 12
_NAME = State("function-name", "data")


def layout(name: str, **_: str) -> Component:
    """Return the page of a function."""
    links = (
        ("list-tree", "Traces", f"/traces?function={quote(name)}"),
        ("scroll-text", "Logs", logs_href(f"function:{name}")),
        ("workflow", "Map", f"/map?node=function:{quote(name)}"),
    )
    head = [
        html.Span([link("Functions", "/functions"), " /"], className="muted"),
        html.H1(name),
        html.Span(id="function-badges", className="row wrap tight"),
        html.Span(className="grow"),
        *(link([icon(symbol), text], href, className="pill") for symbol, text, href in links),
    ]
    return html.Div(
        [dcc.Store(id="function-name", data=name), html.Div(head, className="row wrap"), *_panels(name)],
        className="grid",
    )


def _panels(name: str) -> list[Component]:
    scale = html.Span(
        ["few", html.I(style={"width": 90, "height": 8, "background": heatmap.GRADIENT}), "many"], className="lg"
    )
    ways = legend([("OK", OK), ("Errors", ERROR), ("Throttles", THROTTLE)])
    return [
        html.Div(slot("function-kpis", 101), className="kpis"),
        grid(
            [
                card(
                    "Latency distribution", chart("function-heatmap", 250), sub="drag to zoom in on a time", right=scale
                ),
                card(
                    "Duration percentiles", chart("function-percentiles", 250), right=legend(list(PERCENTILES.items()))
                ),
            ],
            "1.3fr 1fr",
        ),
        grid(
            [
                card("Invocations", chart("function-outcomes", 150), right=ways),
                card("Error rate", chart("function-errors", 150)),
                card("Cold-start rate", chart("function-cold", 150)),
            ],
            "1fr 1fr 1fr",
        ),
        grid(
            [
                card("Cold-start anatomy", slot("function-anatomy", 190), sub="where the time goes"),
                html.Div(
                    [
                        card(
                            "Concurrency and throttles",
                            chart("function-concurrency", 150),
                            right=legend([("Running at once", BRAND), ("Throttles", THROTTLE)]),
                        ),
                        card(
                            "Memory",
                            chart("function-memory", 150),
                            right=legend([("Used, largest", BRAND), ("Given", MUTE)]),
                        ),
                    ],
                    className="grid",
                ),
            ],
            "1.3fr 1fr",
        ),
        card("Top errors", slot("function-failures", 90)),
        card(
            "Recent invocations",
            slot("function-recent", 190),
            sub="the newest",
            right=link("All traces →", f"/traces?function={quote(name)}", className="more"),
        ),
    ]


def register(app: Dash) -> None:
    """Connect the panels."""
    live(app, [Output("function-badges", "children"), Output("function-kpis", "children")], _facts, _NAME)
    names = ("outcomes", "percentiles", "errors", "cold", "concurrency")
    live(app, [Output(chart_id(f"function-{name}"), "figure") for name in names], _charts, _NAME)
    live(app, Output(chart_id("function-memory"), "figure"), _memory, _NAME)
    live(app, Output(chart_id("function-heatmap"), "figure"), _heatmap, _NAME)
    live(app, Output("function-anatomy", "children"), _anatomy, _NAME)
    live(app, Output("function-failures", "children"), _failures, _NAME)
    live(app, Output("function-recent", "children"), _recent, _NAME)


def _facts(view: View, name: str) -> tuple[list[Component], list[Component] | Component]:
    row = ask(functions.function, view.scope, name)
    if row is None:
        return [], views.unknown(name)
    before, buckets = ask(invocations.totals, view.scope.before(), name), ask(invocations.series, view.scope, name)
    cold = ask(functions.cold_starts, view.scope, name)
    return views.badges(row, datetime.now(UTC), view.zone), views.kpis(row, before, buckets, cold, view.scope)


def _charts(view: View, name: str) -> list[dict[str, Any]]:
    buckets = ask(invocations.series, view.scope, name)
    figures = (series.outcomes, series.percentiles, series.error_rate, series.cold_rate, series.concurrency)
    return [figure(buckets, view.zone) for figure in figures]


def _memory(view: View, name: str) -> dict[str, Any]:
    row = ask(functions.function, view.scope, name)
    return series.memory(ask(invocations.series, view.scope, name), row.memory_mb if row else None, view.zone)


def _heatmap(view: View, name: str) -> dict[str, Any]:
    return heatmap.latency(ask(invocations.heatmap, view.scope, name), view.zone)


def _anatomy(view: View, name: str) -> Component:
    return views.anatomy(ask(functions.cold_starts, view.scope, name))


def _failures(view: View, name: str) -> Component:
    return views.errors(ask(invocations.errors, view.scope, name, limit=_ERRORS), datetime.now(UTC), view.zone)


def _recent(view: View, name: str) -> Component:
    return views.invocations(ask(invocations.recent, view.scope, name, running=True, limit=_RECENT), view.zone)


PAGE = Page("/functions/<name>", "Function", layout, register)
