"""Context out to AWS: into message attributes of SQS and SNS, and into Lambda's ClientContext, where it is safe.

The user's parameters are copied, never changed. A call is left alone where more attributes could make AWS refuse it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_ATTRIBUTES = 10  # of an SQS or SNS message (AWS quotas)
# Attributes count towards a message's size, 256 KiB once and 1 MiB since 2025 (SQS quotas): close below, none is added.
_LIMITS = (262_144, 1_048_576)
_ROOM = 2_048

_SINGLE = {("SQS", "SendMessage"): "MessageBody", ("SNS", "Publish"): "Message"}
_BATCHES = {
    ("SQS", "SendMessageBatch"): ("Entries", "MessageBody"),
    ("SNS", "PublishBatch"): ("PublishBatchRequestEntries", "Message"),
}


def context(
    service: str, operation: str, parameters: dict[str, Any], traceparent: str, tracestate: str
) -> dict[str, Any]:
    """Return the parameters with the context in them, as far as there is room."""
    call = (service, operation)
    if call in _SINGLE:
        return _message(parameters, traceparent, tracestate) if _fits([parameters], _SINGLE[call]) else parameters
    if call in _BATCHES:
        return _batch(parameters, *_BATCHES[call], traceparent, tracestate)
    if call == ("Lambda", "Invoke") and "ClientContext" not in parameters:
        return {**parameters, "ClientContext": _client_context(traceparent, tracestate)}
    return parameters


def _message(message: dict[str, Any], traceparent: str, tracestate: str) -> dict[str, Any]:
    given = message.get("MessageAttributes") or {}
    if not isinstance(given, dict) or "traceparent" in given or len(given) >= MAX_ATTRIBUTES:
        return message
    attributes = {**given, "traceparent": {"DataType": "String", "StringValue": traceparent}}
    if len(attributes) < MAX_ATTRIBUTES and "tracestate" not in given:
        attributes["tracestate"] = {"DataType": "String", "StringValue": tracestate}
    return {**message, "MessageAttributes": attributes}


def _batch(parameters: dict[str, Any], key: str, body: str, traceparent: str, tracestate: str) -> dict[str, Any]:
    entries = parameters.get(key)
    if (
        not isinstance(entries, list)
        or not all(isinstance(entry, dict) for entry in entries)
        or not _fits(entries, body)
    ):
        return parameters
    return {**parameters, key: [_message(entry, traceparent, tracestate) for entry in entries]}


def _fits(messages: list[dict[str, Any]], body: str) -> bool:
    size = sum(_size(message, body) for message in messages)
    return not any(limit - _ROOM * len(messages) < size <= limit for limit in _LIMITS)


def _size(message: dict[str, Any], body: str) -> int:
    text = message.get(body)
    attributes = message.get("MessageAttributes")
    values = attributes.values() if isinstance(attributes, dict) else ()
    sizes = (
        len(str(value.get("StringValue") or value.get("BinaryValue") or ""))
        for value in values
        if isinstance(value, dict)
    )
    return (len(text.encode("utf-8", "replace")) if isinstance(text, str) else 0) + sum(sizes)


def _client_context(traceparent: str, tracestate: str) -> str:
    from base64 import b64encode
    from json import dumps

    return b64encode(dumps({"custom": {"traceparent": traceparent, "tracestate": tracestate}}).encode()).decode()
