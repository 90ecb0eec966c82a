"""What is known of functions: the newest, asked for once by all who look at now, and of a time by who looks at that."""

import itertools
import time
from datetime import timedelta

import otlp
import pytest
from faasight_store import Scope, Store
from faasight_store.queries import about, functions, invocations
from faasight_store.queries.map import invocation_map
from faasight_store.times import DAY, HOUR, MINUTE, from_ns
from statements import listen

NOW = time.time_ns()
_tokens = (f"about-token-{n}" for n in itertools.count())
WEEK = Scope(from_ns(NOW - 7 * DAY), from_ns(NOW + 5 * HOUR))


def _ran(store: Store, ago_ns: int, function: str, **resource: str) -> None:
    run = otlp.Run(NOW - ago_ns, function=function)
    spans = otlp.traces(run.spans(), otlp.resource(function, **resource))
    store.land("traces", otlp.segment(spans), next(_tokens))


def _shown(store: Store, scope: Scope) -> dict[str, tuple[str, str, str]]:
    return {row.function: (row.version, row.region, row.account) for row in functions.functions(store, scope)}


def test_the_newest_counts_and_what_was_last_seen_long_ago_is_known(store: Store, remembering: Store) -> None:
    _ran(store, 5 * DAY, "report", faas__version="1")
    _ran(store, 5 * DAY, "order", faas__version="1", cloud__region="eu-north-1")
    _ran(store, MINUTE, "order", faas__version="2")
    for asked in (store, remembering):
        shown = _shown(asked, WEEK)
        assert {name: version for name, (version, _, _) in shown.items()} == {"order": "2", "report": "1"}
        assert shown["order"][1] == "eu-west-1"
        before = Scope(from_ns(NOW - 6 * DAY), from_ns(NOW - 4 * DAY))
        assert _shown(asked, before)["order"][:2] == ("1", "eu-north-1")
        assert {node.name: node.provider for node in invocation_map(asked, WEEK).nodes if node.kind == "function"} == {
            "order": "aws", "report": "aws"
        }  # fmt: skip


def test_what_comes_late_is_known_when_the_moment_is_over(store: Store, remembering: Store) -> None:
    _ran(store, MINUTE, "order", cloud__account__id="")
    assert _shown(remembering, WEEK)["order"] == ("7", "eu-west-1", "")
    _ran(store, 26 * HOUR, "order", faas__version="6", cloud__account__id="42")  # older, but nobody else told of it
    remembering.forget(settled=False)
    assert _shown(remembering, WEEK)["order"] == _shown(store, WEEK)["order"] == ("7", "eu-west-1", "42")


def test_environments_are_told_apart(store: Store, remembering: Store) -> None:
    _ran(store, MINUTE, "order", faas__version="3", deployment__environment__name="prod")
    _ran(store, 2 * MINUTE, "order", faas__version="4", deployment__environment__name="test")
    for environment, version in (("prod", "3"), ("test", "4"), ("", "3")):
        scope = Scope(WEEK.start, WEEK.end, environment)
        assert _shown(remembering, scope)["order"][0] == _shown(store, scope)["order"][0] == version


def test_all_who_look_at_now_ask_once(store: Store, remembering: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    _ran(store, MINUTE, "order")
    asked = listen(monkeypatch)
    for length in (timedelta(hours=3), timedelta(days=30)):
        scope = Scope(WEEK.end - length, WEEK.end)
        functions.functions(remembering, scope)
        functions.function(remembering, scope, "order")
        invocation_map(remembering, scope)
    assert len([sql for sql in asked if "FROM function_hours" in sql]) == 1


def test_of_no_function_nothing_is_known(store: Store) -> None:
    assert about.newest(store, WEEK) == {}
    assert about.with_older(store, WEEK, {}, ["order"]) == {}


def test_of_an_idle_function_only_the_time_when_it_ran_is_looked_at(
    store: Store, remembering: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for ago in (3 * DAY, 3 * DAY + MINUTE, 3 * DAY + HOUR):
        _ran(store, ago, "nightly")
    _ran(store, MINUTE, "order")
    for again in (False, True):
        asked = listen(monkeypatch) if again else []
        shown = invocations.recent(remembering, WEEK, "nightly", limit=2)
        assert [one.start for one in shown] == [from_ns(NOW - 3 * DAY), from_ns(NOW - 3 * DAY - MINUTE)]
    assert len([sql for sql in asked if "FROM invocation_facts" in sql]) == 2, asked  # which they are, and all of them
    _ran(store, 2 * DAY, "nightly")
    _ran(store, MINUTE, "nightly")
    remembering.forget(settled=False)
    for scope in (WEEK, Scope(WEEK.start, WEEK.end, "default"), Scope(WEEK.start, from_ns(NOW - DAY))):
        listed = invocations.recent(remembering, scope, "nightly")
        assert [one.request_id for one in listed] == [
            one.request_id for one in invocations.recent(store, scope, "nightly")
        ]
        assert len(listed) == (5 if scope.end == WEEK.end else 4)
    assert invocations.recent(remembering, Scope(WEEK.start, WEEK.end, "other"), "nightly") == []
