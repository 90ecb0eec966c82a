"""Housekeeping of a running collector: what is over goes, and is written down."""

from collections.abc import Callable
from dataclasses import replace

from faasight_collector import Collector, Settings
from faasight_store import Store, lifetime
from faasight_store.lifetime import DEFAULT_DAYS, Lifetime

Eventually = Callable[[Callable[[], object]], None]


def test_old_days_go_for_their_age_and_then_for_the_budget(
    settings: Settings, store: Store, eventually: Eventually
) -> None:
    store.command("INSERT INTO logs (ts, message) SELECT now64(9) - toIntervalDay(number), 'm' FROM numbers(5)")
    wanted = Lifetime({**DEFAULT_DAYS, "logs": 2}, budget_bytes=1)
    collector = Collector(replace(settings, lifetime=wanted, lifetime_every_s=0.05), store)
    collector.start()
    try:
        eventually(lambda: store.query("SELECT count() FROM logs") == [(1,)])
    finally:
        collector.stop()
    dropped = [gone for gone in lifetime.history(store) if gone.table == "logs"]
    assert sorted((gone.reason, gone.rows) for gone in dropped) == [("budget", 1)] * 2 + [("retention", 1)] * 2
