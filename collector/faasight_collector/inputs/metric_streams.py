"""CloudWatch Metric Streams, in JSON and in OpenTelemetry 1.0, turned into OTLP metrics.

Formats: docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-metric-streams-formats.html. Both become
the same statistic sets, named as in the OpenTelemetry one: `amazonaws.com/AWS/Lambda/Throttles`. Dimensions are
attributes under their own names: a function's series is found by `FunctionName`.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, SummaryDataPoint

from faasight_collector.errors import Refusal
from faasight_collector.inputs.batch import Batch, Metrics, StatisticSet
from faasight_collector.inputs.lines import Line, number, text, time_ns
from faasight_collector.inputs.units import ucum

_PREFIX = "amazonaws.com/"
_PERIOD_NS = 60 * 10**9  # of a point in the JSON format, which tells the start of its minute alone
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,10})?)")
OLD_FORMAT = "opentelemetry_0_7"  # the reason of a refusal
_MAX_MESSAGES = 10_000  # of a record; CloudWatch puts a few into one
_LABELS = 1  # the field of a 0.7 data point that 1.0 replaced by `attributes`


def is_metric(found: object) -> bool:
    """Tell whether a JSON value is a point of a metric stream."""
    return isinstance(found, dict) and "metric_stream_name" in found and "metric_name" in found


def add_json(batch: Batch, found: Mapping[str, Any], sender: Line, now_ns: int) -> None:
    """Add one point of the JSON format. Raises Refusal if it is malformed."""
    namespace, name, value = found.get("namespace"), found.get("metric_name"), found.get("value")
    if not isinstance(namespace, str) or not isinstance(name, str) or not isinstance(value, dict):
        raise Refusal("corrupt_metric", "a metric needs namespace, metric_name and value")
    numbers = {key: float(given) for key, item in value.items() if (given := number(item)) is not None}
    if any(not math.isfinite(numbers.get(key, math.nan)) for key in ("count", "sum", "min", "max")):
        raise Refusal("corrupt_metric", f"the value of {name[:100]} needs count, sum, min and max")
    if not 0 <= numbers["count"] < 1 << 63:
        raise Refusal("corrupt_metric", f"the count of {name[:100]} is no count")
    dimensions = found.get("dimensions")
    attributes = {key: text(item) for key, item in dimensions.items()} if isinstance(dimensions, dict) else {}
    account, region = text(found.get("account_id")), text(found.get("region"))
    start = time_ns(found.get("timestamp"), now_ns)
    batch.metrics.add(
        _resource(namespace, attributes, account, region, sender),
        StatisticSet(
            metric=f"{_PREFIX}{namespace}/{name}",
            unit=ucum(found.get("unit")),
            start_ns=start,
            ns=min(start + _PERIOD_NS, (1 << 63) - 1),
            attributes=_located(attributes, account, region),
            count=round(numbers["count"]),
            sum=numbers["sum"],
            min=numbers["min"],
            max=numbers["max"],
            quantiles=_percentiles(numbers),
        ),
    )


def _percentiles(numbers: Mapping[str, float]) -> list[tuple[float, float]]:
    found = [(float(match[1]) / 100, value) for key, value in numbers.items() if (match := _PERCENTILE.fullmatch(key))]
    return sorted(found)


def _resource(namespace: str, attributes: Mapping[str, str], account: str, region: str, sender: Line) -> dict[str, str]:
    function = attributes.get("FunctionName", "") if namespace in {"AWS/Lambda", "LambdaInsights"} else ""
    named = {
        "cloud.provider": "aws",
        "cloud.account.id": account,
        "cloud.region": region,
        "faas.name": function,
        "deployment.environment.name": sender.get("environment", ""),
    }
    return {key: value for key, value in named.items() if value}


def _located(attributes: Mapping[str, str], account: str, region: str) -> dict[str, str]:
    """Return a point's attributes with where it was counted: the same function's name may be in several regions."""
    located = {"cloud.account.id": account, "cloud.region": region}
    return {**{key: value for key, value in located.items() if value}, **attributes}


# -- OpenTelemetry ----------------------------------------------------------------------------------------------------


def messages(record: bytes) -> Iterator[ExportMetricsServiceRequest]:
    """Yield the messages of a record, each with its length before it as a varint. Raises Refusal."""
    position = count = 0
    while position < len(record):
        count += 1
        if count > _MAX_MESSAGES:  # 20 MB of empty ones would take minutes
            raise Refusal("too_complex", f"more than {_MAX_MESSAGES} OTLP messages in one record", http=413)
        length, start = _varint(record, position)
        position = start + length
        if position > len(record):
            raise Refusal("corrupt_protobuf", "a message of the record ends too early")
        try:
            yield ExportMetricsServiceRequest.FromString(record[start:position])
        except DecodeError as error:
            raise Refusal("corrupt_protobuf", f"a message of the record is no OTLP metrics request: {error}") from error


def _varint(data: bytes, position: int) -> tuple[int, int]:
    number_, shift = 0, 0
    for at in range(position, min(position + 5, len(data))):
        number_ |= (data[at] & 0x7F) << shift
        if not data[at] & 0x80:
            return number_, at + 1
        shift += 7
    raise Refusal("corrupt_protobuf", "a length before a message is no varint")


def add_otlp(batch: Batch, request: ExportMetricsServiceRequest, sender: Line) -> bool:
    """Add the summaries of one message; False if it holds other kinds too: then it is no metric stream's.

    Raises Refusal for OpenTelemetry 0.7, whose points look alike and have lost their names and dimensions.
    """
    metrics = [item for group in request.resource_metrics for scope in group.scope_metrics for item in scope.metrics]
    if any(metric.WhichOneof("data") != "summary" for metric in metrics):
        return False
    for group in request.resource_metrics:
        resource = {pair.key: _text(pair.value) for pair in group.resource.attributes}
        for scope in group.scope_metrics:
            for metric in scope.metrics:
                for point in metric.summary.data_points:
                    _refuse_old(point)
                    _add_point(batch.metrics, resource, metric, point, sender)
    return True


def _refuse_old(point: SummaryDataPoint) -> None:
    if not point.attributes and _has_unknown(point, _LABELS):
        advice = "set the metric stream's output format to opentelemetry1.0 or json"
        raise Refusal(OLD_FORMAT, f"this is OpenTelemetry 0.7: {advice}")


def _has_unknown(point: SummaryDataPoint, number_: int) -> bool:
    unknown = UnknownFieldSet(point)
    return any(unknown[index].field_number == number_ for index in range(len(unknown)))


def _add_point(
    metrics: Metrics, resource: Mapping[str, str], metric: Metric, point: SummaryDataPoint, sender: Line
) -> None:
    given = {pair.key: pair.value for pair in point.attributes}
    namespace = _text(given.pop("Namespace", None))
    given.pop("MetricName", None)
    dimensions = given.pop("Dimensions", None)
    attributes = {key: _text(value) for key, value in given.items()}
    if dimensions is not None:
        attributes.update({pair.key: _text(pair.value) for pair in dimensions.kvlist_value.values})
    account, region = resource.get("cloud.account.id", ""), resource.get("cloud.region", "")
    inner = {item.quantile: item.value for item in point.quantile_values}
    metrics.add(
        {**resource, **_resource(namespace, attributes, account, region, sender)},
        StatisticSet(
            metric=metric.name,
            unit=metric.unit,
            start_ns=point.start_time_unix_nano,
            ns=point.time_unix_nano,
            attributes=_located(attributes, account, region),
            count=point.count,
            sum=point.sum,
            min=inner.pop(0.0, 0.0),
            max=inner.pop(1.0, 0.0),
            quantiles=sorted(inner.items()),
        ),
    )


def _text(value: AnyValue | None) -> str:
    if value is None:
        return ""
    kind = value.WhichOneof("value")
    return value.string_value if kind == "string_value" else str(getattr(value, kind)) if kind else ""
