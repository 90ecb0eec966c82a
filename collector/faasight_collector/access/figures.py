"""What Prometheus is told of connections, tokens and the certificate."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector as MetricSource

from faasight_collector.access.control import Access

_PREFIX = "faasight_collector_"


class AccessFigures(MetricSource):
    """Reads them when they are asked for; `connections` counts the open ones, `ended` those ended by us, by reason."""

    def __init__(self, access: Access, connections: Callable[[], int], ended: Mapping[str, int]) -> None:
        self._access = access
        self._connections = connections
        self._ended = ended

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        yield GaugeMetricFamily(_PREFIX + "connections", "HTTP connections that are open", value=self._connections())
        ended = CounterMetricFamily(
            _PREFIX + "connections_ended", "HTTP connections that the collector ended early", labels=["reason"]
        )
        for reason, number in self._ended.items():
            ended.add_metric([reason], number)
        yield ended
        if self._access.certificates is not None:
            yield GaugeMetricFamily(
                _PREFIX + "tls_certificate_expiry_timestamp_seconds",
                "When the certificate ceases to be valid",
                value=self._access.certificates.expires.timestamp(),
            )
        yield from self._tokens()

    def _tokens(self) -> Iterator[Metric]:
        if self._access.guard is None:
            return
        used = CounterMetricFamily(_PREFIX + "token_requests", "Requests let in with a token", labels=["token"])
        last = GaugeMetricFamily(
            _PREFIX + "token_last_used_timestamp_seconds", "When a token was last used", labels=["token"]
        )
        for grant in self._access.guard.grants():
            used.add_metric([grant.token.name], grant.used)
            if grant.last_used:
                last.add_metric([grant.token.name], grant.last_used)
        yield used
        yield last
