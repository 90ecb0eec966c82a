"""What alert rules measure."""

import pytest
from faasight_store.queries import signals
from shop_history import Shop

EXPECTED = {
    "invocations": 3,
    "errors": 2,
    "error_rate": 2 / 3,
    "timeouts": 0,
    "out_of_memory": 0,
    "lost": 0,
    "throttles": 0,
    "throttle_rate": 0,
    "cold_starts": 1,
    "cold_start_rate": 1 / 3,
    "duration_p50_ms": 45,
    "duration_p90_ms": 120,
    "duration_p95_ms": 120,
    "duration_p99_ms": 120,
    "duration_max_ms": 120,
    "timeout_headroom": 0.04,
    "memory_used_ratio": 0.25,
}


@pytest.mark.parametrize("signal", signals.SIGNALS)
def test_every_signal_by_function(shop: Shop, signal: str) -> None:
    found = {m.labels["function"]: m for m in signals.measure(shop.store, signal, shop.scope.start, shop.scope.end)}
    assert list(found) == ["checkout", "payment", "stock"]
    if signal == "cost_usd":
        assert found["checkout"].value == pytest.approx(
            3 * 2e-7 + (0.120 + 0.040 + 0.045) * 0.5 * 0.0000166667, rel=1e-6
        )
    else:
        assert found["checkout"].value == pytest.approx(EXPECTED[signal])
    assert found["checkout"].samples == 3


def test_throttles_have_their_base(shop: Shop) -> None:
    rate = {
        m.labels["function"]: m for m in signals.measure(shop.store, "throttle_rate", shop.scope.start, shop.scope.end)
    }
    assert (rate["stock"].value, rate["stock"].samples) == (1.0, 1)
    near = {
        m.labels["function"]: m
        for m in signals.measure(shop.store, "timeout_headroom", shop.scope.start, shop.scope.end)
    }
    assert near["payment"].value == 1.0


def test_groups(shop: Shop) -> None:
    start, end = shop.scope.start, shop.scope.end
    (one,) = signals.measure(shop.store, "invocations", start, end, ())
    assert (one.labels, one.value, one.samples) == ({}, 5, 5)
    everything = signals.measure(shop.store, "errors", start, end, ("function", "version", "environment", "region"))
    assert everything[0].labels == {
        "function": "checkout",
        "version": "7",
        "environment": "default",
        "region": "eu-west-1",
    }
    (nothing,) = signals.measure(shop.store, "error_rate", end, end.replace(year=end.year + 1), ())
    assert (nothing.value, nothing.samples) == (0, 0)
    assert signals.measure(shop.store, "errors", end, end.replace(year=end.year + 1)) == []


def test_unknown_names_are_refused(shop: Shop) -> None:
    with pytest.raises(ValueError, match="there is no signal 'x'"):
        signals.measure(shop.store, "x", shop.scope.start, shop.scope.end)
    with pytest.raises(ValueError, match="cannot be grouped by 'a; DROP'"):
        signals.measure(shop.store, "errors", shop.scope.start, shop.scope.end, ("a; DROP",))
