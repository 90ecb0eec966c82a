"""Metrics for tests, built with the official protobuf messages."""

from collections.abc import Iterable, Mapping
from typing import Any

import otlp
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

DELTA, CUMULATIVE = 1, 2


class Request:
    """One export of one resource, filled metric by metric."""

    def __init__(self, of: Mapping[str, Any] | None = None) -> None:
        self.message = ExportMetricsServiceRequest()
        resource_metrics = self.message.resource_metrics.add()
        resource_metrics.resource.attributes.extend(otlp.attributes(otlp.resource() if of is None else of))
        resource_metrics.schema_url = "https://opentelemetry.io/schemas/1.27.0"
        self._scope = resource_metrics.scope_metrics.add()
        self._scope.scope.name, self._scope.scope.version = "meter", "1.2"
        self._scope.scope.attributes.extend(otlp.attributes({"of": "scope"}))

    def add(
        self,
        kind: str,
        name: str,
        points: Iterable[Mapping[str, Any]],
        *,
        temporality: int = CUMULATIVE,
        monotonic: bool = True,
        unit: str = "1",
    ) -> "Request":
        """Add a metric; a point is its protobuf fields, with `attributes` as a mapping."""
        metric = self._scope.metrics.add(name=name, unit=unit, description=f"what {name} means")
        data = getattr(metric, kind)
        if kind in {"sum", "histogram", "exponential_histogram"}:
            data.aggregation_temporality = temporality
        if kind == "sum":
            data.is_monotonic = monotonic
        for fields in points:
            known = dict(fields)
            attributes = otlp.attributes(known.pop("attributes", {}))
            data.data_points.add(attributes=attributes, **known)
        return self

    def segment(self) -> bytes:
        """Return the journal segment."""
        return otlp.segment(self.message)
