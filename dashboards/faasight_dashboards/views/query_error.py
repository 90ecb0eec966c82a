"""What is wrong with a log query, and where."""

import re

from dash import html
from dash.development.base_component import Component
from faasight_store import QueryError

from faasight_dashboards.components import icon

_PLACE = re.compile(r"at character (\d+)")  # as the error names it, from 1


def query_error(error: QueryError, query: str) -> Component:
    """Return the fault below its query, with its place marked if the error tells one."""
    named = _PLACE.search(str(error))
    told = html.Span([icon("circle-alert"), " ", str(error)])
    marked = _marked(query, int(named[1]) - 1) if named else None
    return html.Div([told, marked], className="query-error", role="alert")


def _marked(query: str, place: int) -> Component:
    place = max(0, min(place, len(query)))
    end = place
    while end < len(query) and not query[end].isspace():
        end += 1
    return html.Pre([query[:place], html.Mark(query[place:end] or " "), query[end:]])
