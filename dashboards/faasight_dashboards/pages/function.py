"""Function: one function in depth."""
from typing import Any
from dash import html
from dash.development.base_component import Component
from faasight_dashboards.components import card, empty
from faasight_dashboards.router import Page

def layout(**_: Any) -> Component:
    return html.Div([html.H1(_["name"]), card("Soon", empty("Soon"))], className="grid")

PAGE = Page("/functions/<name>", "Function", layout)
