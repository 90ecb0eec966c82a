"""The frame around every page: navigation, and a header with search, environment, time range and refresh."""

import dash_mantine_components as dmc
from dash import ALL, Dash, Input, Output, dcc, html
from dash.development.base_component import Component
from faasight_store import StoreError
from faasight_store.queries import invocations

from faasight_dashboards.components import aria, data, icon, link
from faasight_dashboards.data import ask
from faasight_dashboards.live import clientside
from faasight_dashboards.scope import PRESETS
from faasight_dashboards.settings import Settings
from faasight_dashboards.theme import MANTINE

ALL_ENVIRONMENTS = "*"  # a select has no empty value
REFRESH = {0: "Off", 5: "5s", 10: "10s", 30: "30s", 60: "1m", 300: "5m"}

NAVIGATION = (
    (
        "Observe",
        (
            ("Overview", "/", "layout-dashboard"),
            ("Functions", "/functions", "square-function"),
            ("Map", "/map", "workflow"),
        ),
    ),
    ("Explore", (("Traces", "/traces", "list-tree"), ("Logs", "/logs", "scroll-text"))),
    ("Respond", (("Alerts", "/alerts", "bell"),)),
)


def shell(settings: Settings) -> Component:
    """Return the frame."""
    frame: Component = dmc.MantineProvider(
        [
            dcc.Location(id="url", refresh="callback-nav"),
            dcc.Store(id="scope"),  # {"from", "to", "env", "zone"}, as the URL has it
            dcc.Store(id="page-title"),
            dcc.Store(id="defaults", data={"range": settings.default_range, "refresh": settings.default_refresh_s}),
            dcc.Interval(id="tick", interval=30_000, disabled=True),
            dmc.AppShell(
                [_header(), _navigation(), dmc.AppShellMain(html.Div(id="page"))],
                header={"height": 50},
                navbar={"width": 216, "breakpoint": "sm", "collapsed": {"mobile": True}},
                padding="md",
                transitionDuration=0,
            ),
        ],
        defaultColorScheme="auto",
        theme=MANTINE,
    )
    return frame


def register(app: Dash) -> None:
    """Connect the header."""
    charts = Input({"type": "chart", "name": ALL}, "relayoutData")
    dates = (Input("range-apply", "n_clicks"), Input("range-from", "value"), Input("range-to", "value"))
    clientside(app, "scope", "read", Output("scope", "data"), Input("url", "href"), Input("defaults", "data"))
    clientside(app, "scope", "show", Output("range-label", "children"), Output("env", "value"), Input("scope", "data"))
    clientside(app, "scope", "environment", Output("env", "id"), Input("env", "value"), first=False)
    clientside(app, "scope", "absolute", Output("range-apply", "id"), *dates, first=False)
    clientside(app, "scope", "zoom", Output("range-label", "id"), charts, first=False)
    clientside(app, "shell", "start", Output("defaults", "id"), Input("defaults", "data"))
    app.callback(Output("env", "data"), Input("url", "pathname"))(_environments)


def _environments(_pathname: str) -> list[dict[str, str]]:
    try:
        names = [name for name in ask(invocations.environments) if name]
    except StoreError:  # the page's panels say it
        names = []
    return [{"value": ALL_ENVIRONMENTS, "label": "All"}, *({"value": name, "label": name} for name in names)]


def _header() -> Component:
    header: Component = dmc.AppShellHeader(
        [
            link([html.Span(icon("zap"), className="mark"), "FaaSight"], "/", className="brand"),
            _search(),
            html.Div(className="grow"),
            dmc.Select(
                id="env",
                data=[{"value": ALL_ENVIRONMENTS, "label": "All"}],
                value=ALL_ENVIRONMENTS,
                size="xs",
                w=124,
                allowDeselect=False,
                leftSection=icon("layers"),
                **aria(label="Environment"),
            ),
            html.Div(
                [
                    _button("chevron-left", "Shift back (t, left)", shift="-1"),
                    _time_picker(),
                    _button("chevron-right", "Shift forward (t, right)", shift="1"),
                    _button("zoom-out", "Zoom out", zoom="out"),
                ],
                className="pills",
            ),
            html.Div([_button("refresh-cw", "Refresh now", refresh="now"), _refresh_picker()], className="pills"),
            _button("link", "Copy a link to this view", share="1"),
            dmc.ColorSchemeToggle(
                lightIcon=icon("sun"),
                darkIcon=icon("moon"),
                variant="default",
                size=32,
                radius="md",
                id="scheme",
                **aria(label="Light or dark"),
            ),
        ],
        className="hdr",
    )
    return header


def _button(symbol: str, title: str, **attributes: str) -> Component:
    return html.Button(icon(symbol), className="pill", title=title, **aria(label=title), **data(**attributes))


def _search() -> Component:
    return html.Button(
        [
            icon("search"),
            html.Span("Search functions, traces, logs…", className="hint"),
            html.Span(className="grow"),
            html.Span("Ctrl K", className="kbd"),
        ],
        className="pill search",
        **data(palette="open"),
    )


def _time_picker() -> Component:
    button = html.Button(
        [icon("clock"), html.Span("…", id="range-label"), icon("chevron-down", 12)], className="pill", id="range-button"
    )
    absolute = html.Div(
        [
            html.B("Absolute range"),
            dmc.DateTimePicker(id="range-from", label="From", size="xs", w=210, withSeconds=True),
            dmc.DateTimePicker(id="range-to", label="To", size="xs", w=210, withSeconds=True),
            dmc.Button("Apply", size="xs", id="range-apply"),
            html.Span("Or drag on any chart to zoom in; double-click to zoom out."),
        ],
        className="absolute",
    )
    presets = html.Div([_choice(label, "range", value) for value, label in PRESETS.items()], className="choices")
    return _popover("range-popover", button, html.Div([absolute, presets], className="ranges"))


def _refresh_picker() -> Component:
    button = html.Button(
        [html.Span("Off", id="refresh-label"), icon("chevron-down", 12)], className="pill", title="Refresh by itself"
    )
    choices = html.Div(
        [_choice(label, "refresh", str(seconds)) for seconds, label in REFRESH.items()], className="choices"
    )
    return _popover("refresh-popover", button, choices)


def _choice(label: str, attribute: str, value: str) -> Component:
    return html.Button(label, className="choice", **data(**{attribute: value}))


def _popover(name: str, target: Component, content: Component) -> Component:
    popover: Component = dmc.Popover(
        [dmc.PopoverTarget(target), dmc.PopoverDropdown(content)],
        id=name,
        position="bottom-end",
        shadow="md",
        width="auto",
        radius="md",
    )
    return popover


def _navigation() -> Component:
    items: list[Component] = []
    for group, links in NAVIGATION:
        items.append(html.Div(group, className="navgrp"))
        items += [
            link([icon(symbol, 16), html.Span(label)], href, className="navlink") for label, href, symbol in links
        ]
    sidebar: Component = dmc.AppShellNavbar(items, className="nav")
    return sidebar
