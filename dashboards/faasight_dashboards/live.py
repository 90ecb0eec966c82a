"""Callbacks that keep a part of a page fresh: `render(view, *states)` runs whenever the scope or the tick changes."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State
from dash.exceptions import PreventUpdate
from faasight_store import StoreError

from faasight_dashboards.components import failure
from faasight_dashboards.figures.base import message
from faasight_dashboards.scope import ScopeError, view

log = logging.getLogger(__name__)

Id = str | dict[str, str]


def live(app: Dash, outputs: Output | list[Output], render: Callable[..., Any], *states: State | Input) -> None:
    """Fill `outputs` with `render(view, *states)`, at first and on each change of scope or tick.

    What goes wrong shows inside the panel, and is logged; the rest of the page lives on.
    """
    many = outputs if isinstance(outputs, list) else [outputs]

    def update(scope: dict[str, Any] | None, _tick: int, *values: object) -> object:
        if not scope:  # the browser has not read its URL yet
            raise PreventUpdate
        try:
            return render(view(scope, datetime.now(UTC)), *values)
        except PreventUpdate:
            raise
        except Exception as error:  # noqa: BLE001  # a panel's border: any fault is shown in it
            answers = [_fault(output, explain(error)) for output in many]
            return answers if isinstance(outputs, list) else answers[0]

    app.callback(outputs, Input("scope", "data"), Input("tick", "n_intervals"), *states)(update)


def clientside(
    app: Dash, namespace: str, function: str, *dependencies: Output | Input | State, first: bool = True
) -> None:
    """Connect `dash_clientside.<namespace>.<function>` (assets/clientside/); `first`: whether it runs on load."""
    connect: Any = app.clientside_callback  # Dash leaves it untyped
    connect(ClientsideFunction(namespace, function), *dependencies, prevent_initial_call=not first)


def explain(error: Exception) -> str:
    """Return what to tell the viewer; what is no known fault goes to the log whole."""
    if isinstance(error, (StoreError, ScopeError)):
        return str(error) or type(error).__name__
    log.exception("a panel failed", exc_info=error)
    return f"{type(error).__name__}: {error}"


def _fault(output: Output, text: str) -> object:
    if output.component_property == "figure":
        return message(text)
    if output.component_property == "children":
        return failure(text)
    raise PreventUpdate
