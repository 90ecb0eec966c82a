"""Platform events as the Lambda Telemetry API posts them, made from what happens in a sandbox."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from faasight_emulator.environment import RUNTIME_VERSION
from faasight_emulator.invocation import Invocation, Status
from faasight_emulator.model import Function, Place

PATH = "/v1/aws/telemetry"
Event = dict[str, Any]
Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose events they are. An `instance` is a sandbox, by its log stream; throttles have none."""

    function: str
    version: str
    account: str
    region: str
    memory_mb: int
    environment: str
    instance: str = ""

    @property
    def path(self) -> str:
        """Where its events are posted."""
        return PATH

    def body(self, events: list[bytes]) -> bytes:
        """Return events, each in JSON, as one post."""
        return b"[" + b",".join(events) + b"]"

    def headers(self) -> dict[str, str]:
        """Return the headers that tell the collector."""
        headers = {
            "X-Faasight-Function": self.function,
            "X-Faasight-Version": self.version,
            "X-Faasight-Account": self.account,
            "X-Faasight-Region": self.region,
            "X-Faasight-Memory-MB": str(self.memory_mb),
            "X-Faasight-Environment": self.environment,
        }
        return {**headers, "X-Faasight-Instance": self.instance} if self.instance else headers


def identity_of(function: Function, place: Place, environment: str, instance: str = "") -> Identity:
    """Return the identity of a function's sandbox; the function's own FAASIGHT_ENVIRONMENT wins."""
    environment = function.environment.get("FAASIGHT_ENVIRONMENT", environment)
    return Identity(
        function.name, function.version, place.account, place.region, function.memory, environment, instance
    )


class Sink(Protocol):
    """Takes events and never waits."""

    def put(self, identity: Identity, event: Event) -> None:
        """Take one event."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What an invocation took: times in milliseconds, memory in bytes. `init_ms` is None for a warm one."""

    duration_ms: float
    init_ms: float | None
    peak_memory: int
    response_latency_ms: float = 0.0
    overhead_ms: float = 0.0
    produced_bytes: int = 0


class Reporter:
    """Makes the events of one sandbox. The shapes are those of the Telemetry API, schema version 2022-12-13."""

    def __init__(
        self, identity: Identity, sink: Sink, init_type: str, clock: Clock = lambda: datetime.now(UTC)
    ) -> None:
        self._identity = identity
        self._sink = sink
        self._init_type = init_type
        self._clock = clock

    def line(self, text: str, written: datetime | None = None, kind: str = "function") -> None:
        """Pass on what the function (or an extension) has printed: a line, or a log record of several."""
        self._put(kind, text, written)

    def init_start(self, phase: str) -> None:
        """Say that the init begins; `phase` is init, or invoke when Lambda tries again within an invocation."""
        who = self._identity
        self._put(
            "platform.initStart",
            {
                "initializationType": self._init_type,
                "phase": phase,
                "runtimeVersion": RUNTIME_VERSION,
                "functionName": who.function,
                "functionVersion": who.version,
                "instanceId": who.instance,
                "instanceMaxMemory": who.memory_mb * 1024 * 1024,
            },
        )

    def init_done(self, phase: str, status: Status, error_type: str | None, duration_ms: float) -> None:
        """Say that the init has ended, one way or another."""
        record: Event = {"initializationType": self._init_type, "phase": phase, "status": status}
        if error_type:
            record["errorType"] = error_type
        self._put("platform.initRuntimeDone", record)
        self._put("platform.initReport", {**record, "metrics": {"durationMs": _ms(duration_ms)}})

    def start(self, invocation: Invocation) -> None:
        """Say that the invocation begins."""
        record = {
            "requestId": invocation.request_id,
            "version": self._identity.version,
            "tracing": _tracing(invocation),
        }
        self._put("platform.start", record)

    def fault(self, text: str) -> None:
        """Say that the process has ended though it should not have."""
        self._put("platform.fault", text)

    def done(self, invocation: Invocation, status: Status, error_type: str | None, spent: Spent) -> None:
        """Say that the invocation has ended: runtimeDone and report."""
        record: Event = {"requestId": invocation.request_id, "status": status, "tracing": _tracing(invocation)}
        if error_type:
            record["errorType"] = error_type
        now = self._clock()
        spans = _spans(now, spent)
        metrics = {"durationMs": _ms(spent.duration_ms), "producedBytes": spent.produced_bytes}
        self._put("platform.runtimeDone", {**record, "spans": spans, "metrics": metrics})
        self._put("platform.report", {**record, "metrics": self._metrics(spent)})

    def _metrics(self, spent: Spent) -> Event:
        size = self._identity.memory_mb
        metrics: Event = {
            "durationMs": _ms(spent.duration_ms),
            # Since August 2025 AWS bills the init too.
            "billedDurationMs": math.ceil(spent.duration_ms + (spent.init_ms or 0.0)),
            "memorySizeMB": size,
            "maxMemoryUsedMB": min(size, math.ceil(spent.peak_memory / (1024 * 1024))),
        }
        if spent.init_ms is not None:
            metrics["initDurationMs"] = _ms(spent.init_ms)
        return metrics

    def _put(self, kind: str, record: Event | str, when: datetime | None = None) -> None:
        self._sink.put(self._identity, {"time": _time(when or self._clock()), "type": kind, "record": record})


def throttle_event(request_id: str, reason: str, now: datetime) -> Event:
    """Return the event of a throttle; the Telemetry API has none, as no sandbox sees it."""
    return {"time": _time(now), "type": "platform.throttle", "record": {"requestId": request_id, "reason": reason}}


def _tracing(invocation: Invocation) -> Event:
    parts = dict(part.split("=", 1) for part in invocation.trace_header.split(";") if "=" in part)
    return {"spanId": parts.get("Parent", ""), "type": "X-Amzn-Trace-Id", "value": invocation.trace_header}


def _spans(end: datetime, spent: Spent) -> list[Event]:
    finish = end.timestamp() - spent.overhead_ms / 1000
    begin = finish - spent.response_latency_ms / 1000
    return [
        _span("responseLatency", begin, spent.response_latency_ms),
        _span("responseDuration", finish, 0.0),
        _span("runtimeOverhead", finish, spent.overhead_ms),
    ]


def _span(name: str, start: float, duration_ms: float) -> Event:
    return {"name": name, "start": _time(datetime.fromtimestamp(start, UTC)), "durationMs": _ms(duration_ms)}


def _ms(value: float) -> float:
    return round(value, 3)


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
