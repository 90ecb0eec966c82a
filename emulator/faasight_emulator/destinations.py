"""What is told of an asynchronous invocation that has ended: the record for destinations, and dead letters."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from faasight_emulator.invocation import Invocation, Json, Result
from faasight_emulator.model import Function, Place

Condition = Literal["Success", "RetriesExhausted", "EventAgeExceeded", "ZeroReservedConcurrency"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an asynchronous invocation ended; `result` is that of the last attempt, None if there was none."""

    condition: Condition
    result: Result | None
    attempts: int

    @property
    def ok(self) -> bool:
        """Whether the function answered in the end."""
        return self.condition == "Success"


def invocation_record(function: Function, place: Place, invocation: Invocation, outcome: Outcome) -> dict[str, Any]:
    """Return the record that a destination gets, version 1.0."""
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "requestContext": {
            "requestId": invocation.request_id,
            "functionArn": _qualified(function, place),
            "condition": outcome.condition,
            "approximateInvokeCount": outcome.attempts,
        },
        "requestPayload": _loads(invocation.event),
    }
    if outcome.result is not None:
        context: dict[str, Any] = {"statusCode": 200, "executedVersion": outcome.result.version}
        record["responseContext"] = context if outcome.ok else {**context, "functionError": "Unhandled"}
        record["responsePayload"] = _loads(outcome.result.payload)
    return record


def on_a_bus(record: dict[str, Any], bus: str) -> dict[str, Any]:
    """Return the record as the event that EventBridge gets of it."""
    word = "Success" if record["requestContext"]["condition"] == "Success" else "Failure"
    return {
        "source": "lambda",
        "detail-type": f"Lambda Function Invocation Result - {word}",
        "resources": [bus, record["requestContext"]["functionArn"]],
        "detail": record,
    }


def dead_letter_attributes(invocation: Invocation, outcome: Outcome) -> dict[str, str | int]:
    """Return what stands beside the event in a dead-letter queue: which request, and why."""
    if outcome.result is not None:
        code, message = 200, _error_message(outcome.result)
    elif outcome.condition == "ZeroReservedConcurrency":
        code, message = 429, "Function not invoked: its reserved concurrency is zero."
    else:
        code, message = 429, "Rate Exceeded."
    cut = message.encode()[:1024].decode("utf-8", "ignore")
    return {"RequestID": invocation.request_id, "ErrorCode": code, "ErrorMessage": cut or "Unknown"}


def _qualified(function: Function, place: Place) -> str:
    arn = function.arn(place)
    return arn if arn.count(":") > 6 else f"{arn}:$LATEST"


def _error_message(result: Result) -> str:
    answer = _loads(result.payload)
    text = answer.get("errorMessage") if isinstance(answer, dict) else None
    return str(text or result.payload.decode("utf-8", "replace"))


def _loads(payload: bytes) -> Json:
    try:
        return json.loads(payload)
    except ValueError:
        return None
