"""No text that a user gives becomes SQL: a hostile filter finds what a harmless one finds, and breaks nothing."""

import inspect
import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from unittest.mock import MagicMock

import otlp
import pytest
import shop_history
from faasight_store import QueryError, Scope, Store
from faasight_store.queries import (
    alerts,
    cost,
    deployments,
    functions,
    ingest,
    invocations,
    logs,
    metrics,
    patterns,
    signals,
    traces,
)
from faasight_store.queries import map as maps
from otlp_metrics import Request

# All that are imported above.
MODULES = [one for one in globals().values() if getattr(one, "__name__", "").startswith("faasight_store.queries.")]

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
OF_A_LINE = ("\\", "%")  # a line of the shop holds them
HARMLESS = "no such thing"

# Every query of a page, with each of its texts in the place of `text`.
QUERIES: dict[str, Callable[[Store, Scope, str], Any]] = {
    "totals": lambda store, scope, text: invocations.totals(store, scope, text),
    "totals, environment": lambda store, scope, text: invocations.totals(store, replace(scope, environment=text)),
    "series": lambda store, scope, text: invocations.series(store, scope, text, buckets=5),
    "heatmap": lambda store, scope, text: invocations.heatmap(store, scope, text, buckets=5),
    "errors": lambda store, scope, text: invocations.errors(store, scope, text),
    "cells by function": lambda store, scope, text: len(
        functions.by_function(store, replace(scope, environment=text), text)
    ),
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
    "cost, environment": lambda store, scope, text: cost.cost(store, replace(scope, environment=text)),
    "flows": lambda store, scope, text: cost.flows(store, replace(scope, environment=text)),
    "dear traces": lambda store, scope, text: cost.traces(store, replace(scope, environment=text)),
    "forecast": lambda store, scope, text: cost.forecast(store, scope.end, function=text),
    "forecast, environment": lambda store, scope, text: cost.forecast(store, scope.end, environment=text),
    "right sizes": lambda store, scope, text: cost.right_sizes(store, replace(scope, environment=text)),
    "deployments, environment": lambda store, scope, text: deployments.deployments(
        store, replace(scope, environment=text)
    ),
    "versions": lambda store, scope, text: deployments.versions(store, scope, text),
    "compare": lambda store, scope, text: deployments.compare(store, text, scope.end, timedelta(hours=1)),
    "compare, environment": lambda store, scope, text: deployments.compare(
        store, "checkout", scope.end, timedelta(hours=1), text
    ),
    "patterns, search": lambda store, scope, text: patterns.patterns(store, scope, search=text),
    "attribute keys of spans": lambda store, scope, text: patterns.attribute_keys(store, scope, "spans", text),
    "metrics, name": lambda store, scope, text: metrics.metrics(store, scope, text),
    "labels": lambda store, scope, text: metrics.labels(store, scope, text),
    "metric series": lambda store, scope, text: metrics.series(store, scope, text),
    "exemplars": lambda store, scope, text: metrics.exemplars(store, scope, text),
    "metric": lambda store, scope, text: metrics.query(store, scope, text, buckets=5).lines,
    "metric, environment": lambda store, scope, text: metrics.query(
        store, replace(scope, environment=text), METRIC, buckets=5
    ),
    "metric, label": lambda store, scope, text: (
        metrics.query(store, scope, METRIC, where={"queue": text}, buckets=5).lines
    ),
    "queued messages": lambda store, scope, text: alerts.queued(store, text, scope.end, 5),
    **{
        f"{name}, environment": lambda store, scope, text, ask=ask: ask(store, replace(scope, environment=text))
        for name, ask in {
            "alerts": lambda store, scope: alerts.history(store, scope),
            "versions": lambda store, scope: deployments.versions(store, scope, "checkout"),
            "cold starts": lambda store, scope: functions.cold_starts(store, scope, "checkout"),
            "function": lambda store, scope: functions.function(store, scope, "checkout"),
            "health": lambda store, scope: ingest.health(store, scope),
            "errors": lambda store, scope: invocations.errors(store, scope),
            "heatmap": lambda store, scope: invocations.heatmap(store, scope, buckets=5),
            "recent": lambda store, scope: invocations.recent(store, scope),
            "series": lambda store, scope: invocations.series(store, scope, buckets=5),
            "exemplars": lambda store, scope: metrics.exemplars(store, scope, METRIC),
            "labels": lambda store, scope: metrics.labels(store, scope, METRIC),
            "metric series": lambda store, scope: metrics.series(store, scope, METRIC),
            "attribute keys": lambda store, scope: patterns.attribute_keys(store, scope, "logs"),
            "patterns": lambda store, scope: patterns.patterns(store, scope),
        }.items()
    },
    "metric, key of a label": lambda store, scope, text: (
        metrics.query(store, scope, METRIC, where={text: "orders"}, buckets=5).lines
    ),
}
METRIC = "shop.queue_depth"
SOME = 5  # each query meets every fifth text in the engine, each text every fifth query
PHRASES = ("{}", "function:{}", "level:error {}", "message:{}", "attribute.of.ours:{}")


_with_a_metric: set[str] = set()  # by their addresses: to land is dear, also what adds nothing


@pytest.fixture
def shop(shop: shop_history.Shop) -> shop_history.Shop:
    """Return the shop with a metric."""
    if str(shop.store.dsn) in _with_a_metric:
        return shop
    depth = Request(otlp.resource("checkout"))
    at = shop.now_ns - 5 * shop_history.MINUTE
    depth.add("gauge", METRIC, [{"time_unix_nano": at, "as_int": 7, "attributes": {"queue": "orders"}}])
    shop.store.land("metrics", depth.segment(), "injection")
    _with_a_metric.add(str(shop.store.dsn))
    return shop


def test_what_is_attacked_does_answer(shop: shop_history.Shop) -> None:
    """A filter that finds nothing at all would find nothing of a hostile text either."""
    assert cost.cost(shop.store, shop.scope, function="checkout")
    assert deployments.deployments(shop.store, shop.scope, "checkout")
    assert deployments.versions(shop.store, shop.scope, "checkout")
    assert patterns.patterns(shop.store, shop.scope, search="stock")
    assert patterns.attribute_keys(shop.store, shop.scope, "spans", "fa")
    assert metrics.metrics(shop.store, shop.scope, "depth")
    assert metrics.query(shop.store, shop.scope, METRIC, where={"queue": "orders"}, buckets=5).lines


class Remembering:
    """A store that remembers what each statement found; asked `by_heart`, it knows no other statement."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._found: dict[str, Any] = {}
        self.by_heart = False

    def query(self, sql: str, *parameters: Any, **more: Any) -> Any:
        """Ask the engine, or the memory."""
        if self.by_heart:
            assert sql in self._found, f"the text has become a part of the statement: {sql}"
        else:
            self._found[sql] = self._store.query(sql, *parameters, **more)
        return self._found[sql]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def _attack(store: Store, place: int, ask: Callable[[Store, str], Any], *, searched: bool) -> None:
    """Ask with all texts for one that is harmless; see that each is the same statement, and try some in the engine."""
    remembering = cast(Store, memory := Remembering(store))
    nothing = ask(remembering, HARMLESS)
    memory.by_heart = True
    for text in HOSTILE:
        assert ask(remembering, text) == nothing, text
    for text in HOSTILE[place % SOME :: SOME]:
        if not (searched and text in OF_A_LINE):
            assert ask(store, text) == nothing, text


@pytest.mark.parametrize("name", QUERIES)
def test_a_hostile_filter_finds_what_a_harmless_one_does(shop: shop_history.Shop, name: str) -> None:
    _attack(
        shop.store,
        list(QUERIES).index(name),
        lambda store, text: QUERIES[name](store, shop.scope, text),
        searched="search" in name,
    )


def test_a_hostile_search_of_logs_finds_nothing(shop: shop_history.Shop) -> None:
    assert logs.search(shop.store, shop.scope)
    found: tuple[Callable[[Store, str], Any], ...] = (
        lambda store, query: logs.search(store, shop.scope, query),
        lambda store, query: logs.volume(store, shop.scope, query, buckets=5).total,
        lambda store, query: logs.tail(store, 0, query),
    )
    for place, (phrase, ask) in enumerate(itertools.product(PHRASES, found)):

        def searched(store: Store, text: str, phrase: str = phrase, ask: Callable[[Store, str], Any] = ask) -> Any:
            return ask(store, phrase.format('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'))

        assert not searched(shop.store, HARMLESS)
        _attack(shop.store, place, searched, searched=True)


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
        with pytest.raises(QueryError):
            cost.cost(shop.store, shop.scope, text)
        with pytest.raises(QueryError, match="no attribute keys"):
            patterns.attribute_keys(shop.store, shop.scope, text)
        with pytest.raises(QueryError, match="none of its figures"):
            metrics.query(shop.store, shop.scope, METRIC, text)
        lines = metrics.query(shop.store, shop.scope, METRIC, group_by=(text,), buckets=5).lines
        assert [line.labels for line in lines] == [{text: ""}]
    assert {name for (name,) in shop.store.query("SHOW TABLES")} >= {"spans", "logs", "invocation_facts"}


# Texts that `QUERIES` does not attack, and what does.
ATTACKED_ELSEWHERE = {
    ("cost.cost", "by"): "a list of names: test_names_that_become_columns_are_taken_from_a_list",
    ("logs.search", "query"): "test_a_hostile_search_of_logs_finds_nothing",
    ("logs.volume", "query"): "test_a_hostile_search_of_logs_finds_nothing",
    ("logs.tail", "query"): "test_a_hostile_search_of_logs_finds_nothing",
    ("metrics.query", "aggregation"): "a list of names: test_names_that_become_columns_are_taken_from_a_list",
    ("patterns.attribute_keys", "signal"): "a list of names: test_names_that_become_columns_are_taken_from_a_list",
    ("signals.measure", "signal"): "a list of names: test_names_that_become_columns_are_taken_from_a_list",
    ("traces.trace", "trace_id"): "32 hexadecimal digits: test_names_that_become_columns_are_taken_from_a_list",
}


def test_every_text_of_every_query_is_attacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """No new filter is forgotten: `QUERIES` calls each function that asks the store with a text in each place."""
    wanted, met = set(), set()
    sentinel = "the text"
    for module in MODULES:
        for name, asks in inspect.getmembers(module, inspect.isfunction):
            signature = inspect.signature(asks)
            if name.startswith("_") or "store" not in signature.parameters:
                continue
            if asks.__module__ not in (
                module.__name__,
                *(f"faasight_store.queries.{of}" for of in ("listing", "failures")),
            ):
                continue
            called = f"{module.__name__.rpartition('.')[2]}.{name}"
            wanted |= {(called, key) for key, of in signature.parameters.items() if of.annotation in (str, Scope)}

            def spy(*given: Any, signature: inspect.Signature = signature, called: str = called, **named: Any) -> Any:
                for key, value in signature.bind(*given, **named).arguments.items():
                    if value == sentinel or (isinstance(value, Scope) and value.environment == sentinel):
                        met.add((called, key))
                return MagicMock()

            monkeypatch.setattr(module, name, spy)
    scope = Scope(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
    for ask in QUERIES.values():
        ask(cast(Store, None), scope, sentinel)
    assert sorted(wanted - met - set(ATTACKED_ELSEWHERE)) == []
    assert set(ATTACKED_ELSEWHERE) <= wanted - met
