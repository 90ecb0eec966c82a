"""Trace: one request on its whole way, over queues too."""

import re

import dash_mantine_components as dmc
import orjson
from dash import Dash, Input, Output, State, dcc, html
from dash.development.base_component import Component
from faasight_store.queries import traces
from faasight_store.types import Trace

from faasight_dashboards.components import aria, empty, icon, slot
from faasight_dashboards.data import context
from faasight_dashboards.figures.waterfall import Columns, waterfall
from faasight_dashboards.live import clientside, live
from faasight_dashboards.otlp_json import otlp_json
from faasight_dashboards.router import Page
from faasight_dashboards.scope import View
from faasight_dashboards.views.span_panel import panel
from faasight_dashboards.views.trace_head import head

_KEPT_S = 15.0  # a trace of 10,000 spans is read once for head, waterfall and panel
_ID = re.compile(r"[0-9a-fA-F]{32}")


def layout(trace_id: str, span: str = "", **_: str) -> Component:
    """Return the page of a trace; `span` is the id of the one to choose at first."""
    if not _ID.fullmatch(trace_id):
        return empty(
            "This is no trace id", "A trace id has 32 hexadecimal digits. Find one on the traces page.", "list-tree"
        )
    return html.Div(
        [
            html.Div([html.Div(slot("trace-head"), className="grow"), *_tools()], className="row wrap trace-head"),
            html.Div(
                [
                    html.Section(
                        html.Div(id="waterfall", className="wf"),
                        className="card trace-card",
                        **aria(label="Waterfall"),
                    ),
                    html.Aside(id="trace-panel", className="card trace-side", **aria(live="polite")),
                ],
                className="trace-body",
            ),
            dcc.Store(id="trace-id", data=trace_id.lower()),
            dcc.Store(id="trace-span", data=span),
            dcc.Store(id="trace-columns"),
            dcc.Store(id="trace-otlp"),
        ],
        className="fill",
    )


def _tools() -> list[Component]:
    return [
        html.Span(id="trace-found", **aria(live="polite")),
        dmc.TextInput(
            id="trace-find",
            placeholder="Find",
            className="slash trace-find",
            leftSection=icon("search"),
            rightSection=html.Span("/", className="kbd"),
            **aria(label="Find spans and log lines; Enter goes to the next"),
        ),
        html.Button(
            [icon("scroll-text"), "Logs"], className="pill on", id="trace-logs", title="Show log lines in their place"
        ),
        html.Button(
            [icon("copy"), "OTLP JSON"], className="pill", id="trace-copy", title="Copy the trace as OTLP/JSON"
        ),
    ]


def register(app: Dash) -> None:
    """Connect the page."""
    live(app, Output("trace-head", "children"), _head, Input("trace-id", "data"))
    live(app, Output("trace-columns", "data"), _columns, Input("trace-id", "data"), State("trace-span", "data"))
    live(app, Output("trace-panel", "children"), _panel, Input("trace-span", "data"), State("trace-id", "data"))
    app.callback(
        Output("trace-otlp", "data"),
        Input("trace-copy", "n_clicks"),
        State("trace-id", "data"),
        prevent_initial_call=True,
    )(_otlp)
    clientside(app, "trace", "mount", Output("waterfall", "id"), Input("trace-columns", "data"))
    clientside(
        app,
        "trace",
        "copy",
        Output("trace-copy", "id"),
        Input("trace-otlp", "data"),
        first=False,
    )
    clientside(
        app,
        "trace",
        "logs",
        Output("trace-logs", "className"),
        Input("trace-logs", "n_clicks"),
        first=False,
    )


def _trace(trace_id: str) -> Trace | None:
    here = context()
    return here.cache.get(("trace", trace_id), lambda: traces.trace(here.store, trace_id), _KEPT_S)


def _head(view: View, trace_id: str) -> Component:
    found = _trace(trace_id)
    if found is None or not found.spans:
        return empty(
            "This trace is unknown", "It may not have arrived yet, or be older than what is kept.", "list-tree"
        )
    return head(found, view.zone)


def _columns(_view: View, trace_id: str, span: str) -> Columns | None:
    found = _trace(trace_id)
    return waterfall(found, span) if found and found.spans else None


def _panel(view: View, span: str, trace_id: str) -> Component | None:
    found = _trace(trace_id)
    return panel(found, span, view.zone) if found else None


def _otlp(_clicks: int | None, trace_id: str) -> str | None:
    found = _trace(trace_id)
    return orjson.dumps(otlp_json(found), option=orjson.OPT_INDENT_2).decode() if found else None


PAGE = Page("/traces/<trace_id>", "Trace", layout, register)
