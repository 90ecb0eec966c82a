"""Who starts an execution, as the map knows it: an API's route, a rule's bus, a schedule."""

from typing import Any, NamedTuple

from faasight_emulator.invocation import Json
from faasight_emulator.states.targets import MACHINE_ARN, SOURCE_KIND, SOURCE_NAME


class Caller(NamedTuple):
    """`kind` and `name` are a source's (docs/design/wire.md), `what` the name of the span."""

    kind: str
    name: str
    what: str

    def attributes(self, machine_arn: str) -> dict[str, Any]:
        """Return the attributes of its call."""
        return {SOURCE_KIND: self.kind, SOURCE_NAME: self.name, MACHINE_ARN: machine_arn}


def caller_of(value: Json) -> Caller | None:
    """Return who an execution's input tells of: EventBridge's events say it; None for all others."""
    if not isinstance(value, dict) or not isinstance(value.get("detail-type"), str) or "source" not in value:
        return None
    named = value.get("resources")
    first = str(named[0]) if isinstance(named, list) and named else ""
    if value["source"] in ("aws.events", "aws.scheduler") and value["detail-type"] == "Scheduled Event":
        name = first.rpartition("/")[2]
        return Caller("schedule", name, f"schedule {name}".strip())
    # An event does not name its bus, but senders that the wrapper watches do; else it takes the default one, as here.
    detail = value.get("detail")
    bus = detail.get("faasight-bus") if isinstance(detail, dict) else None
    return Caller("bus", bus if isinstance(bus, str) and bus else "default", f"process {value['detail-type']}")
