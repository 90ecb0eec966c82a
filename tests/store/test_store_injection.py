"""No text that a user gives becomes SQL: a hostile filter finds what a harmless one finds, and breaks nothing."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import shop_history
from faasight_store import QueryError, Scope, Store
from faasight_store.queries import cost, deployments, functions, invocations, logs, metrics, patterns, signals, traces
from faasight_store.queries import map as maps

HOSTILE = (
    "' OR 1=1 --",
    "') OR 1 = 1 OR function IN ('",
    "\\' OR \\'1\\' = \\'1",
    "x'; DROP TABLE spans; --",
    "'}} OR {function:String} = '",
    "{function:String}",
    "%(function)s",
    "* /* ",
    "\\",
    "'\\",
    "\t\n\r\x0b",
    "\x00",
    "é'\u2028\U0001f600",
    "0 UNION ALL SELECT name FROM system.tables",
    "checkout' AND sleep(3) = 0 AND '' = '",
    "%",
    "_heckout",
)
HARMLESS = "no such thing"

# Every query of a page, with each of its texts in the place of `text`.
QUERIES: dict[str, Callable[[Store, Scope, str], Any]] = {
    "totals": lambda store, scope, text: invocations.totals(store, scope, text),
    "totals, environment": lambda store, scope, text: invocations.totals(store, replace(scope, environment=text)),
    "series": lambda store, scope, text: invocations.series(store, scope, text, buckets=5),
    "heatmap": lambda store, scope, text: invocations.heatmap(store, scope, text, buckets=5),
    "errors": lambda store, scope, text: invocations.errors(store, scope, text),
    "recent": lambda store, scope, text: invocations.recent(store, scope, text, failed=True),
    "function": lambda store, scope, text: functions.function(store, scope, text),
    "functions": lambda store, scope, text: functions.functions(store, replace(scope, environment=text)),
    "cold starts": lambda store, scope, text: functions.cold_starts(store, scope, text),
    "map": lambda store, scope, text: maps.invocation_map(store, replace(scope, environment=text)),
    "traces": lambda store, scope, text: traces.find(store, scope, function=text),
    "traces, environment": lambda store, scope, text: traces.find(store, replace(scope, environment=text)),
    "patterns": lambda store, scope, text: patterns.patterns(store, scope, function=text),
    "patterns, level": lambda store, scope, text: patterns.patterns(store, scope, level=text),
    "attribute keys": lambda store, scope, text: patterns.attribute_keys(store, scope, "logs", text),
    "deployments": lambda store, scope, text: deployments.deployments(store, scope, text),
    "cost": lambda store, scope, text: cost.cost(store, scope, function=text),
    "metrics": lambda store, scope, text: metrics.metrics(store, replace(scope, environment=text)),
    "logs": lambda store, scope, text: logs.search(store, replace(scope, environment=text)),
    "log volume": lambda store, scope, text: logs.volume(store, replace(scope, environment=text), buckets=5),
}
PHRASES = ("{}", "function:{}", "level:error {}", "{}:x", "message:{}", "attribute.of.ours:{}")


@pytest.mark.parametrize("name", QUERIES)
def test_a_hostile_filter_finds_what_a_harmless_one_does(shop: shop_history.Shop, name: str) -> None:
    nothing = QUERIES[name](shop.store, shop.scope, HARMLESS)
    for text in HOSTILE:
        assert QUERIES[name](shop.store, shop.scope, text) == nothing, text


def test_a_hostile_search_of_logs_finds_nothing(shop: shop_history.Shop) -> None:
    assert logs.search(shop.store, shop.scope)
    for text in HOSTILE:
        quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        for phrase in PHRASES:
            if phrase == "{}:x" or text in ("\\", "%"):
                continue
            query = phrase.format(quoted)
            assert logs.search(shop.store, shop.scope, query) == [], query
            assert logs.volume(shop.store, shop.scope, query, buckets=5).total == 0, query
            assert logs.tail(shop.store, 0, query) == [], query


def test_a_hostile_search_as_it_is_finds_nothing_or_is_refused(shop: shop_history.Shop) -> None:
    for text in HOSTILE:
        try:
            found = logs.search(shop.store, shop.scope, f"{text} x:y")
        except QueryError as error:
            assert error.position is None or 0 <= error.position <= len(text) + 4
        else:
            assert found == [], text


def test_names_that_become_columns_are_taken_from_a_list(shop: shop_history.Shop) -> None:
    window = (shop.scope.end - timedelta(minutes=5), shop.scope.end)
    for text in HOSTILE:
        with pytest.raises(ValueError, match="there is no signal"):
            signals.measure(shop.store, text, *window)
        with pytest.raises(ValueError, match="cannot be grouped"):
            signals.measure(shop.store, "errors", *window, group_by=(text,))
        with pytest.raises(QueryError, match="cost cannot be told by"):
            cost.cost(shop.store, shop.scope, text)
        with pytest.raises(ValueError, match="trace id"):
            traces.trace(shop.store, text)
    assert {name for (name,) in shop.store.query("SHOW TABLES")} >= {"spans", "logs", "invocation_facts"}
