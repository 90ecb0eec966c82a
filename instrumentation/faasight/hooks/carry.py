"""Context out to AWS: into message attributes, Lambda's ClientContext, and JSON objects that handlers read.

The user's parameters are copied, never changed. A call is left alone where more could make AWS refuse it, or take it
for another call: a message with ten attributes, one close to a size limit, an execution with a name.
"""

from __future__ import annotations

from faasight.context import BUS, clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import Any

    Parameters = dict[str, Any]

MAX_ATTRIBUTES = 10  # of an SQS or SNS message (AWS quotas)
# All that we add counts towards a size limit: of a message, event or input 256 KiB once and 1 MiB since 2025, of a
# Kinesis record 1 MiB and 10 MiB, of its request 5 MiB and 10 MiB (AWS quotas). Close below one, nothing is added.
_LIMITS = (262_144, 1_048_576, 5_242_880, 10_485_760)
_ROOM = 2_048
_SPACE = " \t\r\n"  # of JSON, RFC 8259 section 2

PAYLOADS = ("eventbridge", "stepfunctions", "kinesis")  # names in FAASIGHT_CARRY
IN_PAYLOADS = PAYLOADS[:2]  # by default: data of a stream goes on to files and tables, whose columns are the user's
_NAMES = dict(zip(("EventBridge", "SFN", "Kinesis"), PAYLOADS, strict=True))

# (service, operation) -> the list of messages in it ("" = the call is one message itself)
_LISTS = {
    ("SQS", "SendMessage"): "", ("SQS", "SendMessageBatch"): "Entries",
    ("SNS", "Publish"): "", ("SNS", "PublishBatch"): "PublishBatchRequestEntries",
    ("EventBridge", "PutEvents"): "Entries",
    ("SFN", "StartExecution"): "", ("SFN", "StartSyncExecution"): "",
    ("Kinesis", "PutRecord"): "", ("Kinesis", "PutRecords"): "Records",
}  # fmt: skip


def context(
    service: str,
    operation: str,
    parameters: Parameters,
    traceparent: str,
    tracestate: str,
    payloads: Collection[str] = IN_PAYLOADS,
) -> Parameters:
    """Return the parameters with the context in them, as far as there is room; `payloads` is FAASIGHT_CARRY."""
    if service == "Lambda":
        if operation in {"Invoke", "InvokeWithResponseStream"} and "ClientContext" not in parameters:
            return {**parameters, "ClientContext": _client_context(traceparent, tracestate)}
        return parameters
    key = _LISTS.get((service, operation))
    if key is None or (service in _NAMES and _NAMES[service] not in payloads):
        return parameters
    messages = parameters.get(key) if key else [parameters]
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        return parameters
    if not _fits(messages):
        return parameters
    put = _PUTS[service]
    carrying = [put(message, traceparent, tracestate) for message in messages]
    return {**parameters, key: carrying} if key else carrying[0]


def _attributes(message: Parameters, traceparent: str, tracestate: str) -> Parameters:
    given = message.get("MessageAttributes") or {}
    if not isinstance(given, dict) or "traceparent" in given or len(given) >= MAX_ATTRIBUTES:
        return message
    attributes = {**given, "traceparent": {"DataType": "String", "StringValue": traceparent}}
    if len(attributes) < MAX_ATTRIBUTES and "tracestate" not in given:
        attributes["tracestate"] = {"DataType": "String", "StringValue": tracestate}
    return {**message, "MessageAttributes": attributes}


def _detail(event: Parameters, traceparent: str, tracestate: str) -> Parameters:
    """Carry in the detail, with the bus's name: no event says which bus it came by."""
    detail, bus = event.get("Detail"), event.get("EventBusName")
    if not isinstance(detail, str):
        return event
    state = f"{tracestate},{BUS}={clean(bus.rsplit('/', 1)[-1])}" if isinstance(bus, str) and bus else tracestate
    return {**event, "Detail": _in_object(detail, traceparent, state)}


def _input(execution: Parameters, traceparent: str, tracestate: str) -> Parameters:
    """Carry in the input, but not with a name: that makes a start idempotent, for the same input only."""
    given = execution.get("input", "{}")
    if not isinstance(given, str) or "name" in execution:
        return execution
    return {**execution, "input": _in_object(given, traceparent, tracestate)}


def _record(record: Parameters, traceparent: str, tracestate: str) -> Parameters:
    """Carry in data that parses as an object: bytes of any kind may begin and end in braces."""
    from json import loads

    data = record.get("Data")
    try:
        text = bytes(data).decode() if isinstance(data, (bytes, bytearray)) else data
        whole = isinstance(text, str) and isinstance(loads(text), dict)
    except (ValueError, RecursionError):
        return record
    if not isinstance(text, str) or not whole:
        return record
    carrying = _in_object(text, traceparent, tracestate)
    return {**record, "Data": carrying if isinstance(data, str) else carrying.encode()}


_PUTS: dict[str, Callable[[Parameters, str, str], Parameters]] = {
    "SQS": _attributes,
    "SNS": _attributes,
    "EventBridge": _detail,
    "SFN": _input,
    "Kinesis": _record,
}


def _in_object(text: str, traceparent: str, tracestate: str) -> str:
    """Write two members before the last brace: what is there stays the same to the byte, what is no JSON stays none.

    An object that has a context anywhere within is left as it is: the user's own, or one that is passed on.
    """
    from json import dumps

    inner = text.strip(_SPACE)
    if not inner.startswith("{") or not inner.endswith("}") or len(inner) < 2 or '"traceparent"' in inner:
        return text
    end = len(text.rstrip(_SPACE)) - 1
    comma = "," if inner[1:-1].strip(_SPACE) else ""
    members = dumps({"traceparent": traceparent, "tracestate": tracestate})[1:-1]
    return f"{text[:end]}{comma}{members}{text[end:]}"


def _fits(messages: list[Parameters]) -> bool:
    sizes = [_size(message) for message in messages]
    return _has_room(sum(sizes), _ROOM * len(messages)) and all(_has_room(size, _ROOM) for size in sizes)


def _has_room(size: int, wanted: int) -> bool:
    return not any(limit - wanted < size <= limit for limit in _LIMITS)


def _size(message: Parameters) -> int:
    attributes = message.get("MessageAttributes")
    values = attributes.values() if isinstance(attributes, dict) else ()
    within = (value.get("StringValue") or value.get("BinaryValue") for value in values if isinstance(value, dict))
    return sum(map(_length, message.values())) + sum(map(_length, within))


def _length(value: object) -> int:
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode("utf-8", "replace"))
    return len(value) if isinstance(value, (bytes, bytearray)) else 0


def _client_context(traceparent: str, tracestate: str) -> str:
    from base64 import b64encode
    from json import dumps

    return b64encode(dumps({"custom": {"traceparent": traceparent, "tracestate": tracestate}}).encode()).decode()
