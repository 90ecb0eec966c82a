"""A span: what happened between two points in time, in the terms of OpenTelemetry."""

from __future__ import annotations

import os
import time

from faasight import mask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from faasight.context import Remote
    from faasight.invocation import Invocation

    Mutable = tuple[dict[str, Any], list[tuple[int, str, dict[str, Any]]], list[tuple[str, str, str]]]
    Value = str | bool | int | float | Sequence[str]

INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = 1, 2, 3, 4, 5  # opentelemetry.proto.trace.v1.Span.SpanKind
UNSET, OK, ERROR = 0, 1, 2  # opentelemetry.proto.trace.v1.Status.StatusCode

now_ns = time.time_ns


def new_trace_id() -> str:
    """Return 16 random bytes as hex, the kernel's: those of `random` would repeat in each restored snapshot."""
    return os.urandom(16).hex()


def new_span_id() -> str:
    """Return 8 random bytes as hex."""
    return os.urandom(8).hex()


class Span:
    """One span; it is open until `end_ns` is set. Times in ns since the epoch, ids in hex."""

    __slots__ = (
        "attributes", "end_ns", "events", "invocation", "kind", "links", "message", "name", "parent_id",
        "scope", "span_id", "start_ns", "status", "trace_id", "trace_state",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        kind: int,
        trace_id: str,
        parent_id: str = "",
        *,
        attributes: dict[str, Any] | None = None,
        start_ns: int = 0,
        invocation: Invocation | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self.trace_id = trace_id
        self.span_id = new_span_id()
        self.parent_id = parent_id
        self.attributes: dict[str, Any] = attributes if attributes is not None else {}
        self.start_ns = start_ns or now_ns()
        self.end_ns = 0
        self.invocation = invocation
        self.trace_state = ""
        self.status = UNSET
        self.message = ""
        self.scope = "faasight"
        self.events: list[tuple[int, str, dict[str, Any]]] = []
        self.links: list[tuple[str, str, str]] = []  # trace id, span id, trace state

    def set(self, key: str, value: Value) -> Span:
        """Set one attribute; secrets are hidden."""
        self.attributes[key] = mask.value(key, value)
        return self

    def event(self, name: str, **attributes: Value) -> Span:
        """Note a point in time."""
        self.events.append((now_ns(), name, {key: mask.value(key, value) for key, value in attributes.items()}))
        return self

    def fail(self, error_type: str, message: str = "") -> Span:
        """Mark the span as failed."""
        self.status, self.message = ERROR, mask.text(message) if message else ""
        self.attributes["error.type"] = error_type
        return self

    def fail_with(self, error: BaseException) -> Span:
        """Mark the span as failed by an exception, with the event that the conventions ask for."""
        kind = type(error)
        name = (
            kind.__qualname__
            if kind.__module__ in {"builtins", "__main__"}
            else f"{kind.__module__}.{kind.__qualname__}"
        )
        self.fail(name, safe_str(error))
        self.events.append((
            now_ns(),
            "exception",
            {
                "exception.type": name,
                "exception.message": self.message,
                "exception.stacktrace": mask.text(stack_trace(error)),
            },
        ))  # fmt: skip
        return self


class Unread(Span):
    """An invocation's span until somebody asks for more than its id, times and status: then it is as any other.

    A name that it was given before that stays. Two threads may ask at once: both take what one has read.
    """

    __slots__ = ()

    def __init__(self, span_id: str, start_ns: int) -> None:  # the rest is there when it is asked for
        self.span_id = span_id
        self.start_ns = start_ns
        self.end_ns = 0
        self.invocation = None
        self.status = UNSET
        self.message = ""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - called for a slot that nothing was put in
        if name not in Span.__slots__ or self.invocation is None:
            raise AttributeError(name)
        self.invocation.read()
        return object.__getattribute__(self, name)


def fill(span: Span, name: str, kind: int, trace_id: str, parent: Remote | None, state: Mutable) -> Span:
    """Put into an unread span what was read; `state`: attributes, events, links, for all who read at once the same."""
    try:
        object.__getattribute__(span, "name")
    except AttributeError:
        span.name = name
    span.kind = kind
    span.trace_id = trace_id
    span.parent_id, span.trace_state = (parent.span_id, parent.state) if parent else ("", "")
    span.scope = "faasight"
    span.attributes, span.events, span.links = state
    span.__class__ = Span  # the other has no slots of its own
    return span


def safe_str(value: object) -> str:
    """Return `str(value)`, or that it failed."""
    try:
        return str(value)
    except Exception as broken:  # noqa: BLE001 - a user's __str__ may raise anything, and must not hide the error itself
        return f"<{type(broken).__name__} in __str__>"


def stack_trace(error: BaseException) -> str:
    """Format an exception with its causes, as Python prints it."""
    import traceback

    try:
        return "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except Exception:  # noqa: BLE001 - see safe_str: format_exception calls the user's __str__ and __repr__
        return ""
