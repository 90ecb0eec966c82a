"""Functions: every function with its figures, sortable, filterable, as CSV."""

from typing import Any

import dash_ag_grid as dag
from dash import Dash, Input, Output, html
from dash.development.base_component import Component
from faasight_store.queries import functions

from faasight_dashboards.components import icon
from faasight_dashboards.data import ask
from faasight_dashboards.live import live
from faasight_dashboards.router import Page
from faasight_dashboards.scope import View
from faasight_dashboards.views import grid


def layout(**_: str) -> Component:
    """Return the page."""
    table = dag.AgGrid(
        id="functions-grid",
        columnDefs=grid.COLUMNS,
        defaultColDef={"sortable": True, "resizable": True},
        getRowId="params.data.function",
        dashGridOptions=grid.OPTIONS,
        csvExportParams={"fileName": "functions.csv"},
        style={"height": "calc(100vh - 140px)"},
    )
    head = [
        html.H1("Functions"),
        html.Span(id="functions-count", className="muted"),
        html.Span(className="grow"),
        html.Button([icon("download"), "CSV"], className="pill", id="functions-csv"),
    ]
    return html.Div([html.Div(head, className="row"), html.Section(table, className="card clip")], className="grid")


def register(app: Dash) -> None:
    """Connect the grid."""
    live(app, [Output("functions-grid", "rowData"), Output("functions-count", "children")], _rows)
    app.callback(
        Output("functions-grid", "exportDataAsCsv"), Input("functions-csv", "n_clicks"), prevent_initial_call=True
    )(_csv)


def _rows(view: View) -> tuple[list[dict[str, Any]], str]:
    seen = ask(functions.functions, view.scope)
    return grid.rows(seen, view.scope), f"{len(seen)} in {view.scope.environment or 'all environments'}"


def _csv(_clicks: int) -> bool:
    return True


PAGE = Page("/functions", "Functions", layout, register)
