"""The time that a message waited for its function, as a span: a bar between sender and consumer in any backend.

Loaded with the first invocation that waited. OpenTelemetry's messaging conventions have no such span, and want a
consumer's span to follow its sender's directly. So this one hangs below the invocation and lies before it in time, as
INIT does: no span needs a parent that may never be sent, and a batch whose records come from many traces has it too.
"""

from __future__ import annotations

from faasight.spans import INTERNAL, Span

_SHORTEST_NS = 1_000_000  # senders tell milliseconds
_LONGEST_NS = 86_400_000_000_000  # a bar of days hides all others; the invocation's attribute tells it still
_KEPT = (
    "faasight.source.kind", "faasight.source.name", "faasight.attempt", "messaging.system",
    "messaging.destination.name", "messaging.batch.message_count",
)  # fmt: skip


def span_of(invocation: Span, sent_ns: int) -> Span | None:
    """Return the wait of an invocation's oldest message; None if that was no time, or too long to be drawn."""
    if not _SHORTEST_NS <= invocation.start_ns - sent_ns <= _LONGEST_NS:
        return None
    known = invocation.attributes
    attributes = {key: known[key] for key in _KEPT if key in known}
    attributes["faasight.phase"] = "wait"
    kind, name = known.get("faasight.source.kind", ""), known.get("faasight.source.name", "")
    wait = Span(
        f"{kind or 'queue'} wait {name}".rstrip(),
        INTERNAL,
        invocation.trace_id,
        invocation.span_id,
        attributes=attributes,
        start_ns=sent_ns,
    )
    wait.end_ns = invocation.start_ns
    return wait
