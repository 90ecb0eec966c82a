"""The collector's counters as Prometheus text."""

from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector as MetricSource

from faasight_collector.journal import Journal
from faasight_collector.segments import SIGNALS
from faasight_collector.stats import Counts, Stats, lag

_PREFIX = "faasight_collector_"
_SUMS: tuple[tuple[str, str, Callable[[Counts], int]], ...] = (
    ("accepted_requests", "Requests that are safe in the journal", lambda sums: sums.accepted),
    ("accepted_bytes", "Their size, decompressed", lambda sums: sums.bytes),
    ("shipped_requests", "Requests that the store has", lambda sums: sums.shipped),
    ("shipped_segments", "Journal segments that the store has", lambda sums: sums.segments),
    ("dead_letters", "Requests that the store will never take", lambda sums: sums.dead_letters),
)


class Exposition(MetricSource):
    """Reads the sums when Prometheus asks: counting costs a request nothing more."""

    def __init__(
        self,
        stats: Stats,
        journal: Journal,
        clock: Callable[[], float],
        further: Sequence[MetricSource] = (),
        *,
        budget_bytes: int,
    ) -> None:
        self._stats = stats
        self._journal = journal
        self._clock = clock
        self._budget_bytes = budget_bytes
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        for source in (self, *further):
            self._registry.register(source)

    def text(self) -> bytes:
        """Return all metrics in the text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        counts = self._stats.snapshot()
        for name, help_text, read in _SUMS:
            family = CounterMetricFamily(_PREFIX + name, help_text, labels=["signal"])
            for signal in SIGNALS:
                family.add_metric([signal], read(counts[signal]))
            yield family
        yield _rejected(counts)
        yield self._lag()
        yield self._room()
        yield GaugeMetricFamily(
            _PREFIX + "journal_budget_bytes",
            "How large the journal may grow while the store is away",
            value=self._budget_bytes,
        )
        yield InfoMetricFamily(_PREFIX + "build", "What runs here", value={"version": version("faasight-platform")})

    def _lag(self) -> Metric:
        family = GaugeMetricFamily(
            _PREFIX + "ship_lag_seconds", "Age of the oldest request that the store does not have", labels=["signal"]
        )
        for signal in SIGNALS:
            family.add_metric([signal], lag(self._journal, signal, self._clock()))
        return family

    def _room(self) -> Metric:
        usage = self._journal.inventory.usage()
        family = GaugeMetricFamily(_PREFIX + "journal_bytes", "What the journal holds on disk", labels=["state"])
        for state, size in (("pending", usage.pending), ("kept", usage.kept), ("dead_letters", usage.dead_letters)):
            family.add_metric([state], size)
        return family


def _rejected(counts: dict[str, Counts]) -> Metric:
    family = CounterMetricFamily(_PREFIX + "rejected_requests", "Requests refused", labels=["signal", "reason"])
    for signal, sums in counts.items():
        for reason, number in sums.rejected.items():
            family.add_metric([signal, reason], number)
    return family
