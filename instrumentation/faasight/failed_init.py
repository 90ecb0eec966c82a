"""An init that failed, or is about to be killed, told as a trace of its own: no invocation will ever tell of it."""

from __future__ import annotations

from faasight.complain import complaints
from faasight.spans import new_trace_id, now_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from faasight.agent import Agent


def report(agent: Agent, error: BaseException) -> None:
    """Send INIT with its imports, failed by `error`, at once; never raises but under `strict`."""
    if agent.settings.disabled:
        return
    try:
        spans = agent.coldstart.spans(new_trace_id(), "")
        # AWS's runtime wraps an import error into a fault of its own; what the user wants to see is the cause.
        cause = error.__context__ if type(error).__name__ == "FaultException" and error.__context__ else error
        spans[0].fail_with(cause).set("faasight.outcome", "init_error")
        for span in spans:
            agent.delivery.add(span)
        agent.delivery.flush(agent.settings.flush_timeout)
    except Exception as failed:  # noqa: BLE001 - the function's own error is what must come out
        complaints.failure("reporting an init error", failed)


def report_late(agent: Agent) -> None:
    """Send what an init did so far, which nears its time limit; it may make it, and is told again then."""
    try:
        agent.coldstart.ended = now_ns()
        spans = agent.coldstart.spans(new_trace_id(), "")
        spans[0].attributes["faasight.unfinished"] = True
        for span in spans:
            agent.delivery.add(span)
        agent.delivery.flush(agent.settings.flush_timeout)
    except Exception as failed:  # noqa: BLE001 - the function's import goes on
        complaints.failure("reporting a slow init", failed)
