"""Traces: find the one to look at."""

from typing import Any

import dash_ag_grid as dag
import dash_mantine_components as dmc
from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component
from faasight_store.queries import functions, traces

from faasight_dashboards.components import aria, empty, icon
from faasight_dashboards.data import ask
from faasight_dashboards.live import clientside, live
from faasight_dashboards.router import Page
from faasight_dashboards.scope import View
from faasight_dashboards.views.grid import OPTIONS
from faasight_dashboards.views.trace_rows import COLUMNS, trace_rows

SHOWN = 200
ANY = "*"  # a select has no empty value

Row = dict[str, Any]


def layout(function: str = "", errors: str = "", cold: str = "", min_ms: str = "", **_: str) -> Component:
    """Return the page; the parameters are the filters to begin with."""
    chosen = [name for name, on in (("errors", errors), ("cold", cold)) if on]
    return html.Div(
        [
            html.Div(
                [
                    html.H1("Traces"),
                    html.Span(id="traces-count", className="muted"),
                    html.Span(className="grow"),
                    _id_box(),
                ],
                className="row wrap",
            ),
            html.Div(_filters(function, chosen, min_ms), className="row wrap"),
            html.Section(
                [_grid(), html.Div(id="traces-empty", className="traces-empty")], className="card traces-card"
            ),
            dcc.Store(id="traces-kept"),
        ],
        className="fill",
    )


def _id_box() -> Component:
    made: Component = dmc.TextInput(
        id="traces-id",
        placeholder="Open a trace by its id",
        className="slash trace-id-box",
        leftSection=icon("search"),
        rightSection=html.Span("/", className="kbd"),
        **aria(label="Trace id"),
    )
    return made


def _filters(function: str, chosen: list[str], min_ms: str) -> list[Component]:
    return [
        dmc.Select(
            id="traces-function",
            data=[
                {"value": ANY, "label": "All functions"},
                *([{"value": function, "label": function}] if function else []),
            ],
            value=function or ANY,
            searchable=True,
            allowDeselect=False,
            size="xs",
            w=220,
            leftSection=icon("square-function"),
            **aria(label="Function"),
        ),
        dmc.ChipGroup(
            [
                dmc.Chip("With errors", value="errors", size="xs"),
                dmc.Chip("Cold starts", value="cold", size="xs"),
            ],
            id="traces-with",
            multiple=True,
            value=chosen,
        ),
        dmc.NumberInput(
            id="traces-min-ms",
            value=_number(min_ms),
            min=0,
            step=100,
            size="xs",
            w=170,
            debounce=300,
            placeholder="any duration",
            leftSection=icon("timer"),
            suffix=" ms or more",
            **aria(label="Shortest duration in milliseconds"),
        ),
    ]


def _grid() -> Component:
    made: Component = dag.AgGrid(
        id="traces-grid",
        columnDefs=COLUMNS,
        rowData=[],
        defaultColDef={"sortable": True, "resizable": True},
        dashGridOptions={**OPTIONS, "suppressCellFocus": True, "localeText": {"noRowsToShow": " "}},
        getRowId="params.data.trace_id",
        columnSize="responsiveSizeToFit",
        style={"height": "100%"},
    )
    return made


def register(app: Dash) -> None:
    """Connect the page."""
    filters = (Input("traces-function", "value"), Input("traces-with", "value"), Input("traces-min-ms", "value"))
    live(app, Output("traces-grid", "rowData"), _rows, *filters)
    live(app, [Output("traces-count", "children"), Output("traces-empty", "children")], _count, *filters)
    live(app, Output("traces-function", "data"), _functions, Input("traces-function", "value"))
    clientside(app, "traces", "keep", Output("traces-kept", "data"), *filters, first=False)


def _find(look: View, function: str | None, chosen: list[str] | None, min_ms: float | str | None) -> list[Row]:
    name = "" if function in (None, ANY) else str(function)
    found = ask(
        traces.find,
        look.scope,
        function=name,
        failed="errors" in (chosen or ()),
        cold="cold" in (chosen or ()),
        min_ms=_number(min_ms) or 0,
        limit=SHOWN,
    )
    return trace_rows(found, look.zone)


def _rows(look: View, function: str | None, chosen: list[str] | None, min_ms: float | str | None) -> list[Row]:
    return _find(look, function, chosen, min_ms)


def _count(
    look: View, function: str | None, chosen: list[str] | None, min_ms: float | str | None
) -> tuple[str, Component | None]:
    count = len(_find(look, function, chosen, min_ms))
    hint = empty("No trace matches", "Choose a longer range, or fewer filters.", "list-tree")
    return (f"newest {SHOWN}" if count == SHOWN else f"{count} found"), None if count else hint


def _functions(look: View, chosen: str | None) -> list[dict[str, str]]:
    names = {row.function for row in ask(functions.functions, look.scope)} | (
        {chosen} if chosen and chosen != ANY else set()
    )
    return [{"value": ANY, "label": "All functions"}, *({"value": name, "label": name} for name in sorted(names))]


def _number(text: float | str | None) -> float | None:
    try:
        return max(0.0, float(text)) if text not in (None, "") else None
    except ValueError:
        return None


PAGE = Page("/traces", "Traces", layout, register)
