"""What is settled is kept in memory, and answers as the tables do, whatever comes late, or twice, or meanwhile."""

import itertools
import random
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import otlp
import pytest
from faasight_store import Scope, Store, settle
from faasight_store.queries import functions, invocations
from faasight_store.queries.blocks import unit_s
from faasight_store.queries.live import prepare
from faasight_store.queries.map import invocation_map
from faasight_store.times import DAY, HOUR, MINUTE, SECOND, from_ns
from reopened import opened_again
from statements import listen

_tokens = (f"block-token-{n}" for n in itertools.count())
_STEP = 12 * MINUTE  # a day's chart


def _land(store: Store, runs: list[otlp.Run], token: str = "") -> None:
    store.land("traces", otlp.segment(*(run.traces() for run in runs)), token or next(_tokens))


def _scopes(now: int) -> list[Scope]:
    end = -(-now // _STEP) * _STEP
    hours = -(-now // (2 * HOUR)) * 2 * HOUR
    return [
        Scope(from_ns(end - DAY), from_ns(end)),
        Scope(from_ns(hours - 10 * DAY), from_ns(hours)),  # of steps of two hours
        Scope(from_ns(now // (30 * SECOND) * 30 * SECOND - HOUR), from_ns(end), "prod"),
        Scope(from_ns(end - 3 * HOUR + 7 * SECOND), from_ns(now)),  # no step's edges
    ]


def _answers(store: Store, scope: Scope) -> list[Any]:
    series = invocations.series(store, scope)
    rows = functions.functions(store, scope)
    return [
        _rounded(invocations.totals(store, scope)),
        [list(getattr(series, name)) for name in ("ok", "errors", "cold_starts", "p95_ms", "memory_used_mb")],
        [round(some or 0, 6) for some in series.concurrency],
        invocations.heatmap(store, scope, "b"),
        [(row.function, _rounded(row.totals), row.max_ms, row.init_p95_ms, row.spark) for row in rows],
        sorted(invocations.errors(store, scope), key=repr),
        [group.count for group in invocations.errors(store, scope, "a", limit=1)],
        invocation_map(store, scope),
    ]


def _rounded(totals: Any) -> tuple[Any, ...]:
    return (*[getattr(totals, name) for name in totals.__slots__ if name != "cost_usd"], round(totals.cost_usd, 9))


def _run(rng: random.Random, now: int) -> otlp.Run:
    hours_ago = rng.choice([0, 0, 0, 1, 7, 31])  # few hours, for each is settled
    return otlp.Run(
        now - hours_ago * HOUR - rng.randrange(HOUR // SECOND) * SECOND,
        ms=rng.lognormvariate(4, 2),
        function=rng.choice("aab"),
        cold=rng.random() < 0.2,
        outcome=rng.choice(["ok", "ok", "error", "timeout"]),
        error_type=rng.choice(["ValueError", "KeyError"]),
        message=f"of {rng.randrange(9)}",
        environment=rng.choice(["default", "prod"]),
    )


def test_what_is_kept_answers_like_the_tables(store: Store, remembering: Store) -> None:
    """Late facts, replays and settling in between, over minutes, hours and days, some looks being at a day alone.

    Of two stores that remember, one reads the settled minutes ahead.
    """
    with opened_again(store, remember_s=600) as reading_ahead:
        _look_at(store, (remembering, reading_ahead), reading_ahead)


def _look_at(store: Store, remembering: Sequence[Store], reading_ahead: Store) -> None:
    now = time.time_ns()
    rng = random.Random(17)
    told: list[tuple[str, list[otlp.Run]]] = []
    acts = ("land", "settle", "look", "late", "glance", "replay", "settle", "late", "look")
    for turn, act in enumerate(acts):
        if act in {"land", "late"}:
            runs = [_run(rng, now) for _ in range(150 if act == "land" else 2)]
            told.append((next(_tokens), runs))
            _land(store, runs, told[-1][0])
        elif act == "replay":
            _land(store, told[0][1], told[0][0])
        elif act == "settle":
            settle(store, now_ns=time.time_ns)
        else:
            at = -(-time.time_ns() // SECOND) * SECOND
            scopes = _scopes(at)
            for looking in remembering:
                looking.forget(settled=False)  # what is known of settlings is fresh, the settlings are kept
            prepare(reading_ahead)
            for scope in scopes if act == "look" else scopes[:1]:
                expected = _answers(store, scope)
                for looking in remembering:
                    looking.forget(shared=False, settled=False)
                    assert _answers(looking, scope) == expected, (turn, act, scope, looking is reading_ahead)
    counted = {run.request_id: run for _, runs in told for run in runs}
    whole = Scope(from_ns(now - 4 * DAY), from_ns(now + MINUTE))
    for looking in remembering:
        looking.forget(settled=False)
        assert invocations.totals(looking, whole).invocations == len(counted)
        assert looking.kept.nbytes > 0
    assert store.kept.nbytes == 0


def test_what_is_settled_is_asked_for_once(store: Store, remembering: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time_ns() // HOUR * HOUR
    if now % DAY == 0:
        now -= HOUR  # the range would be a whole day, which is read as such, and a step later by its hours
    _land(store, [otlp.Run(now - hour * HOUR - 90 * MINUTE, outcome="error", message="x") for hour in range(6)])
    settle(store, now_ns=lambda: now + 30 * MINUTE)
    scope = Scope(from_ns(now - DAY), from_ns(now))
    expected = _answers(remembering, scope)
    asked = listen(monkeypatch)
    step = timedelta(microseconds=_STEP // 1000)
    later = Scope(scope.start + step, scope.end + step)
    for some in (scope, later):
        remembering.forget(settled=False)
        _answers(remembering, some)
    cells = ("invocation_slots", "invocation_hours", "fleet_slots", "fleet_hours", "invocation_days")
    assert not [sql for sql in asked if any(f"FROM {table}" in sql for table in cells)]
    remembering.forget()
    assert _answers(remembering, scope) == expected
    assert any("FROM invocation_slots" in sql for sql in asked)


@pytest.mark.parametrize(
    ("start", "end", "step", "unit"),
    [
        (0, DAY, 12 * MINUTE, 720),
        (90 * SECOND, 90 * SECOND + 3 * HOUR, 90 * SECOND, 90),
        (0, 30 * DAY, 5 * HOUR, 3600),
        (0, DAY + 30 * SECOND, 12 * MINUTE, 30),  # ends within a step
        (7 * SECOND, DAY, 12 * MINUTE, 0),
        (0, 15 * MINUTE, 15 * MINUTE // 120, 0),
        (0, DAY, 0, 0),
    ],
)
def test_time_is_cut_where_scope_steps_and_hours_are(start: int, end: int, step: int, unit: int) -> None:
    assert unit_s(start, end, step) == unit
