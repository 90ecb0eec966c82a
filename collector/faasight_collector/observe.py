"""The collector's own spans: of the recovery of its journal, of each segment shipped, of a request now and then.

They go where the process's OpenTelemetry SDK sends them, if it has one (`faasight_cli.own_telemetry`), and are nothing
else. They never feed on themselves: what carries the mark of our own telemetry makes no span, so that a collector whose
spans are sent to itself is as quiet as its senders are.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from opentelemetry import trace

from faasight_collector.dead_letters import DeadLetters
from faasight_collector.errors import Refusal
from faasight_collector.intake import Intake
from faasight_collector.journal import Journal
from faasight_collector.segments import Record, Segment
from faasight_collector.stats import Stats

# What the platform's own SDK says in the resource attribute telemetry.distro.name, and nobody else should.
DISTRIBUTION = "faasight-platform"
_MARK = DISTRIBUTION.encode()
_LOOKED_AT = 4096  # bytes: resources come first in a request
_SAMPLE_EVERY_S = 1.0


def tracer() -> trace.Tracer:
    """Return the tracer of this process's SDK; without one its spans are nothing."""
    return trace.get_tracer("faasight.collector")


def is_own(payload: bytes | memoryview) -> bool:
    """Tell whether a request holds telemetry of this platform itself."""
    return _MARK in bytes(payload[:_LOOKED_AT])


def recovering(own: trace.Tracer, journal: Journal) -> None:
    """Open the journal, with a span of what that took. Raises what `Journal.open` raises."""
    with own.start_as_current_span("recover journal") as span:
        segments = journal.open()
        used = journal.inventory.usage()
        span.set_attributes(
            {
                "faasight.recovery.segments": segments,
                "faasight.recovery.unshipped_bytes": used.pending,
                "faasight.recovery.shipped_bytes": used.kept,
            }
        )


@contextmanager
def shipping(own: trace.Tracer, segment: Segment, records: Sequence[Record]) -> Iterator[None]:
    """Make a span of shipping a segment, unless all that is in it is our own telemetry."""
    if all(is_own(record.payload) for record in records):  # nearly always the first says no
        yield
        return
    told: dict[str, str | int | bool] = {
        "faasight.signal": segment.signal,
        "faasight.segment.id": segment.id,
        "faasight.segment.bytes": segment.bytes,
        "faasight.segment.requests": len(records),
        "faasight.segment.replay": segment.replay,
    }
    with own.start_as_current_span(f"ship {segment.signal}", attributes=told):
        yield


def intake(
    own: trace.Tracer, journal: Journal, stats: Stats, letters: DeadLetters, clock: Callable[[], float] = time.monotonic
) -> Intake:
    """Return the way in; it makes spans only where somebody takes them."""
    if isinstance(own, (trace.ProxyTracer, trace.NoOpTracer)):
        return Intake(journal, stats, letters)
    return SampledIntake(own, journal, stats, letters, clock)


class SampledIntake(Intake):
    """The way in, with a span of one request a second at most: from when it was admitted until it is safe on disk."""

    def __init__(
        self, own: trace.Tracer, journal: Journal, stats: Stats, letters: DeadLetters, clock: Callable[[], float]
    ) -> None:
        super().__init__(journal, stats, letters)
        self._tracer = own
        self._clock = clock
        self._next = clock()

    def accept(
        self, signal: str, payload: bytes, done: Callable[[Refusal | None], None], key: bytes | None = None
    ) -> None:
        """Make a payload safe, as `Intake.accept` does."""
        if self._clock() < self._next or is_own(payload):
            super().accept(signal, payload, done, key)
            return
        self._next = self._clock() + _SAMPLE_EVERY_S
        told: dict[str, str | int] = {"faasight.signal": signal, "faasight.request.bytes": len(payload)}
        span = self._tracer.start_span(f"receive {signal}", kind=trace.SpanKind.SERVER, attributes=told)

        def finished(refusal: Refusal | None) -> None:
            if refusal is not None:
                span.set_attribute("error.type", refusal.reason)
                span.set_status(trace.StatusCode.ERROR, str(refusal))
            span.end()
            done(refusal)

        super().accept(signal, payload, finished, key)
