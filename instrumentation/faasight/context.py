"""Who is running and who called: the current span of this context, and W3C trace context in and out."""

from __future__ import annotations

from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from faasight.spans import Span

    Carrier = Mapping[str, Any]

BUS = "faasight-bus"  # another: the event bus that it was sent to
OURS = "faasight"  # our key in tracestate: `faasight=f:<service>`, or `w:<state machine>`, names the sender
_OWN = (f"{OURS}=", f"{BUS}=")  # what we write anew for each call
_HEX = "0123456789abcdef"
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16  # what the standard keeps for "none"
_MAX_ENTRIES = 32  # of a tracestate, W3C Trace Context 3.3.1.1
_MAX_PARENT = 256  # characters of a traceparent: version 00 has 55, and a longer one of the future is cut short here
CARRIERS = frozenset(
    {"traceparent", "tracestate", "x-amzn-trace-id", "x-cloud-trace-context"}
)  # headers with a context
MAX_HEADERS = 512  # of one event; AWS allows 10 kB of them, and what has more is no set of headers
_MAX_STATE = 1_024  # characters; twice what the standard asks to be passed on, and room enough in a message (carry.py)

current: ContextVar[Span | None] = ContextVar("faasight_span", default=None)
suppressed: ContextVar[bool] = ContextVar(
    "faasight_suppressed", default=False
)  # inside a call that has its span already


class Remote:
    """The position in a trace that another service passed to us."""

    __slots__ = ("span_id", "state", "trace_id")

    def __init__(self, trace_id: str, span_id: str, state: str = "") -> None:
        self.trace_id = trace_id  # 32 hex digits
        self.span_id = span_id  # 16 hex digits
        self.state = state

    @property
    def caller(self) -> str:
        """The service that sent this, "" if it is not one of ours."""
        return self._sender("f:")

    @property
    def bus(self) -> str:
        """The event bus that the sender named, "" if it is not one of ours or named none."""
        return self._entry(BUS)

    @property
    def workflow(self) -> str:
        """The state machine whose state sent this, "" if none did."""
        return self._sender("w:")

    def _sender(self, kind: str) -> str:
        value = self._entry(OURS)
        return value[2:] if value.startswith(kind) else ""

    def _entry(self, name: str) -> str:
        for entry in self.state.split(","):
            key, _, value = entry.strip().partition("=")
            if key == name:
                return value
        return ""


def parse(traceparent: object, tracestate: object = "") -> Remote | None:
    """Read the two headers; None if the first is not valid (W3C Trace Context 3.2)."""
    if not isinstance(traceparent, str) or len(traceparent) > _MAX_PARENT:
        return None
    parts = traceparent.strip().split("-")
    if len(parts) < 4 or (parts[0] == "00" and len(parts) != 4):
        return None
    version, trace_id, span_id, flags = parts[:4]
    if not (_is_id(version, 2) and _is_id(trace_id, 32) and _is_id(span_id, 16) and _is_id(flags, 2)):
        return None
    if version == "ff" or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    return Remote(trace_id, span_id, _state(tracestate))


def _state(tracestate: object) -> str:
    """Return a tracestate that is fit to be sent on, else "": it must not make the user's next call fail."""
    state = tracestate.strip() if isinstance(tracestate, str) and len(tracestate) <= 2 * _MAX_STATE else ""
    return state if len(state) <= _MAX_STATE and state.isascii() and state.isprintable() else ""


def _is_id(text: str, length: int) -> bool:
    return len(text) == length and not text.strip(_HEX)  # nothing else is left


def extract(carrier: Carrier | None, value: Callable[[Any], object] = lambda item: item) -> Remote | None:
    """Find the two names in headers or message attributes, whatever their case; `value` unwraps an item."""
    if not carrier or len(carrier) > MAX_HEADERS:
        return None
    parent = carrier.get("traceparent")  # as nearly everybody writes it
    state = carrier.get("tracestate")
    if parent is None:
        parent = header(carrier, "traceparent")
        if parent is None:
            return None
    if state is None:
        state = header(carrier, "tracestate")
    return parse(value(parent), value(state) if state is not None else "")


def header(carrier: Carrier, name: str) -> object:
    """Find one header, whatever its case; None if there is none. `name` is in small letters."""
    found = carrier.get(name)
    if found is None:
        length = len(name)
        for key in carrier:
            if isinstance(key, str) and len(key) == length and key.lower() == name:
                return carrier[key]
    return found


def xray_trace_id(header: object) -> str:
    """Trace id of an X-Ray header (`Root=1-5759e988-bd862e3fe1be46a994272793;Parent=...`) in W3C form, or ""."""
    if not isinstance(header, str) or len(header) > 4 * _MAX_PARENT:
        return ""
    for field in header.split(";"):
        key, _, root = field.strip().partition("=")
        parts = root.split("-")
        if key == "Root" and len(parts) == 3 and _is_id(parts[1], 8) and _is_id(parts[2], 24):
            return parts[1] + parts[2]
    return ""


def outgoing(span: Span, service: str) -> tuple[str, str]:
    """Write the two headers for a call made under `span`: (traceparent, tracestate)."""
    entries = [f"{OURS}=f:{clean(service)}"]
    root = span.invocation.span if span.invocation is not None else span  # what came in is kept there
    if root.trace_state:
        others = (entry.strip() for entry in root.trace_state.split(","))
        entries += [entry for entry in others if entry and not entry.startswith(_OWN)][: _MAX_ENTRIES - 1]
    return f"00-{span.trace_id}-{span.span_id}-01", ",".join(entries)


def clean(service: str) -> str:
    """Make a service name a legal tracestate value: printable ASCII without comma and equals sign, at most 256 long."""
    if service.isascii() and service.isprintable() and "," not in service and "=" not in service:
        return service[:250].rstrip()
    return "".join(c if c.isascii() and c.isprintable() and c not in ",=" else "_" for c in service[:250]).rstrip()
