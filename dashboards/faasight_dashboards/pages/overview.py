"""Overview: is all well, and where to look if not. Before the first event it is the first-run page."""

from datetime import UTC, datetime
from typing import Any

from dash import Dash, Input, NoUpdate, Output, State, dcc, html, no_update, set_props
from dash.development.base_component import Component
from faasight_store.queries import alerts, functions, ingest, invocations

from faasight_dashboards.components import card, chart, chart_id, grid, legend, link, slot
from faasight_dashboards.data import ask, context
from faasight_dashboards.figures import series
from faasight_dashboards.live import live
from faasight_dashboards.router import Page
from faasight_dashboards.scope import View
from faasight_dashboards.theme import ERROR, OK, PERCENTILES, THROTTLE
from faasight_dashboards.views import overview
from faasight_dashboards.views.first_run import first_run

_FOR_EVER = -1
_FRESH_TICKS = 20  # of two seconds
_OUTCOMES = [("OK", OK), ("Errors", ERROR), ("Throttles", THROTTLE)]


def layout(**_: str) -> Component:
    """Return the page, both forms of it."""
    waiting = [html.Div(id="first-run", hidden=True), dcc.Interval(id="first-run-tick", interval=2000)]
    return html.Div([*waiting, html.Div(_panels(), id="overview", className="grid")])


def _panels() -> list[Component]:
    everything, rules = (
        link("All functions →", "/functions", className="more"),
        link("All alerts →", "/alerts", className="more"),
    )
    return [
        html.Div(slot("overview-kpis", 101), className="kpis"),
        grid(
            [
                card(
                    "Invocations",
                    chart("overview-outcomes", 210, label="Invocations by outcome"),
                    right=legend(_OUTCOMES),
                ),
                card(
                    "Duration",
                    chart("overview-percentiles", 210, label="Duration percentiles"),
                    right=legend(list(PERCENTILES.items())),
                ),
            ],
            "1fr 1fr",
        ),
        grid(
            [
                card(
                    "Needs attention",
                    slot("overview-attention", 220),
                    sub="by failed and throttled requests",
                    right=everything,
                ),
                card("Alerts", slot("overview-alerts", 220), right=rules),
            ],
            "1.25fr 1fr",
        ),
        grid(
            [
                card("Function health", slot("overview-tiles", 190), right=everything),
                card("Top cost", slot("overview-costs", 190), sub="this range"),
                card("Slowest p95", slot("overview-slowest", 190)),
            ],
            "1.5fr 1fr 1fr",
        ),
        card("Telemetry health", slot("overview-telemetry", 60), sub="how well telemetry itself arrives"),
    ]


def register(app: Dash) -> None:
    """Connect the panels."""
    app.callback(
        Output("first-run", "children"),
        Output("first-run", "hidden"),
        Output("overview", "hidden"),
        Output("first-run-tick", "max_intervals"),
        Input("first-run-tick", "n_intervals"),
        State("first-run", "hidden"),
    )(_welcome)
    live(app, Output("overview-kpis", "children"), _kpis)
    live(
        app,
        [Output(chart_id("overview-outcomes"), "figure"), Output(chart_id("overview-percentiles"), "figure")],
        _charts,
    )
    live(app, Output("overview-attention", "children"), _attention)
    live(app, Output("overview-alerts", "children"), _alerts)
    live(
        app,
        [
            Output("overview-tiles", "children"),
            Output("overview-costs", "children"),
            Output("overview-slowest", "children"),
        ],
        _functions,
    )
    live(app, Output("overview-telemetry", "children"), _telemetry)


def _welcome(tick: int | None, hidden: bool) -> tuple[Component | None, bool, bool, int | NoUpdate]:
    """Decide between the first run and the overview; how often to look again is Interval's `max_intervals`."""
    if ask(invocations.last_event) is None:
        own = context().settings
        steps = first_run(own.collector_url, with_token=own.collector_asks_for_token)
        return steps, False, True, _FOR_EVER
    if not tick:
        return None, True, False, 0
    set_props("tick", {"n_intervals": -tick})  # what comes first changes by the second: keep the panels fresh
    return None, True, False, no_update if hidden else tick + _FRESH_TICKS


def _kpis(view: View) -> list[Component]:
    now, before = ask(invocations.totals, view.scope), ask(invocations.totals, view.scope.before())
    throttled = sum(row.totals.throttles > 0 for row in ask(functions.functions, view.scope))
    return overview.kpis(now, before, ask(invocations.series, view.scope), view.scope, throttled)


def _charts(view: View) -> tuple[dict[str, Any], dict[str, Any]]:
    buckets = ask(invocations.series, view.scope)
    return series.outcomes(buckets, view.zone), series.percentiles(buckets, view.zone)


def _attention(view: View) -> Component:
    return overview.attention(ask(functions.functions, view.scope), view.scope)


def _alerts(view: View) -> Component:
    return overview.alerts(ask(alerts.active), datetime.now(UTC), view.zone)


def _functions(view: View) -> tuple[Component, Component, Component]:
    rows = ask(functions.functions, view.scope)
    return overview.tiles(rows), overview.costs(rows), overview.slowest(rows)


def _telemetry(view: View) -> Component:
    return overview.telemetry(ask(ingest.health, view.scope), view.scope, datetime.now(UTC), view.zone)


PAGE = Page("/", "Overview", layout, register)
