"""Zero-code start on AWS Lambda: the runtime loads `faasight.aws.handler`, and gets the user's handler, wrapped."""

from __future__ import annotations

import os
import sys
from time import perf_counter_ns

import faasight
from faasight import agent as agents
from faasight.complain import complaints
from faasight.imports import with_room
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
    agent.coldstart.spend(faasight._began)  # all since our first line
    faasight._spent = 0
    agent.coldstart.handler_begins()
    agent.watcher.late = lambda: _late(agent)
    try:
        handler = _import(name)
    except BaseException as error:
        agent.coldstart.handler_loaded()
        from faasight import failed_init

        failed_init.report(agent, error)
        raise
    agent.coldstart.handler_loaded()
    since = perf_counter_ns()
    agent.function_loaded()
    agent.coldstart.spend(since)
    return observe(handler)


def _late(agent: Agent) -> None:
    from faasight import failed_init

    failed_init.report_late(agent)


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


def _start() -> Callable[..., Any]:
    try:
        agent = agents.get()
    except Exception as error:  # noqa: BLE001 - without an agent the function runs unobserved
        complaints.failure("start", error)
        return _import(os.environ["FAASIGHT_HANDLER"])
    return load(agent)


with_room(_import)
handler = (
    _start()
)  # at import, as any handler module does its init: an AttributeError out of a module's __getattr__ would be misread
