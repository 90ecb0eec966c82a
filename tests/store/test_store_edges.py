"""Calls of a range from days, hours and minutes: each counts once, whatever comes late, twice or while days settle."""

import itertools
import math
import random
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import otlp
import pytest
from faasight_store import Scope, Store, edge_days, rollup, settle
from faasight_store.queries.edges import held_days
from faasight_store.queries.map import invocation_map
from faasight_store.times import DAY, HOUR, MINUTE, SECOND, from_ns
from reopened import opened_again
from statements import listen

NOW = time.time_ns() // HOUR * HOUR + 30 * MINUTE
TODAY = NOW // DAY * DAY
_tokens = (f"edges-token-{n}" for n in itertools.count())
SCOPES = [
    Scope(from_ns(TODAY - 7 * DAY), from_ns(NOW)),  # whole days and today's hours
    Scope(from_ns(TODAY - 6 * DAY + 13 * HOUR + 7 * MINUTE), from_ns(NOW)),  # a day that is cut
    Scope(from_ns(TODAY - 3 * DAY + HOUR), from_ns(TODAY - DAY - HOUR), "prod"),
    Scope(from_ns(TODAY - 2 * DAY - 90 * MINUTE), from_ns(TODAY - 2 * DAY + 20 * MINUTE)),
]


@dataclass(frozen=True)
class Call:
    """A call from `checkout` to some service outside."""

    start_ns: int
    ms: float
    target: str
    environment: str
    failed: bool
    resends: int

    @property
    def bucket(self) -> int:
        """The bucket of its duration, as migrations/macros/bucket.sql has it."""
        return math.floor(math.log(max(self.ms, 0.001)) / math.log(1.04))


def _call(rng: random.Random) -> Call:
    return Call(
        start_ns=rng.randrange(TODAY - 8 * DAY, NOW) // (20 * MINUTE) * 20 * MINUTE + rng.randrange(MINUTE),
        ms=rng.randrange(1, 4000) + 0.5,
        target=rng.choice(["bank", "stock"]),
        environment=rng.choice(["default", "prod"]),
        failed=rng.random() < 0.2,
        resends=rng.choice([0, 0, 2]),
    )


def _land(store: Store, calls: Sequence[Call], token: str = "") -> None:
    requests = []
    for environment, of in itertools.groupby(sorted(calls, key=lambda c: c.environment), key=lambda c: c.environment):
        spans = [
            otlp.span(
                "call", call.start_ns, call.ms, 3, error="no" if call.failed else None,
                attributes={"peer.service": call.target, "http.request.resend_count": call.resends},
            )
            for call in of
        ]  # fmt: skip
        requests.append(otlp.traces(spans, otlp.resource(deployment__environment__name=environment)))
    store.land("traces", otlp.segment(*requests), token or next(_tokens))


def _add_up(store: Store) -> int:
    return edge_days.settle(store, NOW, NOW)


def _shown(store: Store, scope: Scope) -> list[Any]:
    return [(e.target, e.calls, e.errors, e.retries, e.p95_ms) for e in invocation_map(store, scope).edges]


def _expected(calls: Sequence[Call], scope: Scope) -> list[Any]:
    """Return what the map must show, reckoned from the calls themselves."""
    of: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        minute = call.start_ns // MINUTE * MINUTE
        if scope.environment in {"", call.environment} and scope.start <= from_ns(minute) < scope.end:
            of[call.target].append(call)
    shown = []
    for target, some in sorted(of.items()):
        p95 = sorted(call.bucket for call in some)[math.ceil(0.95 * len(some)) - 1]
        sums = (len(some), sum(call.failed for call in some), sum(call.resends for call in some))
        shown.append((f"external:{target}", *sums, pytest.approx(1.04 ** (p95 + 0.5))))
    return shown


def test_every_call_counts_once_whatever_comes_late_or_twice_or_while_days_settle(
    store: Store, remembering: Store
) -> None:
    rng = random.Random(23)
    told: dict[str, list[Call]] = {}
    for act in ("land", "look", "settle", "look", "late", "look", "replay", "settle", "late", "settle", "late", "look"):
        if act in {"land", "late"}:
            calls = [_call(rng) for _ in range(400 if act == "land" else 2)]
            told[next(_tokens)] = calls
            _land(store, calls, [*told][-1])
        elif act == "replay":
            _land(store, *next((calls, token) for token, calls in told.items()))
        elif act == "settle":
            _add_up(store)
        else:
            everything = [call for calls in told.values() for call in calls]
            remembering.forget(settled=False)  # how many calls are known is fresh, what was read is kept
            for scope, asked in itertools.product(SCOPES, (store, remembering)):
                assert _shown(asked, scope) == _expected(everything, scope), (act, scope, asked is store)
    assert remembering.kept.nbytes > 0
    assert store.kept.nbytes == 0


def test_a_late_call_counts_at_once_and_its_day_is_added_up_again(store: Store) -> None:
    rng = random.Random(5)
    calls = [replace(_call(rng), start_ns=TODAY - DAY + n * HOUR) for n in range(-48, 24)]
    _land(store, calls)
    assert _add_up(store) == 3
    assert _add_up(store) == 0
    late = Call(TODAY - DAY + 5 * HOUR, 12.5, "bank", "prod", failed=True, resends=0)
    _land(store, [late])
    assert _shown(store, SCOPES[0]) == _expected([*calls, late], SCOPES[0])
    assert _add_up(store) == 1
    marks = "SELECT max(n) FROM (SELECT count() AS n FROM settled_edge_days GROUP BY hour)"
    versions = "SELECT max(n) FROM (SELECT uniqExact(version) AS n FROM edge_days GROUP BY hour)"
    assert store.query(marks) == store.query(versions) == [(2,)]
    settle(store, now_ns=lambda: NOW + HOUR)  # whoever learned of the old one has read it by then
    assert store.query(marks) == store.query(versions) == [(1,)]
    assert _shown(store, SCOPES[0]) == _expected([*calls, late], SCOPES[0])
    rollup.doubt(store)
    assert _shown(store, SCOPES[0]) == _expected([*calls, late], SCOPES[0])


def test_days_are_settled_with_the_hours(store: Store) -> None:
    run = otlp.Run(TODAY - DAY + 30 * MINUTE)
    store.land("traces", otlp.segment(run.traces()), next(_tokens))
    settle(store, now_ns=lambda: TODAY)
    assert store.query("SELECT count() FROM settled_edge_days") == [(0,)]  # it is hardly over
    _land(store, [Call(TODAY - DAY, 1, "bank", "default", failed=False, resends=0)])
    store.land("traces", otlp.segment(otlp.Run(TODAY - DAY + 210 * MINUTE).traces()), next(_tokens))
    assert settle(store, now_ns=lambda: TODAY + HOUR) == 1
    assert store.query("SELECT hour, made_of FROM settled_edge_days") == [
        (from_ns(TODAY - DAY).replace(tzinfo=None), 3)
    ]


def test_a_settling_that_broke_off_counts_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(6)
    calls = [_call(rng) for _ in range(60)]
    _land(store, calls)
    plain = Store.command

    def killed(self: Store, sql: str, *rest: Any, **options: Any) -> None:
        if "INTO settled_edge_days" in sql:
            raise KeyboardInterrupt
        plain(self, sql, *rest, **options)

    with monkeypatch.context() as broken:
        broken.setattr(Store, "command", killed)
        with pytest.raises(KeyboardInterrupt):
            _add_up(store)
    assert store.query("SELECT count() > 0 FROM edge_days") == [(1,)]
    assert _shown(store, SCOPES[0]) == _expected(calls, SCOPES[0])
    _add_up(store)
    assert _shown(store, SCOPES[0]) == _expected(calls, SCOPES[0])


def test_what_is_settled_is_read_once(store: Store, remembering: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(7)
    _land(store, [_call(rng) for _ in range(60)])
    _add_up(store)
    first = _shown(remembering, SCOPES[0])
    asked = listen(monkeypatch)
    remembering.forget(settled=False)
    assert _shown(remembering, SCOPES[0]) == first
    of_edges = [sql for sql in asked if "FROM edge" in sql]
    assert len(of_edges) == 2, of_edges  # how many calls are known of each hour, and the minutes
    assert not [sql for sql in of_edges if "FROM edge_days" in sql]
    remembering.forget()
    assert _shown(remembering, SCOPES[0]) == first
    assert any("FROM edge_days" in sql for sql in asked)


def test_days_hold_while_their_hours_have_as_many_calls() -> None:
    marks = [(0, 7, 5), (DAY, 8, 5), (2 * DAY, 9, 5), (3 * DAY, 10, 0)]
    hours = {0: 2, 23 * HOUR: 3, DAY: 5, DAY + HOUR: 1, 2 * DAY + 90 * SECOND: 4}
    assert held_days(hours, marks) == {0: 7}


def test_of_a_few_hours_only_the_newest_are_read_again(
    store: Store, remembering: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(8)
    scope = Scope(from_ns(NOW - 5 * HOUR), from_ns(NOW))
    calls = [replace(_call(rng), start_ns=NOW - n * 7 * MINUTE - MINUTE) for n in range(42)]
    _land(store, calls)
    assert _shown(remembering, scope) == _expected(calls, scope)
    asked = listen(monkeypatch)
    remembering.forget(shared=False, settled=False)
    assert _shown(remembering, scope) == _expected(calls, scope)
    assert [sql for sql in asked if "FROM edge" in sql and "FROM edges " not in sql] == []
    late = Call(NOW - 4 * HOUR, 9.5, "bank", "default", failed=False, resends=2)
    _land(store, [late])
    remembering.forget(settled=False)
    assert _shown(remembering, scope) == _expected([*calls, late], scope)


def test_an_edge_that_was_never_seen_before_has_its_name_at_once(store: Store, remembering: Store) -> None:
    rng = random.Random(9)
    calls = [_call(rng) for _ in range(20)]
    for target in ("bank", "stock", "mail", "bank and stock"):
        calls += [replace(call, target=target, start_ns=NOW - 3 * DAY) for call in calls[:3]]
        _land(store, calls if target == "bank" else calls[-3:])
        remembering.forget(settled=False)
        assert _shown(remembering, SCOPES[0]) == _expected(calls, SCOPES[0])


def test_the_first_calls_of_an_hour_are_no_other_ranges(store: Store) -> None:
    """Which hours have calls is known for a moment: what is read meanwhile is kept under these hours alone."""
    with opened_again(store, remember_s=600) as remembering:
        rng = random.Random(10)
        hour = NOW // HOUR * HOUR
        calls = [replace(_call(rng), start_ns=hour - 5 * HOUR + MINUTE)]
        _land(store, calls)
        wide = Scope(from_ns(hour - 6 * HOUR), from_ns(hour - 2 * HOUR))
        known = Scope(wide.start, from_ns(hour - 4 * HOUR))
        assert _shown(remembering, known) == _expected(calls, known)
        calls.append(replace(_call(rng), start_ns=hour - 3 * HOUR + MINUTE))
        _land(store, calls[-1:])
        assert _shown(remembering, wide) == _expected(calls[:1], wide)  # not known yet
        for begin, end in ((12, 8), (20, 10)):
            empty = Scope(from_ns(hour - begin * HOUR), from_ns(hour - end * HOUR))
            assert _shown(remembering, empty) == _expected([], empty)
        remembering.forget(settled=False)
        assert _shown(remembering, wide) == _expected(calls, wide)
