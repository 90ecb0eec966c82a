"""Logs: search, see how many, follow live, take away."""

from datetime import UTC, datetime
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, ctx, dcc, html
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate
from faasight_store import QueryError
from faasight_store.queries import logs

from faasight_dashboards.components import aria, card, chart, chart_id, icon, legend
from faasight_dashboards.data import ask, context
from faasight_dashboards.figures.base import Figure
from faasight_dashboards.figures.log_volume import LEGEND, log_volume
from faasight_dashboards.live import clientside, live
from faasight_dashboards.router import Page
from faasight_dashboards.scope import View, view
from faasight_dashboards.views.log_lines import comma_separated, lines, ndjson
from faasight_dashboards.views.query_error import query_error

SHOWN = 500  # lines in the list
EXPORTED = 10_000  # lines in a file
POLL_MS = 1000  # of the live tail
BUCKETS = 90

_EXAMPLE = 'level:error   function:pay*   duration_ms:>500   "timed out"'
_TAIL_KEPT_S = 0.5  # viewers of the same tail share one query


def layout(q: str = "", **_: str) -> Component:
    """Return the page; `q` is the query to begin with."""
    return html.Div(
        [
            html.Div([html.H1("Logs"), html.Span(className="grow"), *_tools()], className="row wrap"),
            dmc.TextInput(
                id="logs-query",
                value=q,
                debounce=300,
                placeholder=_EXAMPLE,
                leftSection=icon("search"),
                rightSection=html.Span("/", className="kbd"),
                className="slash logs-query",
                **aria(label="Log query"),
            ),
            html.Div(id="logs-error"),
            card(
                "Volume",
                chart("logs-volume", 110, label="Log lines over time"),
                sub=html.Span(id="logs-count"),
                right=legend(LEGEND),
            ),
            html.Section(html.Div(id="log-list"), className="card logs-card"),
            dcc.Store(id="logs-rows"),
            dcc.Store(id="logs-news"),
            dcc.Store(id="logs-cursor", data="0"),
            dcc.Interval(id="logs-poll", interval=POLL_MS, disabled=True),
            dcc.Download(id="logs-file"),
        ],
        className="fill",
    )


def _tools() -> list[Component]:
    formats = [dmc.MenuItem("CSV", id="logs-csv"), dmc.MenuItem("NDJSON", id="logs-ndjson")]
    return [
        html.Button(
            [icon("play"), html.Span("Live tail", id="logs-tail-label")],
            className="pill",
            id="logs-tail",
            title="Follow new lines",
        ),
        dmc.Menu(
            [
                dmc.MenuTarget(
                    html.Button([icon("download"), "Export"], className="pill", title=f"Up to {EXPORTED:,} lines")
                ),
                dmc.MenuDropdown(formats),
            ],
            position="bottom-end",
        ),
    ]


def register(app: Dash) -> None:
    """Connect the page."""
    query = Input("logs-query", "value")
    live(app, Output("logs-rows", "data"), _rows, query)
    live(app, Output("logs-error", "children"), _error, query)
    live(app, Output(chart_id("logs-volume"), "figure"), _volume, query)
    live(app, Output("logs-count", "children"), _count, query)
    app.callback(
        Output("logs-news", "data"),
        Input("logs-poll", "n_intervals"),
        State("logs-cursor", "data"),
        State("logs-query", "value"),
    )(_news)
    app.callback(
        Output("logs-file", "data"),
        Input("logs-csv", "n_clicks"),
        Input("logs-ndjson", "n_clicks"),
        State("scope", "data"),
        State("logs-query", "value"),
        prevent_initial_call=True,
    )(_export)
    _register_browser(app)


def _register_browser(app: Dash) -> None:
    query = Input("logs-query", "value")
    clientside(app, "logs", "show", Output("log-list", "id"), Input("logs-rows", "data"))
    clientside(app, "logs", "keep", Output("logs-query", "id"), query, first=False)
    clientside(
        app,
        "logs",
        "toggle",
        Output("logs-poll", "disabled"),
        Output("logs-cursor", "data"),
        Output("logs-tail", "className"),
        Output("logs-tail-label", "children"),
        Input("logs-tail", "n_clicks"),
        State("logs-poll", "disabled"),
        first=False,
    )
    cursor = Output("logs-cursor", "data", allow_duplicate=True)
    clientside(app, "logs", "restart", cursor, query, first=False)
    clientside(app, "logs", "push", cursor, Input("logs-news", "data"), first=False)


def _rows(look: View, query: str | None) -> list[dict[str, Any]]:
    return lines(ask(logs.search, look.scope, query or "", SHOWN))


def _error(look: View, query: str | None) -> Component | None:
    try:
        ask(logs.search, look.scope, query or "", SHOWN)
    except QueryError as error:
        return query_error(error, query or "")
    return None


def _volume(look: View, query: str | None) -> Figure:
    try:
        return log_volume(ask(logs.volume, look.scope, query or "", BUCKETS), look.zone)
    except QueryError:  # stands below the query; the bars before stay
        raise PreventUpdate from None


def _count(look: View, query: str | None) -> str:
    try:
        total = ask(logs.volume, look.scope, query or "", BUCKETS).total
    except QueryError:
        raise PreventUpdate from None
    shown = f" · newest {SHOWN:,} shown" if total > SHOWN else ""
    return f"{total:,} line{'' if total == 1 else 's'}{shown}"


def _news(_polls: int | None, cursor: str, query: str | None) -> dict[str, Any]:
    here = context()
    try:
        rows = here.cache.get(
            ("tail", cursor, query), lambda: logs.tail(here.store, int(cursor), query or ""), _TAIL_KEPT_S
        )
    except QueryError:
        raise PreventUpdate from None
    if not rows:
        raise PreventUpdate
    # As text: the order of arrival is beyond what a number holds in JavaScript.
    return {"rows": lines(rows), "cursor": str(max(row.seq for row in rows)), "after": cursor}


def _export(_csv: int | None, _ndjson: int | None, scope: dict[str, Any], query: str | None) -> dict[str, Any]:
    rows = logs.search(context().store, view(scope, datetime.now(UTC)).scope, query or "", EXPORTED)
    if ctx.triggered_id == "logs-csv":
        return {"content": comma_separated(rows), "filename": "logs.csv", "type": "text/csv"}
    return {"content": ndjson(rows), "filename": "logs.ndjson", "type": "application/x-ndjson"}


PAGE = Page("/logs", "Logs", layout, register)
