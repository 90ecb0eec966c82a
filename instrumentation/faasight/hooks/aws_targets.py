"""What an AWS API call is aimed at: the table, queue, topic, bucket or function in its parameters."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Parameters = Mapping[str, Any]
    Describe = Callable[[str, Parameters], tuple[str, dict[str, Any]]]


class Target:
    """The name, the attributes, and whether the call sends messages."""

    __slots__ = ("attributes", "name", "sends")

    def __init__(self, name: str, attributes: dict[str, Any], sends: bool) -> None:
        self.name = name
        self.attributes = attributes
        self.sends = sends


_SENDS = {
    ("SQS", "SendMessage"), ("SQS", "SendMessageBatch"), ("SNS", "Publish"), ("SNS", "PublishBatch"),
    ("Kinesis", "PutRecord"), ("Kinesis", "PutRecords"), ("EventBridge", "PutEvents"),
}  # fmt: skip
_OPERATIONS = {"ReceiveMessage": "receive", "DeleteMessage": "settle", "DeleteMessageBatch": "settle"}


def describe(service: str, operation: str, parameters: Parameters) -> Target:
    """Name a call by wire.md: `DynamoDB.PutItem orders`, `send order-queue`, else `Service.Operation`."""
    attributes: dict[str, Any] = {"rpc.system": "aws-api", "rpc.service": service, "rpc.method": operation}
    read = SERVICES.get(service)
    name, more = read(operation, parameters) if read else ("", {})
    attributes.update(more)
    sends = (service, operation) in _SENDS
    verb = "send" if sends else _OPERATIONS.get(operation, "") if service == "SQS" else ""
    if verb:
        attributes["messaging.operation.type"] = verb
    return Target(f"{verb or f'{service}.{operation}'} {name}".rstrip(), attributes, sends)


def _dynamodb(_: str, parameters: Parameters) -> tuple[str, dict[str, Any]]:
    tables = [parameters["TableName"]] if isinstance(parameters.get("TableName"), str) else _tables_of_batch(parameters)
    tables = [table.rpartition("/")[2] for table in tables]  # a table may be given as its ARN
    attributes: dict[str, Any] = {"db.system.name": "aws.dynamodb"}
    if tables:
        attributes["aws.dynamodb.table_names"] = tables
    return ",".join(tables), attributes


def _tables_of_batch(parameters: Parameters) -> list[str]:
    requests = parameters.get("RequestItems")
    if isinstance(requests, dict):
        return sorted(requests)
    items = parameters.get("TransactItems")
    actions = (
        [action for item in items if isinstance(item, dict) for action in item.values()]
        if isinstance(items, list)
        else []
    )
    return sorted({action["TableName"] for action in actions if isinstance(action, dict) and "TableName" in action})


def _sqs(_: str, parameters: Parameters) -> tuple[str, dict[str, Any]]:
    queue = _text(parameters, "QueueUrl").rpartition("/")[2] or _text(parameters, "QueueName")
    return queue, {"messaging.system": "aws_sqs", "messaging.destination.name": queue}


def _sns(_: str, parameters: Parameters) -> tuple[str, dict[str, Any]]:
    topic = (_text(parameters, "TopicArn") or _text(parameters, "TargetArn")).rpartition(":")[2]
    return topic, {"messaging.system": "aws_sns", "messaging.destination.name": topic}


def _kinesis(_: str, parameters: Parameters) -> tuple[str, dict[str, Any]]:
    stream = _text(parameters, "StreamName") or _text(parameters, "StreamARN").rpartition("/")[2]
    return stream, {"messaging.system": "aws_kinesis", "messaging.destination.name": stream}


def _event_bridge(_: str, parameters: Parameters) -> tuple[str, dict[str, Any]]:
    entries = parameters.get("Entries")
    buses = {_text(entry, "EventBusName") or "default" for entry in entries} if isinstance(entries, list) else set()
    bus = ",".join(sorted(bus.rpartition("/")[2] for bus in buses))
    return bus, {"messaging.system": "aws_eventbridge", "messaging.destination.name": bus}


def _lambda(_: str, parameters: Parameters) -> tuple[str, dict[str, Any]]:
    given = _text(parameters, "FunctionName")
    # A name, an ARN, or an ARN without its beginning (`123456789012:function:name`); each may end in a version.
    name = (given.partition(":function:")[2] or given).partition(":")[0]
    return name, {"faas.invoked_name": name}


def _s3(_: str, parameters: Parameters) -> tuple[str, dict[str, Any]]:
    bucket, key = _text(parameters, "Bucket"), _text(parameters, "Key")
    return bucket, {"aws.s3.bucket": bucket, "aws.s3.key": key} if key else {"aws.s3.bucket": bucket}


def _step_functions(_: str, parameters: Parameters) -> tuple[str, dict[str, Any]]:
    arn = _text(parameters, "stateMachineArn")
    return arn.rpartition(":")[2], {"aws.step_functions.state_machine.arn": arn} if arn else {}


SERVICES: dict[str, Describe] = {
    "DynamoDB": _dynamodb,
    "SQS": _sqs,
    "SNS": _sns,
    "Kinesis": _kinesis,
    "EventBridge": _event_bridge,
    "Lambda": _lambda,
    "S3": _s3,
    "SFN": _step_functions,
}


def _text(parameters: Parameters, key: str) -> str:
    value = parameters.get(key)
    return value if isinstance(value, str) else ""
