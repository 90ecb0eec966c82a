"""The list of functions and the anatomy of cold starts."""

from dataclasses import replace

import pytest
from faasight_store.queries import functions
from shop_history import Shop


def test_the_list(shop: Shop) -> None:
    checkout, payment, stock = functions.functions(shop.store, shop.scope)
    assert [row.function for row in (checkout, payment, stock)] == ["checkout", "payment", "stock"]
    assert (checkout.runtime, checkout.version, checkout.architecture) == ("python3.11", "7", "amd64")
    assert (checkout.region, checkout.account, checkout.provider) == ("eu-west-1", "123456789012", "aws")
    assert (checkout.memory_mb, checkout.memory_used_mb, checkout.timeout_ms) == (512, 128, 3000)
    assert (checkout.totals.invocations, checkout.totals.errors, checkout.max_ms) == (3, 2, 120)
    assert checkout.init_p95_ms == pytest.approx(250, rel=0.02)
    assert (len(checkout.spark), sum(checkout.spark)) == (functions.SPARK_BUCKETS, 3)
    assert checkout.last_seen <= shop.now
    assert (payment.totals.timeouts, payment.init_p95_ms) == (1, None)
    assert (stock.totals.invocations, stock.totals.throttles, stock.memory_mb) == (0, 1, None)


def test_one(shop: Shop) -> None:
    row = functions.function(shop.store, shop.scope, "payment")
    assert row is not None
    assert row.totals.invocations == 2
    assert functions.function(shop.store, shop.scope, "nobody") is None
    assert functions.function(shop.store, replace(shop.scope, environment="other"), "payment") is None


def test_cold_starts(shop: Shop) -> None:
    cold = functions.cold_starts(shop.store, shop.scope, "checkout")
    assert (cold.count, cold.share, cold.p50_ms, cold.by_init_type) == (
        1,
        pytest.approx(1 / 3),
        pytest.approx(250, rel=0.02),
        {"on-demand": 1},
    )
    (module,) = cold.imports
    assert (module.module, module.count, module.mean_ms, module.self_ms) == ("pandas", 1, 180, 90.5)
    assert cold.overhead_ms == 12.5
    warm = functions.cold_starts(shop.store, shop.scope, "payment")
    assert (warm.count, warm.share, warm.p50_ms, warm.imports, warm.overhead_ms) == (0, 0, None, [], None)
