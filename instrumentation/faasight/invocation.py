"""One invocation from its first to its last moment: its span, what is open within, and its one report."""

from __future__ import annotations

import os
import time

from faasight import calls, mask, memory, tracing
from faasight.complain import complaints
from faasight.context import current, parse, xray_trace_id
from faasight.spans import ERROR, Span, Unread, fill, new_trace_id, now_ns, safe_str
from faasight.triggers import Trigger, essence, recognise, told

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from faasight.agent import Agent
    from faasight.calls import Call
    from faasight.context import Remote
    from faasight.delivery import Buffer
    from faasight.spans import Mutable
    from faasight.tracing import Active
    from faasight.triggers.recognise import Essence

    # Of an invocation, from its begin on: ids (hex; 16 of its span, 32 of a trace if nobody called in one), start (ns
    # since the epoch), request id, cold, started ahead of need, init type, ms until the limit (0: none), X-Ray's header
    # (None: to be looked up)
    Facts = tuple[str, int, str, bool, bool, str, int, str | None]

_MAX_DEADLINE_S = 86_400.0
_NEVER = float("inf")
_XRAY = "_X_AMZN_TRACE_ID"  # the runtime client sets it for each invocation
_MAX_ID = 256  # characters of a request id; those of AWS have 36


class Invocation:
    """State of one call of the handler. It belongs to one context: several may run at once in one process."""

    __slots__ = (
        "_open", "_read", "_ticket", "active", "call", "cold", "deadline", "delivery", "event", "expires", "facts",
        "note", "over", "overhead_ms", "request_id", "result", "seen", "sent_ns", "span", "timed_out",
    )  # fmt: skip

    def __init__(self, span: Span, facts: Facts, seen: Essence | None, delivery: Buffer) -> None:
        self.span = span
        self.facts = facts
        self.seen = seen  # of the event, what its span is to be made of; None: it is made
        self.delivery = delivery
        self.request_id = facts[2]
        self.cold = facts[3]
        self.deadline = _NEVER  # time.monotonic value
        self.expires = _NEVER  # when a time-out is reported, shortly before
        self.timed_out = False
        self.over = False  # the handler has ended
        self.overhead_ms = 0.0
        self.event: object = None  # kept until the end, in case that it fails
        self.result: object = None  # kept until the answer is out, to be read then
        self.sent_ns = 0  # when its oldest message was sent, 0 if unknown
        self.note = -1  # where the witness has it
        self.active: Active | None = None  # where OpenTelemetry has to know of the span too
        self.call: Call | None = None  # where the host is none of AWS's
        self._open: dict[str, Span] = {}
        self._ticket = [True]
        self._read: dict[str, Mutable] = {}

    def read(self) -> None:
        """Have the span made of what was kept of the event; whoever reads at the same time makes the same of it."""
        try:
            trigger = told(self.seen or ())
        except Exception as error:  # noqa: BLE001 - it was the user's code that has asked, and is to go on
            complaints.failure("reading the event", error)
            trigger = told(())
        make(self.span, trigger, self.facts, self._read)

    def claim(self) -> bool:
        """Whether the caller is the one to report this invocation: True once, for handler or watchdog."""
        try:
            return self._ticket.pop()  # one step under the GIL
        except IndexError:
            return False

    @property
    def is_reported(self) -> bool:
        """Whether somebody has claimed it."""
        return not self._ticket

    def open(self, span: Span) -> None:
        """Remember an unfinished span: a time-out reports it as what was running."""
        self._open[span.span_id] = span

    def close(self, span: Span) -> None:
        """Hand a finished span to the buffer; after a time-out it has been reported already."""
        self._open.pop(span.span_id, None)
        if span is not self.span and not self.timed_out:
            self.delivery.add(span)

    def forget(self, span: Span) -> None:
        """Let a finished span go that is not worth sending."""
        self._open.pop(span.span_id, None)

    def unfinished(self) -> list[Span]:
        """Return the spans that are still open."""
        return list(self._open.copy().values())


def begin(agent: Agent, event: object, context: object, call: Call | None = None, clock: float = 0.0) -> Invocation:
    """Open an invocation: keep what its trigger and its trace can be told from, note it, watch its deadline.

    The span is read when somebody asks for it, or when the answer is out (`Unread`), where somebody waits for that. An
    event of another kind, a batch for one, may be large, and is read before its handler can change it. `clock`: now,
    time.monotonic.
    """
    if agent.when_loaded:
        agent.function_loaded()
    if agent.witness.to_open:
        agent.report_killed()
    now = now_ns()
    clock = clock or time.monotonic()
    request_id, remaining_ms = _asked(context) if call is None else (call.request_id, call.remaining_ms)
    if not agent.account:
        agent.know_account(_of(context, "invoked_function_arn"))
    cold, ahead = agent.coldstart.take(now)
    try:
        ids = agent.ids.pop()  # one step under the GIL
    except IndexError:
        ids = new_ids()
    seen = _kept(event, context) if call is None else None
    xray = os.environ.get(_XRAY, "") if seen is not None and not (seen and seen[-1]) else None
    facts = (
        ids,
        now,
        safe_str(request_id or _request_id())[:_MAX_ID],
        cold,
        ahead,
        agent.coldstart.init_type,
        remaining_ms,
        xray,
    )
    span = Unread(ids[:16], now)
    if seen is not None:
        invocation = Invocation(span, facts, seen, agent.delivery)
    else:
        trigger = recognise(event)
        if call is not None:
            calls.complete(call, trigger)
        if not trigger.parents or not trigger.records:
            _parent_of_client(trigger, context)
        delivery = agent.delivery_of(call.function if call else "")
        invocation = Invocation(make(span, trigger, facts, {}), facts, None, delivery)
        invocation.call = call
        invocation.sent_ns = trigger.sent_ns
    span.invocation = invocation
    if tracing.bridge is None:
        current.set(span)
    else:
        invocation.active = tracing.Active(span)
    # Last: what is noted or watched, and never finished, is reported as killed or as a time-out.
    invocation.note = agent.witness.begin(span, now + remaining_ms * 1_000_000 if remaining_ms > 0 else 0)
    if agent.capture is not None:
        agent.capture.begin(invocation, event)
    _watch(agent, invocation, remaining_ms, clock)
    return invocation


def new_ids() -> str:
    """Return 48 hex digits for one invocation, the kernel's: those of `random` would repeat in a restored snapshot."""
    return os.urandom(24).hex()


def _asked(context: Any) -> tuple[str, int]:  # noqa: ANN401 - the runtime's, or a test's
    """Return the request id ("" if there is none) and the ms until the time limit (0: none)."""
    try:
        request_id, remaining = context.aws_request_id, context.get_remaining_time_in_millis()
        if type(request_id) is str and type(remaining) is int and 0 <= remaining < _MAX_DEADLINE_S * 1000:
            return request_id, remaining
    except Exception:  # noqa: BLE001, S110 - a stand-in of a test, or a class of the user's own: piece by piece then
        pass
    return _of(context, "aws_request_id"), _remaining_ms(context)


def _kept(event: object, context: object) -> Essence | None:
    """Return what is kept of an event that need not be read before its handler runs; else None."""
    if _of(context, "client_context") is not None:
        return None
    try:
        return essence(event)
    except Exception:  # noqa: BLE001 - keys that are no text, and what else is not of JSON
        return None


def _watch(agent: Agent, invocation: Invocation, remaining_ms: int, clock: float) -> None:
    """Have the watchdog look once the invocation takes long, and before its time is up."""
    at = _NEVER
    if remaining_ms > 0:
        invocation.deadline = clock + remaining_ms / 1000
        at = invocation.expires = invocation.deadline - min(agent.settings.timeout_margin, remaining_ms / 2000)
    if agent.start_after:
        at = min(at, clock + agent.start_after)
    if at == _NEVER:
        return
    try:
        agent.watchdog.watch(invocation, at, at - clock)
    except RuntimeError as error:  # no further thread may be started: all but the time-out is still seen
        agent.watchdog.forget(invocation)
        complaints.say(f"long invocations cannot be watched: {error}")


def make(span: Span, trigger: Trigger, facts: Facts, read: dict[str, Mutable]) -> Span:
    """Make the span of an invocation: of what called it and of what is known since it began. The same each time.

    `read` keeps what may be changed for whoever does so at the same time.
    """
    ids, now, request_id, cold, ahead, init_type, remaining_ms, xray = facts
    parent = _common_parent(trigger)
    # A trace begins with X-Ray's id where there is one: hops that pass on X-Ray's header alone stay in one trace.
    trace_id = parent.trace_id if parent else trigger.trace_id or xray_trace_id(_header(xray)) or ids[16:]
    links: list[tuple[str, str, str]] = []
    if trigger.records:
        known = {(remote.trace_id, remote.span_id): remote.state for remote in trigger.parents}  # one for each span
        links = [(*ids, state) for ids, state in known.items()]
    attributes = trigger.attributes
    _source(attributes, trigger, now)
    path = attributes.get("url.path")
    if path:
        attributes["url.path"] = mask.value("url.path", path)
    attributes["faas.invocation_id"] = request_id
    attributes["faas.coldstart"] = cold
    attributes["faasight.init_type"] = init_type
    if ahead:
        attributes["faasight.proactive_init"] = True
    if remaining_ms > 0:
        attributes["faasight.timeout_ms"] = remaining_ms
    state = read.setdefault("", (attributes, [], links))  # one step under the GIL
    return fill(span, trigger.name, trigger.kind, trace_id, parent, state)


def _source(attributes: dict[str, Any], trigger: Trigger, now: int) -> None:
    """Add where and when what called was sent."""
    for remote in trigger.parents:
        caller = remote.caller
        if caller:
            attributes["faasight.caller"] = caller
            break
    if trigger.sent_ns:
        attributes["faasight.queue_wait_ms"] = max(now - trigger.sent_ns, 0) / 1e6
    if trigger.last_ns:
        attributes["faasight.iterator_age_ms"] = max(now - trigger.last_ns, 0) / 1e6
    if trigger.ids:
        attributes["faasight.source.ids"] = trigger.ids
    if trigger.attempt:
        attributes["faasight.attempt"] = trigger.attempt


def _header(xray: str | None) -> str | None:
    return os.environ.get(_XRAY) if xray is None else xray


def _common_parent(trigger: Trigger) -> Remote | None:
    """Return the span to continue: a batch has one only when all its records carry one trace id."""
    parents = trigger.parents
    if not parents or len(parents) < trigger.records:
        return None
    if len(parents) > 1 and any(parent.trace_id != parents[0].trace_id for parent in parents):
        return None
    return parents[0]


def _parent_of_client(trigger: Trigger, context: object) -> None:
    """Take the context that a Lambda-to-Lambda call, or the emulator's state machine, carries in its ClientContext."""
    custom = _of(_of(context, "client_context"), "custom")
    remote = parse(custom.get("traceparent"), custom.get("tracestate", "")) if isinstance(custom, dict) else None
    machine = remote.workflow if remote is not None else ""
    if remote is None or (trigger.parents and not machine):
        return
    trigger.parents = [remote]  # a state is nearer than whoever started the execution, whom its input names
    trigger.attributes.setdefault("faasight.source.kind", "workflow" if machine else "function")
    trigger.attributes.setdefault("faasight.source.name", machine or remote.caller)


def _request_id() -> str:
    text = new_trace_id()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _of(context: object, name: str) -> Any:  # noqa: ANN401 - it may be anything
    """Return an attribute, None if there is none: a context may be the user's own, with properties that raise."""
    try:
        return getattr(context, name, None)
    except Exception:  # noqa: BLE001 - see above
        return None


def _remaining_ms(context: object) -> int:
    ask = _of(context, "get_remaining_time_in_millis")
    try:
        remaining = int(ask()) if callable(ask) else 0
    except Exception:  # noqa: BLE001 - a stand-in of a test, or a class of the user's own: it has no deadline then
        return 0
    return remaining if remaining < _MAX_DEADLINE_S * 1000 else 0


def finish(agent: Agent, invocation: Invocation, result: object = None, error: BaseException | None = None) -> None:
    """Close an invocation, and have its telemetry sent: at once, or when its answer is out (afterwards.py)."""
    invocation.over = True
    span = invocation.span
    span.end_ns = max(now_ns(), span.start_ns)  # before our own work; and clocks may be put back
    agent.watchdog.forget(invocation)
    mine = invocation.claim()
    if mine and error is None and _is_plain(agent, invocation):
        invocation.result = result if isinstance(result, dict) else ()  # read when the answer is out
        if not _may_wait(agent, invocation, None):
            send(agent, invocation)
        return
    try:
        if agent.printed is not None:
            agent.printed.end(invocation)
        if mine:
            returned = result
            if invocation.call is not None:
                result, error = calls.answer(invocation.call, span, result, error)
            if error is not None:
                _note_error(span, error)
            else:
                _note_result(span, result)
            if agent.capture is not None:
                agent.capture.end(invocation, returned)
        if invocation.active is not None:
            invocation.active.end()
    finally:
        if mine and not _may_wait(agent, invocation, error):
            send(agent, invocation)


def _is_plain(agent: Agent, invocation: Invocation) -> bool:
    """Whether nothing but the result is left to be read, and that may wait."""
    return invocation.call is None and invocation.active is None and agent.capture is None and agent.printed is None


def _may_wait(agent: Agent, invocation: Invocation, error: BaseException | None) -> bool:
    """Whether somebody will send once the answer is out; an exception that ends the process leaves none."""
    due = agent.due
    if due is None or (error is not None and not isinstance(error, Exception)):
        return False
    if due:  # the one before still waits: whoever asked for events through us does so no longer
        agent.due = None
        for earlier in due:
            send(agent, earlier)
        return False
    due.append(invocation)
    return True


def send(agent: Agent, invocation: Invocation) -> None:
    """Report a finished invocation and send its telemetry, within the flush limit and never beyond the deadline."""
    try:
        result, invocation.result = invocation.result, None
        try:
            if result is not None:
                _note_result(invocation.span, result)
        finally:
            report(agent, invocation, [invocation.span])
            if agent.holding is None or not agent.holding.takes(invocation):
                agent.delivery.flush(_budget(agent, invocation))
    finally:
        agent.witness.end(invocation.note)


def _budget(agent: Agent, invocation: Invocation) -> float:
    return min(agent.settings.flush_timeout, max(invocation.deadline - time.monotonic() - 0.02, 0.0))


def report(agent: Agent, invocation: Invocation, spans: list[Span]) -> None:
    """Hand an invocation's spans to the buffer, its own first, with the story of its cold start."""
    root = spans[0]
    root.attributes["faasight.overhead_ms"] = invocation.overhead_ms
    used = memory.high_water_mark()
    if used:
        root.attributes["faasight.memory_used"] = used
        if used > agent.crowded:
            agent.hurry()
    root.end_ns = root.end_ns or now_ns()
    if not root.parent_id and "faasight.source.kind" not in root.attributes and invocation.call is None:
        root.attributes["faasight.source.ids"] = [invocation.request_id]  # who had it called later knows it by this
    for span in spans:
        invocation.delivery.add(span)
    if invocation.sent_ns:
        from faasight import queue_wait

        wait = queue_wait.span_of(root, invocation.sent_ns)
        if wait is not None:
            invocation.delivery.add(wait)
    if agent.coldstart.untold:
        for span in agent.coldstart.story(root, invocation.cold):
            invocation.delivery.add(span)


def _note_error(span: Span, error: BaseException) -> None:
    span.fail_with(error)
    span.attributes["faasight.outcome"] = "out_of_memory" if isinstance(error, MemoryError) else "error"


def _note_result(span: Span, result: object) -> None:
    """Read failures that are no exceptions: a 5xx answer, items of a batch that are to come again."""
    span.attributes["faasight.outcome"] = "error" if span.status == ERROR else "ok"
    if not isinstance(result, dict):
        return
    status = _status_code(result)
    if span.attributes.get("faas.trigger") == "http" and status:
        span.attributes["http.response.status_code"] = status
        if status >= 500:
            span.fail(str(status))
            span.attributes["faasight.outcome"] = "error"
    failures = result.get("batchItemFailures")
    if isinstance(failures, list) and failures:
        span.attributes["faasight.batch.failures"] = len(failures)


def _status_code(result: dict[str, Any]) -> int:
    try:
        return int(result.get("statusCode", 0))
    except (TypeError, ValueError):
        return 0


def request_id_here() -> str:
    """Return the request id of this context's invocation, "" outside one."""
    span = current.get()
    return span.invocation.request_id if span is not None and span.invocation is not None else ""
