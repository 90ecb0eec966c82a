"""Metrics in CloudWatch's embedded metric format (EMF), which functions print as lines of JSON.

Format: docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html.
The line stays a log line too, as it does in CloudWatch: keys that are neither metric nor dimension are on no metric.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from faasight_collector.inputs.batch import Batch, StatisticSet
from faasight_collector.inputs.json_line import log_line
from faasight_collector.inputs.lines import Line, number, text, time_ns
from faasight_collector.inputs.units import ucum

KEY = "_aws"
# CloudWatch's own bounds are 100 metrics a directive, 100 values a metric and 30 dimensions a set.
_MAX_VALUES = 100
_MAX_POINTS = 1_000  # of a line: sets of dimensions times metrics
_NAMES_SHOWN = 8


def take(batch: Batch, owner: Line, document: Mapping[str, Any], ts: int) -> Line:
    """Add the metrics of a document to the batch and return its log line. What is malformed is on the line alone."""
    aws = document.get(KEY)
    header: Mapping[str, Any] = aws if isinstance(aws, dict) else {}
    ts = time_ns(header.get("Timestamp"), ts)
    resource = _resource(owner, document)
    shown: dict[str, str] = {}
    for count, (name, point) in enumerate(_points(header, document, ts)):
        if count >= _MAX_POINTS:
            break
        batch.metrics.add(resource, point)
        if len(shown) < _NAMES_SHOWN:
            shown[name] = text(document[name])
    line = log_line({key: value for key, value in document.items() if key != KEY}, ts)
    line["message"] = line["message"] or " ".join(f"{name}={value[:80]}" for name, value in shown.items())
    return line


def _resource(owner: Line, document: Mapping[str, Any]) -> dict[str, str]:
    function = owner.get("function") or text(document.get("function"))
    named = {
        "faas.name": function,
        "cloud.account.id": owner.get("account", ""),
        "cloud.region": owner.get("region", ""),
        "deployment.environment.name": owner.get("environment", ""),
    }
    return {key: value for key, value in named.items() if value}


def _points(header: Mapping[str, Any], document: Mapping[str, Any], ts: int) -> Iterator[tuple[str, StatisticSet]]:
    for directive in _objects(header.get("CloudWatchMetrics")):
        namespace = directive.get("Namespace")
        if not isinstance(namespace, str):
            continue
        for metric in _objects(directive.get("Metrics")):
            name = metric.get("Name")
            values = _values(document.get(name)) if isinstance(name, str) else []
            if not values:
                continue
            for attributes in _dimensions(directive.get("Dimensions"), document):
                yield (
                    str(name),
                    StatisticSet(
                        metric=f"{namespace}/{name}",
                        unit=ucum(metric.get("Unit")),
                        ns=ts,
                        attributes=attributes,
                        count=len(values),
                        sum=math.fsum(values),
                        min=min(values),
                        max=max(values),
                    ),
                )


def _dimensions(sets: object, document: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Yield the attributes of each set of dimensions; without any set there is one that is empty."""
    found = sets if isinstance(sets, list) and sets else [[]]
    for names in found:
        if isinstance(names, list):
            yield {name: text(document[name]) for name in names if isinstance(name, str) and name in document}


def _objects(value: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))


def _values(value: object) -> list[float]:
    """Return the finite numbers of a metric's value: one, or an array."""
    items = value if isinstance(value, list) else [value]
    numbers = [float(found) for item in items[:_MAX_VALUES] if (found := number(item)) is not None]
    return [found for found in numbers if math.isfinite(found)]
