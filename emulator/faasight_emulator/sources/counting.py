"""The truth about each event source, counted where it happens, for tests to compare the platform's numbers with."""

import threading
from dataclasses import dataclass, replace


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


class SourceCounter:
    """Counts for all sources; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[SourceKey, SourceCounts] = {}

    def tally(self, function: str, kind: str, name: str) -> "Tally":
        """Return what counts for one source."""
        key = SourceKey(function, kind, name)
        with self._lock:
            self._counts.setdefault(key, SourceCounts())
        return Tally(self, key)

    def add(self, key: SourceKey, **more: int) -> None:
        """Add to the numbers of these names."""
        with self._lock:
            now = self._counts[key]
            self._counts[key] = replace(now, **{name: getattr(now, name) + extra for name, extra in more.items()})

    def all(self) -> dict[SourceKey, SourceCounts]:
        """Return the numbers."""
        with self._lock:
            return dict(self._counts)


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts for one source."""

    counter: SourceCounter
    key: SourceKey

    def add(self, **more: int) -> None:
        """Add to the numbers of these names."""
        self.counter.add(self.key, **more)
