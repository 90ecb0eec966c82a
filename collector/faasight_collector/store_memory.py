"""The embedded engine's share of this process's memory: how large an insert may be, and what /metrics says of it."""

from collections.abc import Iterator

from faasight_store import Memory, Store
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector as MetricSource

from faasight_collector.settings import SEGMENT_BYTES

_PREFIX = "faasight_collector_"
_TIMES = 32  # the memory that an insert takes, by its segment's size: 18 was measured, and others want some too


def segment_bytes(store_memory_bytes: int) -> int:
    """Return how large segments may be for an engine that may take so much memory; 0 is no bound."""
    return min(SEGMENT_BYTES, store_memory_bytes // _TIMES) if store_memory_bytes else SEGMENT_BYTES


class StoreMemory(MetricSource):
    """What the engine said last: to ask it may take a while, and Prometheus is answered by the event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: Memory | None = None

    def look(self) -> None:
        """Ask the engine. Raises StoreError."""
        self._seen = self._store.memory()

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; none for a server, whose memory is not ours."""
        if self._seen is None:
            return
        yield GaugeMetricFamily(
            _PREFIX + "store_memory_bytes", "Memory that the embedded engine takes", value=self._seen.used
        )
        yield GaugeMetricFamily(_PREFIX + "store_memory_limit_bytes", "Memory that it may take", value=self._seen.limit)
