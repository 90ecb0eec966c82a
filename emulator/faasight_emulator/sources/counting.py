"""The truth about each event source, counted where it happens, for tests to compare the platform's numbers with."""

from dataclasses import dataclass

from faasight_emulator.counts import Numbers


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """What one source has brought to one function since the start.

    Of polled sources (queues, streams) the unit is the record, but for `batches` (invocations that ran), `retries`
    (those of them that came again at once, of streams) and `throttles` (invocations refused). `failed` counts a record
    as often as it failed. Of pushed ones (topics, buckets, buses) all count events: `received`, and `processed` when
    the function's asynchronous invocation was accepted.
    """

    received: int = 0
    filtered: int = 0
    batches: int = 0
    processed: int = 0
    failed: int = 0
    retries: int = 0
    throttles: int = 0
    discarded: int = 0


@dataclass(frozen=True, slots=True)
class SourceKey:
    """Which source of which function. `kind` is one of the wire's: queue, stream, table, topic, bucket, bus."""

    function: str
    kind: str
    name: str


class SourceCounter(Numbers[SourceKey, SourceCounts]):
    """Counts of all sources."""

    def __init__(self) -> None:
        super().__init__(SourceCounts())

    def tally(self, function: str, kind: str, name: str) -> "Tally":
        """Return what counts for one source."""
        key = SourceKey(function, kind, name)
        self.begin(key)
        return Tally(self, key)


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts for one source."""

    counter: SourceCounter
    key: SourceKey

    def add(self, **more: int) -> None:
        """Add to the numbers of these names."""
        self.counter.add(self.key, **more)
