"""Lines in CloudWatch's embedded metric format become metrics, and stay log lines."""

import json
from pathlib import Path
from typing import Any

import pytest
from faasight_collector.inputs.batch import Batch
from faasight_collector.inputs.output import add_output
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

SAMPLE: dict[str, Any] = json.loads((Path(__file__).parent / "samples" / "emf.json").read_text())
OWNER = {"function": "checkout", "account": "123456789012", "region": "eu-west-1", "environment": "live"}


def taken(record: Any) -> tuple[ExportMetricsServiceRequest, list[dict[str, Any]]]:
    batch = Batch()
    add_output(batch, OWNER, record, 5)
    request, lines = ExportMetricsServiceRequest(), []
    for part in batch.rest():
        if part.signal == "metrics":
            request = ExportMetricsServiceRequest.FromString(part.payload)
        else:
            lines += [json.loads(line) for line in part.payload.splitlines()]
    return request, lines


def points(request: ExportMetricsServiceRequest) -> dict[tuple[str, tuple[tuple[str, str], ...]], Any]:
    return {
        (metric.name, tuple(sorted((pair.key, pair.value.string_value) for pair in point.attributes))): point
        for group in request.resource_metrics
        for scope in group.scope_metrics
        for metric in scope.metrics
        for point in metric.histogram.data_points
    }


@pytest.mark.parametrize("record", [SAMPLE, json.dumps(SAMPLE) + "\n"], ids=["object", "text"])
def test_each_metric_has_a_point_for_each_set_of_dimensions(record: Any) -> None:
    request, _ = taken(record)
    found = points(request)
    sets = [(("service", "checkout"),), (("country", "PL"), ("service", "checkout")), ()]
    assert set(found) == {(name, dimensions) for name in ("Shop/orders", "Shop/latency") for dimensions in sets}
    orders, latency = found["Shop/orders", ()], found["Shop/latency", ()]
    assert (orders.count, orders.sum, orders.time_unix_nano) == (1, 3.0, 1795248000000000000)
    assert (latency.count, latency.sum) == (3, 42.5)
    assert (latency.min, latency.max, list(latency.bucket_counts)) == (2.0, 30.0, [3])
    units = {metric.name: metric.unit for metric in request.resource_metrics[0].scope_metrics[0].metrics}
    assert units == {"Shop/orders": "{Count}", "Shop/latency": "ms"}


def test_the_resource_is_the_function() -> None:
    request, _ = taken(SAMPLE)
    resource = {pair.key: pair.value.string_value for pair in request.resource_metrics[0].resource.attributes}
    assert resource == {
        "faas.name": "checkout",
        "cloud.account.id": "123456789012",
        "cloud.region": "eu-west-1",
        "deployment.environment.name": "live",
    }


def test_the_line_stays_a_log_line() -> None:
    _, (line,) = taken(SAMPLE)
    assert (line["kind"], line["message"], line["ts"]) == ("log", "orders=3 latency=[10.5,2,30]", 1795248000000000000)
    assert line["request_id"] == SAMPLE["requestId"]
    assert line["attributes"]["country"] == "PL"
    assert "_aws" not in line["attributes"]


def directive(**changes: Any) -> dict[str, Any]:
    given = {"Namespace": "N", "Dimensions": [[]], "Metrics": [{"Name": "m"}], **changes}
    return {"_aws": {"Timestamp": 1795248000000, "CloudWatchMetrics": [given]}, "m": 1, "d": "x"}


def test_without_dimensions_there_is_one_point_without() -> None:
    request, _ = taken(directive(Dimensions=None))
    assert list(points(request)) == [("N/m", ())]


@pytest.mark.parametrize(
    "document",
    [
        {"_aws": 5}, {"_aws": {}}, {"_aws": {"CloudWatchMetrics": {}}}, {"_aws": {"CloudWatchMetrics": [5, None]}},
        directive(Namespace=5), directive(Metrics=[{"Name": "absent"}, {"Name": 5}, 5]), directive(Metrics="m"),
        directive(Dimensions=[5, "m"]), directive() | {"m": "text"}, directive() | {"m": []}, directive() | {"m": True},
    ],
)  # fmt: skip
def test_a_malformed_one_is_a_log_line_and_nothing_more(document: Any) -> None:
    request, lines = taken(document)
    assert not request.resource_metrics
    assert len(lines) == 1


def test_one_line_cannot_make_a_million_points() -> None:
    names = [f"m{n}" for n in range(500)]
    document = directive(Dimensions=[["d"]] * 500, Metrics=[{"Name": name} for name in names])
    request, _ = taken(document | dict.fromkeys(names, 1))
    assert sum(len(m.histogram.data_points) for m in request.resource_metrics[0].scope_metrics[0].metrics) == 1000


SCALARS = st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats()
anything = st.recursive(
    SCALARS | st.sampled_from(["m", "d", "N", "Count"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["Namespace", "Dimensions", "Metrics", "Name", "Unit", "CloudWatchMetrics", "Timestamp"]), inner
    ),
    max_leaves=12,
)  # fmt: skip


@given(anything, anything)
def test_any_shape_at_all_is_one_line(header: Any, value: Any) -> None:
    _, lines = taken({"_aws": header, "m": value, "d": value})
    assert len(lines) == 1
