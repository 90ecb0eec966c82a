"""Log lines: search, volume and live tail on the real engine."""

import time
from dataclasses import replace
from datetime import timedelta

import otlp
import pytest
from faasight_store import Store
from faasight_store.queries import logs
from faasight_store.types import Scope
from polling import wait_until
from shop_history import Shop


def _found(shop: Shop, query: str) -> list[str]:
    return [line.message for line in logs.search(shop.store, shop.scope, query)]


ACCEPTED, LOW, REFUSED = "order accepted", "Stock is low", "payment refused: 100%_sure"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [REFUSED, LOW, ACCEPTED]),
        ("level:error", [REFUSED]),
        ("level:>=warn", [REFUSED, LOW]),
        ("-level:error", [LOW, ACCEPTED]),
        ("stock", [LOW]),
        ('"IS LOW"', [LOW]),
        ("path:/health", [ACCEPTED]),
        ("-path:/health", [REFUSED, LOW]),
        ("path:*", [REFUSED, LOW, ACCEPTED]),
        ("nothing:*", []),
        ("duration_ms:>50 duration_ms:<150", [LOW]),
        ("function:check*", [REFUSED, LOW, ACCEPTED]),
        ("function:pay*", []),
        ("message:*100%_s*", [REFUSED]),
        ("message:*100_*", []),
        ("logger:shop level:info", [ACCEPTED]),
        ("'; DROP TABLE logs --", []),
    ],
)
def test_search(shop: Shop, query: str, expected: list[str]) -> None:
    assert _found(shop, query) == expected


def test_ids_find_lines(shop: Shop) -> None:
    assert len(_found(shop, f"request_id:{shop.order.request_id}")) == 3
    assert len(_found(shop, f"trace_id:{shop.order.trace_id.hex().upper()} span_id:{shop.order.span_id.hex()}")) == 3
    assert _found(shop, f"trace_id:{'0' * 31}1") == []


def test_a_row_holds_everything(shop: Shop) -> None:
    line = logs.search(shop.store, shop.scope, "level:error")[0]
    assert (line.function, line.level, line.request_id, line.trace_id) == (
        "checkout",
        "ERROR",
        shop.order.request_id,
        shop.order.trace_id.hex(),
    )
    assert line.attributes == {"path": "/orders", "duration_ms": "200", "logger": "shop"}
    assert line.ts_ns == shop.order.start_ns + 2 * otlp.MS


def test_scope_environment_and_limit(shop: Shop) -> None:
    assert [line.message for line in logs.search(shop.store, shop.scope, limit=1)] == [REFUSED]
    assert logs.search(shop.store, replace(shop.scope, environment="other")) == []
    assert logs.search(shop.store, Scope(shop.now - timedelta(minutes=5), shop.now)) == []


def test_volume(shop: Shop) -> None:
    volume = logs.volume(shop.store, shop.scope, buckets=6)
    assert (volume.total, volume.step_s) == (3, 600.0)
    assert {level: sum(counts) for level, counts in volume.levels.items()} == {
        "DEBUG": 0,
        "INFO": 1,
        "WARN": 1,
        "ERROR": 1,
    }
    assert all(len(counts) == 6 for counts in volume.levels.values())
    assert logs.volume(shop.store, shop.scope, "level:error").total == 1


def test_the_tail_follows_arrival_and_not_event_time(store: Store) -> None:
    now = time.time_ns()
    store.land("records", otlp.records(*({"kind": "log", "ts": now - i, "message": f"old {i}"} for i in range(3))), "a")
    first = logs.tail(store, 0)
    assert [line.message for line in first] == ["old 0", "old 1", "old 2"]
    assert [line.message for line in logs.tail(store, 0, limit=2)] == ["old 1", "old 2"]
    store.land("records", otlp.records({"kind": "log", "ts": now - 10**12, "message": "late"}), "b")
    late = wait_until(lambda: logs.tail(store, first[-1].seq), "the late line shows")
    assert [line.message for line in late] == ["late"]
    assert logs.tail(store, late[-1].seq) == []
    assert logs.tail(store, first[-1].seq, "level:error") == []
