"""The parts that all pages are built of: card, chart, badge, icon, legend, empty state, error."""

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any
from urllib.parse import quote

from dash import dcc, html
from dash.development.base_component import Component

from faasight_dashboards import format as fmt

Item = Component | str | int | float | None
Content = Item | Sequence[Item]

_GRAPH_CONFIG: Any = {
    "displaylogo": False,
    "displayModeBar": False,
    "responsive": True,
    "scrollZoom": False,
    "doubleClick": False,
    "showTips": False,
}

STATUS_ICONS = {
    "ok": "circle-check",
    "warn": "triangle-alert",
    "error": "circle-x",
    "cold": "snowflake",
    "throttle": "ban",
}


def aria(**values: str) -> dict[str, Any]:
    """Return accessibility attributes: `**aria(label="Map")` gives `aria-label`."""
    return {f"aria-{name}": value for name, value in values.items()}


def data(**values: str) -> dict[str, Any]:
    """Return data attributes, which our scripts listen for: `**data(shift="1")` gives `data-shift`."""
    return {f"data-{name}": value for name, value in values.items()}


def icon(name: str, size: int | None = None) -> Component:
    """Return a Lucide icon (assets/icons.css; add names in dashboards/icons.txt)."""
    return html.Span(className=f"i i-{name}", style={"fontSize": size} if size else None, **aria(hidden="true"))


def badge(text: str, kind: str = "mute", *, mark: bool = False, title: str | None = None) -> Component:
    """Return a pill of a kind: ok, warn, error, cold, throttle, mute; `mark` puts the kind's icon before it."""
    mark_icon = icon(STATUS_ICONS[kind], 11) if mark and kind in STATUS_ICONS else None
    return html.Span([mark_icon, text], className=f"badge b-{kind}", title=title)


def dot(status: str) -> Component:
    """Return a status mark that differs in shape as well as in colour."""
    return html.I(className=f"dot {status}", title=status)


def link(content: Content, href: str, **attributes: Any) -> Component:  # noqa: ANN401  # attributes of HTML, of any type
    """Return a link inside the app; the browser adds the range and environment (assets/clientside/links.js)."""
    return html.A(content, href=href, **attributes)


def function_link(name: str, content: Content = None, **attributes: Any) -> Component:  # noqa: ANN401  # attributes of HTML, of any type
    """Return a link to a function's page, its name unless told."""
    return link(name if content is None else content, function_href(name), **attributes)


def function_href(name: str) -> str:
    """Return the path of a function's page."""
    return f"/functions/{quote(name, safe='')}"


def trace_href(trace_id: str) -> str:
    """Return the path of a trace's page."""
    return f"/traces/{trace_id}"


def logs_href(query: str) -> str:
    """Return the path of the log lines that match."""
    return f"/logs?q={quote(query)}"


def card(
    title: Content,
    body: Content,
    *,
    sub: Content = None,
    right: Content = None,
    className: str = "",  # noqa: N803  # Dash's own name
    **attributes: Any,  # noqa: ANN401  # attributes of HTML, of any type
) -> Component:
    """Return a titled panel; `right` stands at the end of its head."""
    under = html.Span(sub, className="sub") if sub is not None else None
    end = html.Div(right, className="end") if right is not None else None
    head = html.Div([html.H2(title), under, end], className="ch")
    return html.Section([head, html.Div(body, className="cb")], className=f"card {className}".strip(), **attributes)


def grid(children: Sequence[Component | None], columns: str) -> Component:
    """Return a row of panels; `columns` is a CSS grid template, one column on narrow screens."""
    return html.Div(list(children), className="grid cols", style={"--cols": columns})


def chart_id(name: str) -> dict[str, str]:
    """Return the id of a chart: the pattern lets one callback turn a drag on any of them into a new range."""
    return {"type": "chart", "name": name}


def chart(name: str, height: int, *, label: str = "") -> Component:
    """Return an empty chart over time; its callback writes the figure to `(chart_id(name), "figure")`."""
    return html.Div(
        dcc.Graph(id=chart_id(name), figure=BLANK, config=_GRAPH_CONFIG, style={"height": height}),
        role="img",
        className="chart",
        **aria(label=label or name),
    )


BLANK: dict[str, Any] = {
    "data": [],
    "layout": {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 48, "r": 12, "t": 8, "b": 26},
        "xaxis": {"visible": False},
        "yaxis": {"visible": False},
    },
}


def slot(name: str, height: int | None = None) -> Component:
    """Return the place that a callback fills with `children`; until then it keeps its height and shimmers."""
    style = {"minHeight": height} if height else None
    return html.Div(html.Div(className="skeleton", style={"height": height or 60}), id=name, style=style)


def legend(entries: Sequence[tuple[str, str]]) -> Component:
    """Return the key of a chart: names and colours."""
    return html.Span(
        [html.Span([html.I(style={"background": colour}), name], className="lg") for name, colour in entries],
        className="row",
    )


def empty(title: str, hint: Content = None, symbol: str = "inbox") -> Component:
    """Return an empty state: what is missing, and the next step."""
    return html.Div([icon(symbol, 26), html.B(title), html.Span(hint) if hint is not None else None], className="empty")


def failure(text: str) -> Component:
    """Return an error as it shows inside its panel."""
    return html.Div(
        [icon("triangle-alert", 16), html.Div([html.B("This panel could not load"), html.Span(text)])],
        className="failure",
        role="alert",
    )


def moment(when: datetime, now: datetime, zone: tzinfo = UTC) -> Component:
    """Return how long ago, with the time in the viewer's zone and in UTC on hover."""
    return html.Time(fmt.age(when, now), dateTime=when.isoformat(), title=f"{fmt.clock(when, zone)}\n{fmt.utc(when)}")


def table(heads: Sequence[str], rows: Sequence[Component], *, right: Sequence[int] = ()) -> Component:
    """Return a table; `right` are the indexes of columns aligned to the right."""
    cells = [html.Th(text, className="r" if i in right else None, scope="col") for i, text in enumerate(heads)]
    return html.Div(
        html.Table([html.Thead(html.Tr(cells)), html.Tbody(list(rows))], className="tbl"), className="tblwrap"
    )
