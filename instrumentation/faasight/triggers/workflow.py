"""What one function's run leads to: a Step Functions task, and Lambda's destinations."""

from __future__ import annotations

from faasight.context import extract
from faasight.spans import CONSUMER, SERVER
from faasight.triggers.reading import mapping, number, tail, text, when
from faasight.triggers.trigger import Trigger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from faasight.triggers.reading import Event


def task(event: Event) -> Trigger | None:
    """Recognise a Step Functions task whose state passes the context object in: `"Execution.$": "$$.Execution"`.

    All tasks of an execution are one trace, without anything injected: its id is made of the execution's ARN.
    """
    execution, state = mapping(event["Execution"]), mapping(event.get("State"))
    arn = text(execution.get("Id"))
    if not arn.startswith("arn:") or ":states:" not in arn:
        return None
    machine = text(mapping(event.get("StateMachine")).get("Name")) or arn.rpartition(":")[0].rpartition(":")[2]
    step = text(state.get("Name"))
    trigger = Trigger(f"task {step}".strip(), SERVER, "other", "workflow", machine)
    trigger.attributes["faasight.execution_id"] = arn
    if step:
        trigger.attributes["aws.step_functions.state.name"] = step
        trigger.attempt = number(state.get("RetryCount")) + 1
    if trigger.attempt < 2:  # the state is entered once: a retry's wait would hold the attempts before
        trigger.sent(when(state.get("EnteredTime")))
    trigger.parent(extract(event) or extract(mapping(execution.get("Input"))))
    trigger.trace_id = _trace_id(arn)
    return trigger.known_by(arn)


def _trace_id(arn: str) -> str:
    from hashlib import sha256  # only a function in a workflow pays for it, and boto3 has loaded it there

    return sha256(arn.encode("utf-8", "replace")).hexdigest()[:32]


def destination(event: Event, context: Event) -> Trigger | None:
    """Recognise the record that Lambda sends to a destination; `context` is its requestContext."""
    if "condition" not in context or "requestPayload" not in event:
        return None
    name = _function(text(context.get("functionArn")))
    trigger = Trigger(f"destination of {name}", CONSUMER, "other", "function", name)
    trigger.attributes["faasight.source.event"] = text(context.get("condition"))
    trigger.sent(when(event.get("timestamp")))
    trigger.attributes["faasight.source.attempts"] = number(context.get("approximateInvokeCount"))
    return trigger.known_by(text(context.get("requestId")))


def _function(arn: str) -> str:
    """Return the name in `arn:aws:lambda:region:account:function:name:qualifier`."""
    parts = arn.split(":")
    return parts[6] if len(parts) > 6 else tail(arn)
