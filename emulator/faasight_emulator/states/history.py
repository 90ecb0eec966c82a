"""The history of an execution, as GetExecutionHistory tells it: what it entered, called and left, in order.

Source: Step Functions API reference, HistoryEvent. Of express executions AWS keeps none, and so it is here.
"""

import json
import time
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from faasight_emulator.invocation import Json
from faasight_emulator.states.activities import MARK as ACTIVITY
from faasight_emulator.states.errors import HEARTBEAT, TIMEOUT, StatesError

MAX_EVENTS = 25_000  # as on AWS
_PAYLOADS = ("input", "output", "parameters")
# Each branch runs as a task of its own, which goes on from what was before it.
_previous: ContextVar[int] = ContextVar("previous event", default=0)


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `details` are told under `key`, payloads as JSON text."""

    id: int
    previous: int
    time: float
    kind: str
    key: str
    details: Mapping[str, Json]

    def told(self, *, data: bool) -> dict[str, Json]:
        """Return it as the API does, with payloads if they are asked for."""
        event: dict[str, Json] = {
            "timestamp": self.time,
            "type": self.kind,
            "id": self.id,
            "previousEventId": self.previous,
        }
        if self.key:
            shown = {name: one for name, one in self.details.items() if data or name not in _PAYLOADS}
            event[self.key] = {name: json.dumps(one) if name in _PAYLOADS else one for name, one in shown.items()}
        return event


@dataclass(slots=True)
class History:
    """The events of one execution; `kept` is false of those that have none."""

    kept: bool = True
    events: list[Event] = field(default_factory=list)

    def add(self, kind: str, key: str = "", **details: Json) -> None:
        """Note what happens now, after what happened before in the same branch."""
        if not self.kept or len(self.events) >= MAX_EVENTS:
            return
        event = Event(len(self.events) + 1, _previous.get(), time.time(), kind, key, details)
        self.events.append(event)
        _previous.set(event.id)

    def began(self, value: Json, role: str) -> None:
        """Note the start of the execution."""
        _previous.set(0)  # whoever started it may be an execution too
        self.add("ExecutionStarted", "executionStartedEventDetails", input=value, roleArn=role)

    def entered(self, state: Mapping[str, Any], name: str, value: Json) -> None:
        """Note that a state begins."""
        self.add(f"{state['Type']}StateEntered", "stateEnteredEventDetails", name=name, input=value)

    def exited(self, state: Mapping[str, Any], name: str, value: Json) -> None:
        """Note that a state has ended, with what goes on."""
        if state["Type"] != "Fail":
            self.add(f"{state['Type']}StateExited", "stateExitedEventDetails", name=name, output=value)

    def scheduled(self, resource: str, argument: Json, region: str = "") -> None:
        """Note that a task is called."""
        if _is_function(resource):
            details = "lambdaFunctionScheduledEventDetails"
            self.add("LambdaFunctionScheduled", details, resource=resource, input=argument)
            self.add("LambdaFunctionStarted")
            return
        if ACTIVITY in resource:
            self.add("ActivityScheduled", "activityScheduledEventDetails", resource=resource, input=argument)
            return
        named = _named(resource)
        self.add("TaskScheduled", "taskScheduledEventDetails", **named, region=region, parameters=argument)
        self.add("TaskStarted", "taskStartedEventDetails", **named)

    def answered(self, resource: str, result: Json) -> None:
        """Note what a task gave: a value, or a StatesError."""
        which, key, named = "Task", "task", _named(resource)
        if _is_function(resource):
            which, key, named = "LambdaFunction", "lambdaFunction", {}
        elif ACTIVITY in resource:
            which, key, named = "Activity", "activity", {}
        if not isinstance(result, StatesError):
            self.add(f"{which}Succeeded", f"{key}SucceededEventDetails", **named, output=result)
            return
        how = "TimedOut" if result.name in (TIMEOUT, HEARTBEAT) else "Failed"
        self.add(f"{which}{how}", f"{key}{how}EventDetails", **named, error=result.name, cause=result.cause)

    def ended(self, status: str, output: Json, error: str, cause: str) -> None:
        """Note the end of the execution."""
        _previous.set(len(self.events))  # whoever ends it, it comes after all that was
        if status == "SUCCEEDED":
            self.add("ExecutionSucceeded", "executionSucceededEventDetails", output=output)
            return
        how = {"FAILED": "Failed", "TIMED_OUT": "TimedOut", "ABORTED": "Aborted"}[status]
        self.add(f"Execution{how}", f"execution{how}EventDetails", error=error, cause=cause)


def page(events: Sequence[Event], arguments: Mapping[str, Any]) -> dict[str, Json]:
    """Answer GetExecutionHistory: maxResults, reverseOrder, nextToken, includeExecutionData. Raises ValueError."""
    begin = int(arguments.get("nextToken") or 0)
    count = int(arguments.get("maxResults") or 1000)
    ordered = list(reversed(events)) if arguments.get("reverseOrder") else list(events)
    data = bool(arguments.get("includeExecutionData", True))
    answer: dict[str, Json] = {"events": [one.told(data=data) for one in ordered[begin : begin + count]]}
    return {**answer, "nextToken": str(begin + count)} if begin + count < len(ordered) else answer


def _is_function(resource: str) -> bool:
    return ":lambda:" in resource and ":function:" in resource


def _named(resource: str) -> dict[str, str]:
    kind, _, action = resource.removeprefix("arn:aws:states:::").rpartition(":")
    return {"resourceType": kind, "resource": action}
