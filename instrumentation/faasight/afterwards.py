"""On AWS Lambda an invocation's telemetry is sent when its answer is out, before the runtime asks for the next event.

Lambda freezes a sandbox when its runtime asks for the next event, and not when it answers ("Lambda execution
environment" in the developer guide): in between nobody waits for us, not even for a collector that is out of reach.
The time is billed all the same.
"""

from __future__ import annotations

import sys
from functools import wraps
from time import perf_counter_ns

from faasight.complain import complaints
from faasight.invocation import new_ids, send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from faasight.agent import Agent


def install(agent: Agent) -> None:
    """Send before the runtime client's `wait_next_invocation`. Where there is no such client, answers wait for us."""
    module = sys.modules.get("awslambdaric.lambda_runtime_client")
    client: Any = getattr(module, "LambdaRuntimeClient", None)
    wait = getattr(client, "wait_next_invocation", None)
    if wait is None or not agent.settings.after_answer:
        return

    @wraps(wait)
    def wait_next_invocation(*given: object, **named: object) -> object:
        send_due(agent)
        return wait(*given, **named)

    try:
        client.wait_next_invocation = wait_next_invocation
    except (AttributeError, TypeError):  # a class that cannot be changed
        return
    import atexit

    atexit.register(_leave, agent)


def send_due(agent: Agent) -> None:
    """Send what waits for its answer to be out; from the first call on, invocations wait for such calls."""
    due = agent.due
    if due is None:
        agent.due = []
    elif due:
        _send_all(agent, due)


def _leave(agent: Agent) -> None:
    due, agent.due = agent.due, None
    if due:
        _send_all(agent, due)


def _send_all(agent: Agent, due: list[Any]) -> None:
    since = perf_counter_ns()
    try:
        while due:
            send(agent, due.pop(0))
        if not agent.ids:
            agent.ids.append(new_ids())
        agent.spent += perf_counter_ns() - since
    except Exception as error:  # noqa: BLE001 - the runtime must ask for its next event, whatever happens here
        complaints.failure("sending after the answer", error)
