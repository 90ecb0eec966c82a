"""Zero-code start on AWS Lambda: the runtime loads `faasight.aws.handler`, and gets the user's handler, wrapped."""

from __future__ import annotations

import os
import sys

from faasight import agent as agents
from faasight.complain import complaints
from faasight.invoke import observe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from faasight.agent import Agent

REDIRECT = "faasight.aws.handler"


def load(agent: Agent) -> Callable[..., Any]:
    """Import the user's handler and wrap it. A failing import is reported and raised as it is."""
    name = agent.settings.handler
    if not name or name == REDIRECT:
        raise RuntimeError(
            "faasight.aws is loaded, but FAASIGHT_HANDLER does not name the function's handler (module.function)"
        )
    os.environ["_HANDLER"] = name  # the function's code sees what it would see without us
    _prepare(agent)
    agent.coldstart.handler_begins()
    try:
        handler = _import(name)
    except BaseException as error:
        agent.coldstart.handler_loaded()
        _report_init_error(agent, error)
        raise
    agent.coldstart.handler_loaded()
    agent.function_loaded()
    return observe(handler)


def _prepare(agent: Agent) -> None:
    if agent.settings.logs == "json" and not agent.settings.disabled:
        try:
            from faasight.logs import use_json

            use_json(agent)
        except Exception as error:  # noqa: BLE001 - logs stay as they are
            complaints.failure("logs", error)


def _import(name: str) -> Callable[..., Any]:
    """Load as the runtime itself does, so that a failure reads exactly as it would without us."""
    for runtime in ("awslambdaric.bootstrap", "bootstrap"):
        load_handler = getattr(sys.modules.get(runtime), "_get_handler", None)
        if load_handler is not None:
            loaded: Callable[..., Any] = load_handler(name)
            return loaded
    from importlib import import_module

    module, _, function = name.rpartition(".")
    found: Callable[..., Any] = getattr(import_module(module.replace("/", ".")), function)
    return found


def _report_init_error(agent: Agent, error: BaseException) -> None:
    """Send the failed INIT as a trace of its own: no invocation will ever tell."""
    if agent.settings.disabled:
        return
    from faasight.spans import new_trace_id

    try:
        spans = agent.coldstart.spans(new_trace_id(), "")
        # The runtime wraps an import error into a fault of its own; what the user wants to see is the cause.
        cause = error.__context__ if type(error).__name__ == "FaultException" and error.__context__ else error
        spans[0].fail_with(cause).set("faasight.outcome", "init_error")
        for span in spans:
            agent.delivery.add(span)
        agent.delivery.flush(agent.settings.flush_timeout)
    except Exception as failed:  # noqa: BLE001 - the function's own error is what must come out
        complaints.failure("reporting an init error", failed)


def _start() -> Callable[..., Any]:
    try:
        agent = agents.get()
    except Exception as error:  # noqa: BLE001 - without an agent the function runs unobserved
        complaints.failure("start", error)
        return _import(os.environ["FAASIGHT_HANDLER"])
    return load(agent)


handler = (
    _start()
)  # at import, as any handler module does its init: an AttributeError out of a module's __getattr__ would be misread
