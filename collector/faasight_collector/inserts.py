"""Inserts into the store, counted and timed: for /metrics, and as spans within that of their segment."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Protocol

from faasight_store.landing import LANDINGS
from opentelemetry import trace
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector as MetricSource

from faasight_collector.rows import Rows
from faasight_collector.segments import SIGNALS

_PREFIX = "faasight_collector_"


class Target(Protocol):
    """What is shipped to; `faasight_store.Store` is one."""

    def land(self, signal: str, segment: bytes | Rows, token: str) -> None:
        """Store a segment exactly once for its token. Raises StoreUnavailableError or BadDataError."""


class Inserts(MetricSource):
    """A target before another: it lets everything pass, and keeps the count."""

    def __init__(self, target: Target, tracer: trace.Tracer, clock: Callable[[], float] = time.perf_counter) -> None:
        self._target = target
        self._tracer = tracer
        self._clock = clock
        self._lock = threading.Lock()
        self._done: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._seconds = dict.fromkeys(SIGNALS, 0.0)
        self._up = True

    def land(self, signal: str, segment: bytes | Rows, token: str) -> None:
        """Store a segment as the target does, and raise what it raises."""
        began = self._clock()
        try:
            if trace.get_current_span().is_recording():
                with self._tracer.start_as_current_span(
                    f"INSERT {LANDINGS[signal].table}",
                    kind=trace.SpanKind.CLIENT,
                    attributes=_told(signal, segment, token),
                ):
                    self._target.land(signal, segment, token)
            else:
                self._target.land(signal, segment, token)
        except BaseException:
            self._ended(self._failed, signal, self._clock() - began, up=False)
            raise
        self._ended(self._done, signal, self._clock() - began, up=True)

    def _ended(self, counter: Counter[str], signal: str, seconds: float, *, up: bool) -> None:
        with self._lock:
            counter[signal] += 1
            self._seconds[signal] += seconds
            self._up = up

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        with self._lock:
            done, failed, seconds, up = self._done.copy(), self._failed.copy(), dict(self._seconds), self._up
        took = SummaryMetricFamily(
            _PREFIX + "insert_seconds", "Inserts into the store, failed ones too", labels=["signal"]
        )
        lost = CounterMetricFamily(
            _PREFIX + "insert_failures", "Inserts that the store did not take", labels=["signal"]
        )
        for signal in SIGNALS:
            took.add_metric([signal], done[signal] + failed[signal], seconds[signal])
            lost.add_metric([signal], failed[signal])
        yield took
        yield lost
        yield GaugeMetricFamily(_PREFIX + "store_up", "Whether the store took the last insert: 1 or 0", value=int(up))


def _told(signal: str, segment: bytes | Rows, token: str) -> dict[str, str | int]:
    return {
        "db.system.name": "clickhouse",
        "db.operation.name": "INSERT",
        "db.collection.name": LANDINGS[signal].table,
        "faasight.insert.bytes": len(segment),
        "faasight.insert.token": token,
    }
