"""Builds the Dash app: its pages stand here in one list."""

from pathlib import Path

from dash import Dash
from faasight_store import Store
from flask import Flask

from faasight_dashboards import router, search, security, shell, static
from faasight_dashboards.ahead import ReadAhead
from faasight_dashboards.data import Context, expect_questions, install
from faasight_dashboards.meters import Meters
from faasight_dashboards.pages import alerts, function, functions, logs, overview, trace, traces
from faasight_dashboards.pages import map as invocation_map
from faasight_dashboards.router import Page
from faasight_dashboards.settings import Settings

_YEAR_S = 31_536_000  # assets carry their modification time in their address

PAGES: tuple[Page, ...] = (
    overview.PAGE,
    functions.PAGE,
    function.PAGE,
    invocation_map.PAGE,
    traces.PAGE,
    trace.PAGE,
    logs.PAGE,
    alerts.PAGE,
)

_INDEX = """<!DOCTYPE html>
<html lang="en">
<head>
{%metas%}
<title>{%title%}</title>
<link rel="icon" href="/assets/favicon.svg" type="image/svg+xml">
<script src="/assets/head/scheme.js"></script>
{%css%}
</head>
<body>
{%app_entry%}
<footer>{%config%}{%scripts%}{%renderer%}</footer>
</body>
</html>"""


def create_app(store: Store, settings: Settings, meters: Meters | None = None, ahead: ReadAhead | None = None) -> Dash:
    """Return the app over `store`; it holds no state of its own but a short cache, and what `meters` count.

    `ahead` is told when somebody looks.
    """
    server = Flask("faasight_dashboards")
    server.config["SEND_FILE_MAX_AGE_DEFAULT"] = _YEAR_S
    context = Context(store, settings, meters=meters or Meters(), ahead=ahead)
    install(server, context)
    context.meters.install(server)
    app = Dash(
        "faasight_dashboards",
        server=server,  # type: ignore[arg-type]  # Dash says bool or factory, and takes a Flask
        assets_folder=str(Path(__file__).parent / "assets"),
        assets_path_ignore=["head", "fonts"],
        index_string=_INDEX,
        title="FaaSight",
        update_title=None,  # type: ignore[arg-type]  # None switches it off, says its documentation
        suppress_callback_exceptions=True,
        add_log_handler=False,
    )
    app.layout = shell.shell(settings)
    shell.register(app)
    router.register(app, PAGES)
    search.register(app.server)
    static.serve(server)
    security.protect(app, settings)
    expect_questions(server)
    return app
