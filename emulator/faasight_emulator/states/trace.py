"""The trace of an execution: a span for it, one for each state, and one for each attempt at a task, as OTLP."""

import json
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from faasight_emulator.invocation import Json
from faasight_emulator.platform import Event, Identity, Sink
from faasight_emulator.states import targets
from faasight_emulator.states.errors import StatesError

_TRACEPARENT_PARTS = 4


@dataclass(frozen=True, slots=True)
class Workflow(Identity):
    """A state machine as the sender of spans; `function` is its name."""

    @property
    def path(self) -> str:
        """Where its events are posted."""
        return "/v1/traces"

    def headers(self) -> dict[str, str]:
        """Return no headers: OTLP says whose it is in its body."""
        return {}

    def body(self, events: list[bytes]) -> bytes:
        """Return spans as one OTLP/JSON request."""
        attributes = {
            "service.name": self.function,
            "cloud.provider": "aws",
            "cloud.platform": "aws_step_functions",
            "cloud.region": self.region,
            "cloud.account.id": self.account,
            "deployment.environment.name": self.environment,
        }
        resource = _encoded({"attributes": _attributes(attributes)})
        spans = b",".join(events)
        return (
            b'{"resourceSpans":[{"resource":' + resource + b',"scopeSpans":[{"scope":{"name":"faasight.emulator"},'
            b'"spans":[' + spans + b"]}]}]}"
        )


@dataclass(slots=True)
class Span:
    """A span that is still open. Ids are hex digits; times are Unix time in nanoseconds."""

    name: str
    parent: str
    attributes: dict[str, Any]
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    began: int = field(default_factory=time.time_ns)


class ExecutionTrace:
    """Makes the spans of one execution.

    Its trace is that of the input's `traceparent` (which the wrapper puts there), else of the X-Ray header of whoever
    started it, else one made of the execution's ARN, as the wrapper makes it (docs/design/wire.md).
    """

    def __init__(self, who: Workflow, arn: str, value: Json, header: str, sink: Sink) -> None:
        self._sink = sink
        self._who = who
        self._arn = arn
        self.trace_id, self.parent = _from_input(value) or (_from_header(header) or _of_arn(arn), "")

    @contextmanager
    def span(self, name: str, parent: str, attributes: Mapping[str, Any]) -> Iterator[Span]:
        """Have a span for as long as the block runs; a StatesError that leaves it is its error."""
        span = Span(name, parent, {"faasight.execution_id": self._arn, **attributes})
        try:
            yield span
        except StatesError as error:
            self._end(span, error)
            raise
        except BaseException:  # cancelled: another branch failed, or the execution was stopped
            self._end(span, StatesError("States.Cancelled"))
            raise
        self._end(span, None)

    @property
    def machine(self) -> str:
        """The name of the state machine."""
        return self._who.function

    def context_of(self, span: Span) -> dict[str, str]:
        """Return the W3C trace context for what a span calls; `w` says that a workflow calls."""
        return {
            "traceparent": f"00-{self.trace_id}-{span.id}-01",
            "tracestate": f"faasight=w:{self._who.function}",
        }

    def header_of(self, span: Span) -> str:
        """Return the X-Ray header for what a span calls, as Step Functions gives it."""
        return f"Root=1-{self.trace_id[:8]}-{self.trace_id[8:]};Parent={span.id};Sampled=1"

    def _end(self, span: Span, error: StatesError | None) -> None:
        attributes = {**span.attributes, **({"error.type": error.name} if error else {})}
        event: Event = {
            "traceId": self.trace_id,
            "spanId": span.id,
            "parentSpanId": span.parent,
            "name": span.name,
            "kind": _kind(span.attributes),
            "startTimeUnixNano": str(span.began),
            "endTimeUnixNano": str(time.time_ns()),
            "attributes": _attributes(attributes),
        }
        if error is not None:
            event["status"] = {"code": 2, "message": error.name}  # the cause may quote the payload
        self._sink.put(self._who, event)


def _kind(attributes: Mapping[str, Any]) -> int:
    """Return OTLP's kind: client or producer where the machine itself called, which makes an edge of the map."""
    if targets.SOURCE_KIND not in attributes:
        return 1  # internal
    return 4 if "messaging.destination.name" in attributes else 3


def _from_input(value: Json) -> tuple[str, str] | None:
    parent = value.get("traceparent") if isinstance(value, dict) else None
    parts = parent.split("-") if isinstance(parent, str) else []
    if len(parts) != _TRACEPARENT_PARTS or (len(parts[1]), len(parts[2])) != (32, 16):
        return None
    return parts[1], parts[2]


def _from_header(header: str) -> str:
    root = next((one[5:] for one in header.split(";") if one.startswith("Root=")), "")
    parts = root.split("-")
    joined = "".join(parts[1:])
    return joined if len(parts) == 3 and len(joined) == 32 else ""


def _of_arn(arn: str) -> str:
    return sha256(arn.encode()).hexdigest()[:32]


def _attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: Any) -> dict[str, Any]:  # noqa: ANN401 -- text, a number or a flag
    if isinstance(value, bool):
        return {"boolValue": value}
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": str(value)}


def _encoded(value: Json) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
