"""CloudWatch Metric Streams, in both formats, become the same OTLP metrics."""

import json
from pathlib import Path
from typing import Any

import pytest
from faasight_collector.errors import Refusal
from faasight_collector.inputs.batch import Batch
from faasight_collector.inputs.metric_streams import add_json, add_otlp, messages
from faasight_collector.segments import varint
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import NumberDataPoint

SAMPLES = Path(__file__).parent / "samples"
LINES = [json.loads(line) for line in (SAMPLES / "metric_stream.jsonl").read_text().splitlines()]
MINUTE = 1795248000000000000


def otlp_sample() -> bytes:
    document = json.loads((SAMPLES / "metric_stream_otlp.json").read_text())
    return json_format.ParseDict(document, ExportMetricsServiceRequest()).SerializeToString()


def figures(point: Any) -> tuple[float, ...]:
    """Return count, sum, minimum and maximum of a set, or the one value of a percentile."""
    if isinstance(point, NumberDataPoint):
        return (point.as_double,)
    return (point.count, point.sum, point.min, point.max)


def points(batch: Batch) -> list[dict[str, Any]]:
    (part,) = batch.rest()
    assert part.signal == "metrics"
    found = []
    for group in ExportMetricsServiceRequest.FromString(part.payload).resource_metrics:
        resource = {pair.key: pair.value.string_value for pair in group.resource.attributes}
        for metric in group.scope_metrics[0].metrics:
            for point in (*metric.histogram.data_points, *metric.gauge.data_points):
                found.append(  # noqa: PERF401  # it is too long for a comprehension
                    {
                        "name": metric.name,
                        "unit": metric.unit,
                        "function": resource.get("faas.name"),
                        "attributes": {pair.key: pair.value.string_value for pair in point.attributes},
                        "from": point.start_time_unix_nano,
                        "to": point.time_unix_nano,
                        "figures": figures(point),
                    }
                )
    return found


def from_json(*documents: Any) -> list[dict[str, Any]]:
    batch = Batch()
    for document in documents:
        add_json(batch, document, {}, 5)
    return points(batch)


def from_otlp(record: bytes) -> list[dict[str, Any]]:
    batch = Batch()
    for request in messages(record):
        assert add_otlp(batch, request, {})
    return points(batch)


def _by_name(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = ["Throttles", "ConcurrentExecutions", "Duration", "Duration.p99", "Duration.p99.9", "Invocations"]
    assert len(found) == len(names)
    return [next(point for point in found if point["name"].endswith(f"/{name}")) for name in names]


HERE = {"cloud.account.id": "123456789012", "cloud.region": "eu-west-1"}


def test_the_json_format() -> None:
    throttles, concurrent, duration, p99, p999, invocations = _by_name(from_json(*LINES))
    assert throttles == {
        "name": "amazonaws.com/AWS/Lambda/Throttles",
        "unit": "{Count}",
        "function": "checkout",
        "attributes": {**HERE, "FunctionName": "checkout"},
        "from": MINUTE,
        "to": MINUTE + 60 * 10**9,
        "figures": (20, 7.0, 0.0, 1.0),
    }
    assert concurrent["figures"] == (20, 120.0, 1.0, 10.0)
    assert duration["figures"] == (20, 900.0, 2.0, 300.5)
    assert [(item["name"], item["unit"], item["figures"]) for item in (p99, p999)] == [
        ("amazonaws.com/AWS/Lambda/Duration.p99", "ms", (290.25,)),
        ("amazonaws.com/AWS/Lambda/Duration.p99.9", "ms", (299.0,)),
    ]
    assert (duration["unit"], duration["attributes"]["Resource"]) == ("ms", "checkout:live")
    assert (invocations["function"], invocations["attributes"]) == (None, HERE), "the account's total"


def test_the_opentelemetry_format_says_the_same() -> None:
    record = otlp_sample()
    throttles, p99, errors = from_otlp(varint(len(record)) + record)
    same, same_p99 = from_json({**LINES[0], "value": {**LINES[0]["value"], "p99": 1.0}})
    assert (throttles, p99) == (same, same_p99)
    assert (errors["name"], errors["function"]) == ("amazonaws.com/AWS/Lambda/Errors", None)
    assert errors["figures"] == (41, 2.0, 0.0, 1.0)


def test_many_messages_in_one_record() -> None:
    one = varint(len(otlp_sample())) + otlp_sample()
    assert len(from_otlp(one * 3)) == 9


def old_format() -> bytes:
    """Return a message of OpenTelemetry 0.7: StringKeyValue labels in field 1 of each point."""
    label = b"\x0a\x09Namespace\x12\x0aAWS/Lambda"
    point = b"\x0a" + varint(len(label)) + label + b"\x19" + MINUTE.to_bytes(8, "little")
    summary = b"\x0a" + varint(len(point)) + point
    metric = b"\x0a\x01m" + b"\x5a" + varint(len(summary)) + summary
    scope = b"\x12" + varint(len(metric)) + metric
    group = b"\x12" + varint(len(scope)) + scope
    return b"\x0a" + varint(len(group)) + group


def test_opentelemetry_0_7_is_refused_by_name() -> None:
    record = old_format()
    with pytest.raises(Refusal, match=r"OpenTelemetry 0\.7: set .* opentelemetry1\.0 or json"):
        from_otlp(varint(len(record)) + record)


def test_other_kinds_of_metrics_are_no_metric_streams() -> None:
    request = ExportMetricsServiceRequest()
    request.resource_metrics.add().scope_metrics.add().metrics.add(name="m").gauge.data_points.add(as_int=1)
    assert not add_otlp(Batch(), request, {})


@pytest.mark.parametrize("record", [b"\x05abc", b"\xff" * 5, b"\x80", b"\x02\xff\xff"])
def test_a_record_that_is_cut_or_no_protobuf_is_refused(record: bytes) -> None:
    with pytest.raises(Refusal):
        list(messages(record))


@pytest.mark.parametrize(
    "changes",
    [
        {"namespace": 5}, {"metric_name": None}, {"value": 5}, {"value": {}},
        {"value": {"count": 1, "sum": 1, "min": 1}}, {"value": {"count": -1, "sum": 1, "min": 1, "max": 1}},
        {"value": {"count": 1e300, "sum": 1, "min": 1, "max": 1}},
        {"value": {"count": True, "sum": 1, "min": 1, "max": 1}},
    ],
)  # fmt: skip
def test_a_malformed_point_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Refusal):
        from_json({**LINES[0], **changes})


@pytest.mark.parametrize("changes", [{"dimensions": 5}, {"timestamp": "x"}, {"unit": None}, {"region": 5}])
def test_what_can_be_done_without_is_done_without(changes: dict[str, Any]) -> None:
    (point,) = from_json({**LINES[0], **changes})
    assert point["figures"][1] == 7.0
