"""What the watchdog's thread tells of an invocation that takes long: that it runs, and later that its time is up.

Loaded when the first invocation takes long: quick functions pay nothing for it.
"""

from __future__ import annotations

import time

from faasight import memory
from faasight.invocation import report
from faasight.spans import INTERNAL, Span, now_ns
from faasight.watchdog import NEVER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from faasight.agent import Agent
    from faasight.invocation import Invocation

_MOST_MS = 900_000  # the longest time limit of AWS, after which a store gives an invocation up as lost
# Of an invocation's attributes, those that the next one's report can do without: the record is to be small.
_LEFT_OUT = frozenset({"faasight.source.ids"})


def look(agent: Agent, invocation: Invocation) -> float:
    """Tell what there is to tell of an invocation now; return when to look again (time.monotonic), NEVER if not."""
    if time.monotonic() >= invocation.expires:
        expire(agent, invocation)
        return NEVER
    tell_start(agent, invocation)
    return invocation.expires


def tell_start(agent: Agent, invocation: Invocation) -> None:
    """Send that an invocation has begun: should its process be killed, somebody knows of it.

    A span of its own under the invocation's, which is to come yet: a backend that knows nothing of start records has no
    span twice, and ours shows it only as long as the other is missing.
    """
    if invocation.is_reported:
        return
    span = invocation.span
    attributes = {key: value for key, value in span.attributes.copy().items() if key not in _LEFT_OUT}
    attributes["faasight.phase"] = "start"
    if not 0 < attributes.get("faasight.timeout_ms", 0) <= _MOST_MS:
        attributes.pop("faas.invocation_id", None)  # seen in its trace, and in no list: nobody can say when it is lost
    used = memory.high_water_mark()
    if used:
        attributes["faasight.memory_used"] = used
    if span.parent_id:
        attributes["faasight.start.parent_id"] = span.parent_id
    record = Span(
        f"{span.name} (started)",
        INTERNAL,
        span.trace_id,
        span.span_id,
        attributes=attributes,
        start_ns=span.start_ns,
    )
    record.end_ns = span.start_ns
    invocation.delivery.add(record)
    if agent.coldstart.untold:  # should the first invocation be killed, its imports may be why
        for one in agent.coldstart.story(span, invocation.cold):
            invocation.delivery.add(one)
    agent.delivery.flush(agent.settings.flush_timeout)


def expire(agent: Agent, invocation: Invocation) -> None:
    """Report a time-out, with the spans that are still open, once and for all."""
    if not invocation.claim():
        return
    invocation.timed_out = True
    now = now_ns()
    limit = invocation.span.attributes.get("faasight.timeout_ms")
    copies = [_unfinished(span, now) for span in (invocation.span, *invocation.unfinished())]
    copies[0].attributes["faasight.outcome"] = "timeout"
    copies[0].message = f"the function's time limit of {limit} ms is reached"
    if agent.capture is not None:
        agent.capture.failed(invocation, copies[0])
    report(agent, invocation, copies)
    agent.delivery.flush(max(invocation.deadline - time.monotonic(), 0.01))
    agent.witness.end(invocation.note)  # the kill at the limit is no news then


def _unfinished(span: Span, now: int) -> Span:
    """Copy an open span as failed: the handler's thread goes on writing to the original."""
    copy = Span(
        span.name, span.kind, span.trace_id, span.parent_id, attributes=span.attributes.copy(), start_ns=span.start_ns
    )
    copy.span_id, copy.trace_state, copy.links, copy.events = (
        span.span_id,
        span.trace_state,
        span.links.copy(),
        span.events.copy(),
    )
    copy.end_ns = max(now, span.start_ns)
    return copy.fail("timeout", "still running at the time limit")
