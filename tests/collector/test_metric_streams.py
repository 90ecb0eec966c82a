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

SAMPLES = Path(__file__).parent / "samples"
LINES = [json.loads(line) for line in (SAMPLES / "metric_stream.jsonl").read_text().splitlines()]
MINUTE = 1795248000000000000


def otlp_sample() -> bytes:
    document = json.loads((SAMPLES / "metric_stream_otlp.json").read_text())
    return json_format.ParseDict(document, ExportMetricsServiceRequest()).SerializeToString()


def points(batch: Batch) -> list[dict[str, Any]]:
    (part,) = batch.rest()
    assert part.signal == "metrics"
    found = []
    for group in ExportMetricsServiceRequest.FromString(part.payload).resource_metrics:
        resource = {pair.key: pair.value.string_value for pair in group.resource.attributes}
        for metric in group.scope_metrics[0].metrics:
            for point in metric.summary.data_points:
                found.append(  # noqa: PERF401  # it is too long for a comprehension
                    {
                        "name": metric.name,
                        "unit": metric.unit,
                        "function": resource.get("faas.name"),
                        "attributes": {pair.key: pair.value.string_value for pair in point.attributes},
                        "from": point.start_time_unix_nano,
                        "to": point.time_unix_nano,
                        "count": point.count,
                        "sum": point.sum,
                        "quantiles": [(item.quantile, item.value) for item in point.quantile_values],
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


HERE = {"cloud.account.id": "123456789012", "cloud.region": "eu-west-1"}


def test_the_json_format() -> None:
    throttles, concurrent, duration, invocations = from_json(*LINES)
    assert throttles == {
        "name": "amazonaws.com/AWS/Lambda/Throttles",
        "unit": "{Count}",
        "function": "checkout",
        "attributes": {**HERE, "FunctionName": "checkout"},
        "from": MINUTE,
        "to": MINUTE + 60 * 10**9,
        "count": 20,
        "sum": 7.0,
        "quantiles": [(0.0, 0.0), (1.0, 1.0)],
    }
    assert concurrent["quantiles"] == [(0.0, 1.0), (1.0, 10.0)]
    assert duration["quantiles"] == [(0.0, 2.0), (0.99, 290.25), (pytest.approx(0.999), 299.0), (1.0, 300.5)]
    assert (duration["unit"], duration["attributes"]["Resource"]) == ("ms", "checkout:live")
    assert (invocations["function"], invocations["attributes"]) == (None, HERE), "the account's total"


def test_the_opentelemetry_format_says_the_same() -> None:
    record = otlp_sample()
    throttles, errors = from_otlp(varint(len(record)) + record)
    (same,) = from_json({**LINES[0], "value": {**LINES[0]["value"], "p99": 1.0}})
    assert throttles == same
    assert (errors["name"], errors["function"], errors["sum"]) == ("amazonaws.com/AWS/Lambda/Errors", None, 2.0)


def test_many_messages_in_one_record() -> None:
    one = varint(len(otlp_sample())) + otlp_sample()
    assert len(from_otlp(one * 3)) == 6


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
    assert point["sum"] == 7.0
