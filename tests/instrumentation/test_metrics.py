"""The user's own numbers, from the call to the collector."""

import threading
from typing import Any

import faasight
import pytest
from faasight.complain import complaints


def arrived(sink: Any, count: int) -> dict[str, Any]:
    import time

    deadline = time.monotonic() + 10
    while len(sink.metrics()) < count and time.monotonic() < deadline:
        time.sleep(0.005)
    return {metric.name: metric for metric in sink.metrics()}


def test_sums_are_deltas_and_gauges_keep_the_last(agent: Any, sink: Any) -> None:
    @faasight.observe
    def handler(event: Any, context: Any) -> None:
        faasight.metric("orders", 1, currency="EUR")
        faasight.metric("orders", 2, currency="EUR")
        faasight.metric("balance", -3.5, unit="EUR")
        faasight.metric("stock", 7, kind="gauge", item="tea")
        faasight.metric("stock", 6, kind="gauge", item="tea")

    handler({}, None)
    metrics = arrived(sink, 3)
    (orders,) = metrics["orders"].sum.data_points
    assert (orders.as_int, orders.attributes[0].key, orders.attributes[0].value.string_value) == (3, "currency", "EUR")
    assert metrics["orders"].sum.aggregation_temporality == 1
    assert metrics["orders"].sum.is_monotonic
    assert 0 < orders.start_time_unix_nano < orders.time_unix_nano
    (balance,) = metrics["balance"].sum.data_points
    assert (balance.as_double, metrics["balance"].unit, metrics["balance"].sum.is_monotonic) == (-3.5, "EUR", False)
    assert [point.as_int for point in metrics["stock"].gauge.data_points] == [6]
    handler({}, None)
    arrived(sink, 6)
    values = [metric.sum.data_points[0].as_int for metric in sink.metrics() if metric.name == "orders"]
    assert values == [3, 3], "a delta starts anew with each flush"


def test_many_threads_add_up(agent: Any, sink: Any) -> None:
    def add() -> None:
        for _ in range(500):
            faasight.metric("n", 1)

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    faasight.flush(5.0)
    assert arrived(sink, 1)["n"].sum.data_points[0].as_int == 4_000


@pytest.mark.parametrize(("value", "kind"), [(float("nan"), "sum"), ("7", "sum"), (float("inf"), "gauge"), (1, "mean")])
def test_what_is_no_number_is_refused_with_a_line(
    agent: Any, value: Any, kind: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(complaints, "_next", 0.0)
    faasight.metric("orders", value, kind=kind)
    assert "metric 'orders'" in capsys.readouterr().err


def test_dimensions_without_end_are_bounded(
    agent: Any, sink: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(complaints, "_next", 0.0)
    for number in range(1_005):
        faasight.metric("orders", 1, order=number)
    faasight.flush(5.0)
    arrived(sink, 1_000)
    assert len(sink.metrics()) == 1_000
    assert "more than 1000 metric series" in capsys.readouterr().err


def test_a_dimension_that_cannot_be_a_key_is_a_fault_of_the_caller_and_no_more(
    new_agent: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    new_agent(FAASIGHT_STRICT="0")
    monkeypatch.setattr(complaints, "_next", 0.0)
    faasight.metric("orders", 1, tags=["a"])
    assert "metric failed" in capsys.readouterr().err
