"""What one request of an input adds up to: lines of `records` and metrics, given on as parts of a few MiB."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_DELTA, Metric, ScopeMetrics

from faasight_collector.inputs.lines import Line, encode
from faasight_collector.parts import Part

PIECE = 1024 * 1024  # bytes of a part, about: what is given on is let go of


Resource = tuple[tuple[str, str], ...]  # its attributes, sorted


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticSet:
    """CloudWatch's form of a metric point: what was seen of some values in a span of time.

    `ns` is the end of that time, Unix nanoseconds; `quantiles` are (0 to 1, value) beside minimum and maximum.
    """

    metric: str
    unit: str  # UCUM
    ns: int
    start_ns: int = 0
    attributes: Mapping[str, str]
    count: int
    sum: float
    min: float
    max: float
    quantiles: Sequence[tuple[float, float]] = ()


class Metrics:
    """Statistic sets as one OTLP request, grouped by resource and metric.

    A set is what happened in one period: a delta histogram of one bucket, with sum, minimum and maximum. (CloudWatch's
    own OpenTelemetry format says "summary", which everybody else means as a sum since the start.) Its percentiles
    cannot be put together with others': each is a gauge of its own.
    """

    def __init__(self) -> None:
        self.points = 0
        self._request = ExportMetricsServiceRequest()
        self._scopes: dict[Resource, ScopeMetrics] = {}
        self._metrics: dict[tuple[Resource, str, str], Metric] = {}

    def add(self, resource: Mapping[str, str], point: StatisticSet) -> None:
        """Add one point of a resource."""
        owner = tuple(sorted(resource.items()))
        attributes = key_values(point.attributes)
        histogram = self._metric(owner, point.metric, point.unit).histogram
        histogram.aggregation_temporality = AGGREGATION_TEMPORALITY_DELTA
        histogram.data_points.add(
            start_time_unix_nano=point.start_ns,
            time_unix_nano=point.ns,
            count=point.count,
            sum=point.sum,
            min=point.min,
            max=point.max,
            bucket_counts=[point.count],
            attributes=attributes,
        )
        for quantile, value in point.quantiles:
            gauge = self._metric(owner, f"{point.metric}.p{quantile * 100:g}", point.unit).gauge
            gauge.data_points.add(time_unix_nano=point.ns, as_double=value, attributes=attributes)
        self.points += 1 + len(point.quantiles)

    def _metric(self, resource: Resource, name: str, unit: str) -> Metric:
        key = (resource, name, unit)
        if key not in self._metrics:
            if resource not in self._scopes:
                group = self._request.resource_metrics.add()
                group.resource.attributes.extend(key_values(dict(resource)))
                self._scopes[resource] = group.scope_metrics.add()
            self._metrics[key] = self._scopes[resource].metrics.add(name=name, unit=unit)
        return self._metrics[key]

    def encode(self) -> bytes:
        """Return the OTLP request."""
        return self._request.SerializeToString()


def key_values(attributes: Mapping[str, str]) -> list[KeyValue]:
    """Return texts as OTLP attributes."""
    return [KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in attributes.items()]


@dataclass(slots=True)
class Batch:
    """Collects lines and metrics of one request. With a `key`, its parts are named by it and their number."""

    key: bytes | None = None
    metrics: Metrics = field(default_factory=Metrics)
    _lines: list[bytes] = field(default_factory=list)
    _size: int = 0
    _given: int = 0
    _parts: list[Part] = field(default_factory=list)

    def add(self, line: Line) -> None:
        """Add one line of `records`."""
        encoded = encode([line])
        self._lines.append(encoded)
        self._size += len(encoded)

    def give(self, part: Part) -> None:
        """Give on a part as it is, known by its own bytes."""
        self._parts.append(part)
        self._size += len(part.payload)

    def full(self) -> Iterator[Part]:
        """Yield what is large enough to be given on; to be called now and then."""
        if self._size >= PIECE or self.metrics.points * 200 >= PIECE:
            yield from self.rest()

    def rest(self) -> Iterator[Part]:
        """Yield all that is left."""
        yield from self._parts
        if self._lines:
            yield self._part("records", b"".join(self._lines))
        self._lines, self._parts, self._size = [], [], 0
        if self.metrics.points:
            yield self._part("metrics", self.metrics.encode())
            self.metrics = Metrics()

    def _part(self, signal: str, payload: bytes) -> Part:
        self._given += 1
        if self.key is not None:
            return Part(signal, payload, b"%s#%d" % (self.key, self._given))
        # A part is known by its bytes; two of one request may be equal, a thousand times the same line.
        again = self._given > 1
        return Part(signal, payload, b"%d %s" % (self._given, sha256(payload).digest()) if again else None)
