"""The shapes that queries answer with: frozen data, aware times in UTC, durations in ms unless named otherwise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Scope:
    """What a page looks at: a time range `[start, end)` and an environment ("" is all of them)."""

    start: datetime
    end: datetime
    environment: str = ""

    @property
    def seconds(self) -> float:
        """Length of the range."""
        return (self.end - self.start).total_seconds()

    def before(self) -> "Scope":
        """Return the period of the same length just before this one."""
        return Scope(self.start - (self.end - self.start), self.start, self.environment)


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over a scope. `invocations` counts what ran; throttled attempts are `throttles` alone."""

    invocations: int
    errors: int  # every outcome that is not ok or throttled
    timeouts: int
    throttles: int
    cold_starts: int
    p50_ms: float | None
    p90_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    cost_usd: float


@dataclass(frozen=True, slots=True)
class Series:
    """Equal buckets over a scope; all columns have the length of `t` (each bucket's start)."""

    t: Sequence[datetime]
    step_s: float
    ok: Sequence[int]
    errors: Sequence[int]
    timeouts: Sequence[int]  # part of errors
    throttles: Sequence[int]
    cold_starts: Sequence[int]
    cost_usd: Sequence[float]
    p50_ms: Sequence[float | None]
    p90_ms: Sequence[float | None]
    p95_ms: Sequence[float | None]
    p99_ms: Sequence[float | None]
    memory_used_mb: Sequence[float | None]  # the largest in each bucket
    concurrency: Sequence[float | None]  # mean number of invocations running at once


@dataclass(frozen=True, slots=True)
class FunctionRow:
    """One function over a scope."""

    function: str
    runtime: str  # "python3.11", "" if unknown
    version: str  # the newest seen
    architecture: str
    region: str
    account: str
    memory_mb: float | None
    memory_used_mb: float | None  # the largest seen
    timeout_ms: float | None
    totals: Totals
    max_ms: float | None
    init_p95_ms: float | None
    last_seen: datetime
    spark: Sequence[int] = ()  # invocations in 24 equal buckets
    provider: str = ""  # aws, gcp, azure; "" if unknown


@dataclass(frozen=True, slots=True)
class Heatmap:
    """Counts of durations: `counts[i][j]` of `edges_ms[i]` to `edges_ms[i + 1]` in the time that starts at `t[j]`."""

    t: Sequence[datetime]
    edges_ms: Sequence[float]
    counts: Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class ErrorVersion:
    """An error in one version of its function."""

    version: str
    count: int
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Failures of one type and stack in one function; without a stack, of one shape of message."""

    function: str
    error_type: str
    message: str  # of the newest
    count: int
    first_seen: datetime
    last_seen: datetime
    trace_id: str  # hex, of the newest; "" if none
    frames: Sequence[str] = ()  # "shop/orders.py handler", in the order of the stack trace
    versions: Sequence[ErrorVersion] = ()  # by first seen, in the scope


@dataclass(frozen=True, slots=True)
class Invocation:
    """One invocation, merged from all who saw it."""

    function: str
    version: str
    request_id: str
    trace_id: str  # hex or ""
    start: datetime
    duration_ms: float | None
    init_ms: float | None
    cold_start: bool
    outcome: str  # ok, error, timeout, out_of_memory, init_error, throttled, lost
    error_type: str
    trigger: str
    source_kind: str
    source_name: str
    attempt: int
    queue_wait_ms: float | None
    billed_ms: float | None
    memory_mb: float | None
    memory_used_mb: float | None
    cost_usd: float


@dataclass(frozen=True, slots=True)
class ImportCost:
    """What importing one module cost, over the cold starts of a scope."""

    module: str
    count: int
    mean_ms: float  # with what it imports in turn
    self_ms: float  # mean, without


@dataclass(frozen=True, slots=True)
class ColdStarts:
    """Cold-start anatomy of one function."""

    count: int
    share: float  # of its invocations, 0 to 1
    p50_ms: float | None
    p95_ms: float | None
    by_init_type: Mapping[str, int]
    imports: Sequence[ImportCost]
    overhead_ms: float | None  # mean cost of the wrapper itself
    pings: int = 0  # that keep it warm, and count as no invocation


@dataclass(frozen=True, slots=True)
class MapNode:
    """A node of the invocation map. `id` is `kind:name`; figures are None where the node is no function."""

    id: str
    kind: str  # function, api, url, queue, topic, stream, table, bucket, schedule, bus, workflow, external
    name: str
    invocations: int | None
    errors: int | None
    throttles: int | None
    p95_ms: float | None
    provider: str = ""  # of a function: aws, gcp, azure; "" where it is not known


@dataclass(frozen=True, slots=True)
class MapEdge:
    """Calls from one node to another."""

    source: str  # MapNode.id
    target: str
    calls: int
    errors: int
    throttles: int
    retries: int  # of calls: attempts after the first
    p95_ms: float | None
    queue_wait_p95_ms: float | None  # asynchronous edges only


@dataclass(frozen=True, slots=True)
class InvocationMap:
    """Who called whom in a scope."""

    nodes: Sequence[MapNode]
    edges: Sequence[MapEdge]


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One trace in a list."""

    trace_id: str
    start: datetime
    duration_ms: float
    spans: int
    errors: int
    cold_starts: int
    root_service: str
    root_name: str
    services: Sequence[str]


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """A point in time on a span."""

    ts: datetime
    name: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SpanLink:
    """A link from a span to another."""

    trace_id: str
    span_id: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Span:
    """One span as stored; ids hex, times in ns since the epoch so that nothing is rounded."""

    trace_id: str
    span_id: str
    parent_span_id: str
    trace_state: str
    service: str
    name: str
    kind: int  # OTLP SpanKind
    start_ns: int
    duration_ns: int
    status: int  # 0 unset, 1 ok, 2 error
    status_message: str
    resource: Mapping[str, str]
    attributes: Mapping[str, str]
    scope_name: str
    events: Sequence[SpanEvent] = ()
    links: Sequence[SpanLink] = ()


@dataclass(frozen=True, slots=True)
class LogRow:
    """One log line."""

    ts: datetime
    ts_ns: int
    level: str  # DEBUG, INFO, WARN, ERROR, FATAL
    function: str
    message: str
    request_id: str
    trace_id: str
    span_id: str
    attributes: Mapping[str, str]
    seq: int = 0  # order of arrival, for the live tail


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace with those linked to it (`trace_ids[0]` is the one asked for), spans by start time, and its log lines."""

    trace_ids: Sequence[str]
    spans: Sequence[Span]
    logs: Sequence[LogRow]
    cost_usd: float
    truncated: bool  # True when there were more spans than the limit


@dataclass(frozen=True, slots=True)
class LogVolume:
    """Lines per bucket and level."""

    t: Sequence[datetime]
    step_s: float
    levels: Mapping[str, Sequence[int]]  # DEBUG, INFO, WARN, ERROR (with FATAL)
    total: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """A signal's value for one group of labels."""

    labels: Mapping[str, str]
    value: float
    samples: int  # what the value was computed from: the base of a ratio


@dataclass(frozen=True, slots=True)
class TelemetryHealth:
    """How well telemetry itself arrives."""

    accepted: int  # requests, in the scope
    rejected: int
    dead_letters: int
    bytes: int
    lag_p50_s: float | None  # receipt to table
    lag_max_s: float | None
    journal_bytes: int  # now
    last_received: datetime | None
    reasons: Mapping[str, int] = field(default_factory=dict)  # of rejection, in the scope


@dataclass(frozen=True, slots=True)
class IngestStats:
    """What one collector did since its last report; a row of `ingest_stats`."""

    collector: str
    ts: datetime
    signal: str
    accepted: int = 0
    rejected: int = 0
    bytes: int = 0
    shipped: int = 0
    dead_letters: int = 0
    journal_bytes: int = 0
    ship_lag_s: float = 0.0
    reasons: Mapping[str, int] = field(default_factory=dict)  # of rejection


@dataclass(frozen=True, slots=True)
class AlertInstance:
    """A rule that is not at rest for one group of labels."""

    id: str  # stable: rule and labels
    rule: str
    severity: str  # critical, warning, info
    state: str  # pending, firing, recovering
    labels: Mapping[str, str]
    since: datetime  # when it entered pending or firing
    value: float
    condition: str  # in words: "error rate > 10 % over 5 min"
    summary: str


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """A change of state of an alert, and what became of its message."""

    id: str
    ts: datetime
    instance: str  # AlertInstance.id
    rule: str
    severity: str
    labels: Mapping[str, str]
    state: str  # the new one; "resolved" when it went back to rest after firing
    value: float
    summary: str
    reason: str  # why: "passed", "no data", "rule deleted"...
    delivery: str  # none (no channel), queued, sent, broken
