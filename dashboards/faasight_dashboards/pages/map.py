"""Invocation map: who calls whom, how often, and where it hurts."""

import dash_cytoscape as cyto
from dash import Dash, Input, Output, State, dcc, html
from dash.development.base_component import Component
from faasight_store.queries.map import invocation_map

from faasight_dashboards.components import aria, empty, icon
from faasight_dashboards.data import ask
from faasight_dashboards.figures.map import Drawing, drawing
from faasight_dashboards.live import clientside, live
from faasight_dashboards.router import Page
from faasight_dashboards.scope import View
from faasight_dashboards.views.map_panel import counts, hint, panel


def layout(node: str = "", **_: str) -> Component:
    """Return the page; `node` is the id of the node or edge to choose at first."""
    return html.Div(
        [
            html.Div(
                [
                    html.H1("Invocation map"),
                    html.Span(id="map-count", className="muted"),
                    html.Span(className="grow"),
                    html.Button(
                        [icon("circle-x"), "Only errors"],
                        className="pill",
                        id="map-errors",
                        title="Only what fails or degrades",
                    ),
                    html.Button([icon("maximize"), "Fit"], className="pill", id="map-fit", title="Show the whole map"),
                    html.Button(
                        [icon("download"), "PNG"], className="pill", id="map-png", title="Save the map as a picture"
                    ),
                ],
                className="row wrap",
            ),
            html.Div(
                [
                    html.Section(
                        _graph(), className="card map-card", **aria(label="Map of functions and what they call")
                    ),
                    html.Div(id="map-legend", className="map-legend", **aria(label="What the map shows")),
                    html.Div(html.Div(className="skeleton map-waits"), id="map-empty", className="map-empty"),
                    html.Aside(hint(), className="card map-panel", id="map-panel", **aria(live="polite")),
                ],
                className="map-stage",
            ),
            dcc.Store(id="map-drawing"),
            dcc.Store(id="map-theme"),
            dcc.Store(id="map-only-errors", data=False),
            dcc.Store(id="map-chosen", data=node or None),
        ],
        className="fill",
    )


def _graph() -> Component:
    made: Component = cyto.Cytoscape(
        id="map-graph",
        elements=[],
        stylesheet=[],
        layout={"name": "preset", "fit": False},
        autoRefreshLayout=False,  # what stays does not move when data comes
        style={"width": "100%", "height": "100%"},
        minZoom=0.1,
        maxZoom=2.5,
        boxSelectionEnabled=False,
        autoungrabify=True,
    )
    return made


def register(app: Dash) -> None:
    """Connect the page."""
    live(app, Output("map-drawing", "data"), _drawing)
    live(app, [Output("map-count", "children"), Output("map-empty", "children")], _count)
    live(app, Output("map-panel", "children"), _panel, Input("map-chosen", "data"))
    clientside(
        app,
        "map",
        "draw",
        Output("map-graph", "elements"),
        Output("map-graph", "stylesheet"),
        Input("map-drawing", "data"),
        Input("map-theme", "data"),
        Input("map-only-errors", "data"),
        State("map-chosen", "data"),
    )
    clientside(
        app,
        "map",
        "toggle",
        Output("map-only-errors", "data"),
        Output("map-errors", "className"),
        Input("map-errors", "n_clicks"),
        State("map-only-errors", "data"),
        first=False,
    )
    for name in ("fit", "png"):
        clientside(
            app,
            "map",
            name,
            Output(f"map-{name}", "id"),
            Input(f"map-{name}", "n_clicks"),
            first=False,
        )


def _drawing(view: View) -> Drawing:
    return drawing(ask(invocation_map, view.scope), view.scope.seconds)


def _count(view: View) -> tuple[str, Component | None]:
    found = ask(invocation_map, view.scope)
    hint = empty("No calls in this range", "Choose a longer range, or invoke a function.", "workflow")
    return counts(found), None if found.nodes else hint


def _panel(view: View, chosen: str | None) -> Component:
    return panel(ask(invocation_map, view.scope), chosen, view.scope.seconds)


PAGE = Page("/map", "Invocation map", layout, register)
