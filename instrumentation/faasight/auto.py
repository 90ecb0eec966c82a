"""Google Cloud and Azure without touching the functions: `import faasight.auto`, as the first line of their module.

What their hosts take out of the module is wrapped then, and what is imported below that line is timed. On AWS Lambda
the exec wrapper does this, without any line; at Google it may run before the host itself (zero/sitecustomize.py).
"""

from __future__ import annotations

from time import perf_counter_ns

_since = perf_counter_ns()

import os  # noqa: E402 - what is imported from here on is our own cost
import sys  # noqa: E402 - as above

import faasight  # noqa: E402 - as above
from faasight import agent as agents  # noqa: E402 - as above
from faasight.complain import complaints  # noqa: E402 - as above

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from faasight.agent import Agent
    from faasight.imports import Hook

# A host's package, which module of it looks functions up, and what knows that host.
HOSTS = (
    ("functions_framework", "functions_framework._function_registry", "google"),
    ("azure.functions", "azure.functions.decorators.function_app", "azure"),  # azure.APPLICATION
)


def start() -> None:
    """Wait for either host, which is there already where it runs us; the function's own imports begin now."""
    try:
        agent = agents.get()
        if agent.settings.disabled:
            return
        if agent.host is None and "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
            complaints.say("faasight.auto is for Google Cloud and Azure; on AWS Lambda use the exec wrapper")
            return
        for package, module, host in HOSTS:
            if package in sys.modules and module not in sys.modules:
                complaints.say(f"{package} has no {module} any more: decorate its functions with @faasight.observe")
            agent.watcher.after(module, _installer(agent, host, module not in sys.modules))
        agent.coldstart.spend(_since - faasight._spent)
        faasight._spent = 0
    except Exception as error:  # noqa: BLE001 - the functions run unobserved
        complaints.failure("faasight.auto", error)


def _installer(agent: Agent, name: str, late: bool) -> Hook:
    """`late`: the host is imported after us, and the cost of what is done then is not within that of our own import."""

    def install(module: ModuleType) -> None:
        since = perf_counter_ns()
        from importlib import import_module

        known = import_module(f"faasight.{name}")
        if agent.host is None:
            agent.host = known
        known.install(module, agent)
        if late:
            agent.coldstart.spend(since)
        agent.coldstart.handler_begins()

    return install


start()
