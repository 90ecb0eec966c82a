"""Spans within an invocation: the user's own and those of instrumented libraries."""

from __future__ import annotations

from faasight import agent, mask
from faasight.context import current
from faasight.spans import INTERNAL, Span, now_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token
    from types import TracebackType
    from typing import Any

    from faasight.spans import Value

bridge: Callable[[Span], Callable[[], None]] | None = (
    None  # set by otel.py: makes our span OpenTelemetry's current one, and gives the undo
)
foreign_parent: Callable[[str], str] | None = None  # set by otel.py: OpenTelemetry's current span within a trace


def current_span() -> Span | None:
    """Return the innermost span of this context; None outside an invocation."""
    return current.get()


def flush(timeout: float | None = None) -> None:
    """Send what there is, within `timeout` seconds (default FAASIGHT_FLUSH_TIMEOUT); an invocation's end does too."""
    process = agent.get()
    if not process.settings.disabled:
        process.delivery.flush(process.settings.flush_timeout if timeout is None else timeout)


class Active:
    """A span that is the current one of its context until `leave` or `end`."""

    __slots__ = ("_token", "_undo", "span")

    def __init__(self, span: Span) -> None:
        self.span = span
        self._token: Token[Span | None] | None = current.set(span)
        self._undo = bridge(span) if bridge is not None else None

    def leave(self) -> None:
        """Make the span around it current again; this one stays open."""
        token, self._token = self._token, None
        if token is not None:
            try:  # noqa: SIM105 - `suppress` is three calls, in each invocation
                current.reset(token)
            except ValueError:  # left in another context (a generator, a task): that one keeps what it has
                pass
        undo, self._undo = self._undo, None
        if undo is not None:
            undo()

    def end(self) -> None:
        """Close the span and hand it to the buffer; the one around it is current again."""
        self.leave()
        span, invocation = self.span, self.span.invocation
        span.end_ns = span.end_ns or max(now_ns(), span.start_ns)  # clocks may be put back
        if invocation is not None:
            invocation.close(span)


def begin(name: str, kind: int = INTERNAL, attributes: dict[str, Any] | None = None) -> Active | None:
    """Open a span under the current one; None outside an invocation, where nobody would send it."""
    parent = current.get()
    if parent is None or parent.invocation is None:
        return None
    parent_id = (foreign_parent(parent.trace_id) if foreign_parent is not None else "") or parent.span_id
    child = Span(name, kind, parent.trace_id, parent_id, attributes=attributes, invocation=parent.invocation)
    parent.invocation.open(child)
    return Active(child)


class span:  # noqa: N801 - it is used like a function: `with faasight.span("validate") as span:`
    """A span of the user's own: `with faasight.span("validate", items=3) as span: span.set("valid", True)`.

    An exception marks it as failed and passes through. Outside an invocation nothing is recorded.
    """

    __slots__ = ("_active", "_attributes", "_name")

    def __init__(self, name: str, **attributes: Value) -> None:
        self._name = name
        self._attributes: dict[str, Any] = {key: mask.value(key, value) for key, value in attributes.items()}
        self._active: Active | None = None

    def __enter__(self) -> Span:
        """Open it."""
        self._active = begin(self._name, INTERNAL, self._attributes)
        return self._active.span if self._active else Span(self._name, INTERNAL, "0" * 32, attributes=self._attributes)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        if self._active is None:
            return
        if error is not None:
            self._active.span.fail_with(error)
        self._active.end()
