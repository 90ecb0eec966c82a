"""What a task reaches beside functions, as the attributes by which the map knows it: OpenTelemetry's names."""

import json
from collections.abc import Mapping
from typing import Any

from faasight_emulator.invocation import Json

# What a machine itself calls: then the source of the call is no function (docs/design/wire.md).
SOURCE_KIND, SOURCE_NAME = "faasight.source.kind", "faasight.source.name"
MACHINE_ARN = "aws.step_functions.state_machine.arn"
_BEFORE = ("arn:aws:states:::aws-sdk:", "arn:aws:states:::")


def attributes(resource: str, argument: Json, machine: str) -> dict[str, Any]:
    """Return what a call of a service names as its target, and who calls; nothing for one that names none.

    Functions tell by themselves that a workflow called them.
    """
    service = next((resource.removeprefix(one) for one in _BEFORE if resource.startswith(one)), "").partition(":")[0]
    target = _target(service, argument) if isinstance(argument, Mapping) else {}
    return {**target, SOURCE_KIND: "workflow", SOURCE_NAME: machine} if target else {}


def _target(service: str, argument: Mapping[str, Json]) -> dict[str, Any]:
    def last(key: str, separator: str = ":") -> str:
        value = argument.get(key)
        return value.rpartition(separator)[2] if isinstance(value, str) else ""

    if service == "sqs" and (queue := last("QueueUrl", "/")):
        return {"messaging.system": "aws_sqs", "messaging.destination.name": queue}
    if service == "sns" and (topic := last("TopicArn")):
        return {"messaging.system": "aws_sns", "messaging.destination.name": topic}
    if service in {"events", "eventbridge"}:
        return {"messaging.system": "aws_eventbridge", "messaging.destination.name": _bus(argument)}
    if service == "dynamodb" and (table := last("TableName", "/")):
        return {"db.system.name": "aws.dynamodb", "aws.dynamodb.table_names": json.dumps([table])}
    if service == "s3" and (bucket := last("Bucket")):
        return {"aws.s3.bucket": bucket}
    machine = argument.get("StateMachineArn") if service in {"states", "sfn"} else None
    return {MACHINE_ARN: machine} if isinstance(machine, str) else {}


def _bus(argument: Mapping[str, Json]) -> str:
    """Return the bus of the first entry, by its name; "default" where none is named."""
    entries = argument.get("Entries")
    first = entries[0] if isinstance(entries, list) and entries else {}
    name = first.get("EventBusName") if isinstance(first, Mapping) else None
    return name.rpartition("/")[2] if isinstance(name, str) and name else "default"
