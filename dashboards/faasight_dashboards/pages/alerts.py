"""Alerts: what fires now, and what changed."""

from datetime import UTC, datetime
from typing import Any

import dash_ag_grid as dag
from dash import Dash, Output, html
from dash.development.base_component import Component
from faasight_store.queries import alerts

from faasight_dashboards.components import aria, card, empty, slot
from faasight_dashboards.data import ask
from faasight_dashboards.live import live
from faasight_dashboards.router import Page
from faasight_dashboards.scope import View
from faasight_dashboards.views.alerts import COLUMNS, active, counts, history_rows
from faasight_dashboards.views.grid import OPTIONS

SHOWN = 200


def layout(**_: str) -> Component:
    """Return the page."""
    return html.Div(
        [
            html.Div([html.H1("Alerts"), html.Span(id="alerts-count", className="muted")], className="row"),
            html.Section(
                slot("alerts-active", 120),
                className="alerts-active",
                **aria(live="polite", label="Active alerts"),
            ),
            card(
                "History",
                html.Div([_grid(), html.Div(id="alerts-empty", className="alerts-empty")], className="alerts-history"),
                sub=html.Span("changes of state in this range"),
            ),
        ],
        className="grid",
    )


def _grid() -> Component:
    made: Component = dag.AgGrid(
        id="alerts-grid",
        columnDefs=COLUMNS,
        rowData=[],
        defaultColDef={"sortable": True, "resizable": True},
        dashGridOptions={**OPTIONS, "suppressCellFocus": True, "localeText": {"noRowsToShow": " "}},
        getRowId="params.data.id",
        style={"height": "100%"},
    )
    return made


def register(app: Dash) -> None:
    """Connect the page."""
    live(app, [Output("alerts-active", "children"), Output("alerts-count", "children")], _active)
    live(app, Output("alerts-grid", "rowData"), _history)
    live(app, Output("alerts-empty", "children"), _hint)


def _active(view: View) -> tuple[Component, str]:
    found = ask(alerts.active)
    return active(found, datetime.now(UTC), view.zone), counts(found)


def _history(view: View) -> list[dict[str, Any]]:
    return history_rows(ask(alerts.history, view.scope, SHOWN), view.zone)


def _hint(view: View) -> Component | None:
    if ask(alerts.history, view.scope, SHOWN):
        return None
    return empty(
        "No alert changed in this range",
        "Choose a longer range. To be told of trouble, give faasight a Slack webhook: see docs/alerts.md.",
        "bell",
    )


PAGE = Page("/alerts", "Alerts", layout, register)
