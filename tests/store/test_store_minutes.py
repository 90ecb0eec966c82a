"""Settled minutes answer like the facts they were made of; runs of one request id are told apart."""

import itertools
import random
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import otlp
import pytest
from faasight_store import Scope, Store, settle
from faasight_store.queries import functions, invocations, minutes, signals
from faasight_store.queries.live import prepare
from faasight_store.queries.settled import sources
from faasight_store.times import MINUTE, SECOND, from_ns
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

_names = (f"minutely-{n}" for n in itertools.count())
_tokens = (f"minute-token-{n}" for n in itertools.count())


def _land(store: Store, *messages: otlp.Run | dict[str, Any]) -> None:
    for message in messages:
        if isinstance(message, otlp.Run):
            store.land("traces", otlp.segment(message.traces()), next(_tokens))
        else:
            store.land("records", otlp.records(message), next(_tokens))


def _hour(now: int) -> Scope:
    return Scope(from_ns(now - 60 * MINUTE), from_ns(now))


def _settled(store: Store, scope: Scope, now: int) -> dict[str, int]:
    """Return which functions are read from their facts although their minutes were settled, and since when."""
    found = sources(store, [(now - 60 * MINUTE, now)], now)
    assert found.minutes, scope
    return dict(found.late)


def _history(now: int) -> list[otlp.Run]:
    rng = random.Random(5)
    return [
        otlp.Run(
            now - rng.randrange(3600) * SECOND,
            ms=rng.lognormvariate(4, 1),
            function=rng.choice(["a", "b"]),
            cold=rng.random() < 0.1,
            outcome=rng.choices(["ok", "error", "timeout"], [8, 1, 1])[0],
            error_type="ValueError",
            message="of 7",
        )
        for _ in range(300)
    ]


def _answers(store: Store, scope: Scope) -> list[Any]:
    rows = functions.functions(store, scope)
    window = (scope.end - timedelta(minutes=15), scope.end)
    return [
        replace_cost(invocations.totals(store, scope)),
        invocations.series(store, scope, "a", buckets=120).ok,
        invocations.heatmap(store, scope, buckets=60),
        [(row.function, row.max_ms, row.init_p95_ms, row.spark) for row in rows],
        invocations.errors(store, scope),
        invocations.recent(store, scope, "b", limit=20),
        invocations.recent(store, scope, failed=True, limit=20),
        [signals.measure(store, name, *window) for name in ("errors", "duration_p95_ms", "timeout_headroom")],
        functions.cold_starts(store, scope, "a"),
    ]


def replace_cost(totals: Any) -> tuple[Any, ...]:
    """Return totals with a cost that does not depend on the order of addition."""
    return (*[getattr(totals, name) for name in totals.__slots__ if name != "cost_usd"], round(totals.cost_usd, 9))


def test_settled_minutes_answer_like_the_facts(store: Store) -> None:
    now = time.time_ns() // (30 * SECOND) * 30 * SECOND  # as pages ask: whole buckets
    runs = _history(now)
    store.land("traces", otlp.segment(*(run.traces() for run in runs)), next(_tokens))
    store.land("records", otlp.records(*(run.record("report") for run in runs)), next(_tokens))
    before = _answers(store, _hour(now))
    assert before[0][0] == sum(run.start_ns > now - 60 * MINUTE for run in runs)
    for _ in range(2):  # an hour's minutes in a call
        settle(store, now_ns=lambda: now)
    assert _settled(store, _hour(now), now) == {}
    assert store.query("SELECT count() FROM settled_invocations")[0][0] > 200
    assert _answers(store, _hour(now)) == before
    marks = store.query("SELECT count() FROM settled_minutes")
    settle(store, now_ns=lambda: now)
    assert store.query("SELECT count() FROM settled_minutes") == marks  # nothing new is nothing to do


def test_what_comes_late_into_a_settled_minute_counts_at_once_and_after(store: Store) -> None:
    now = time.time_ns() // SECOND * SECOND
    runs = [otlp.Run(now - n * MINUTE, function=name) for n in range(1, 15) for name in ("quiet", "late")]
    _land(store, *runs)
    settle(store, now_ns=lambda: now)
    late = otlp.Run(now - 10 * MINUTE, function="late", outcome="error", error_type="Late", message="x")
    _land(store, late)
    assert set(_settled(store, _hour(now), now)) == {"late"}
    for _ in range(2):
        total = invocations.totals(store, _hour(now))
        assert (total.invocations, total.errors) == (len(runs) + 1, 1)
        settle(store, now_ns=lambda: now + SECOND)
    assert _settled(store, _hour(now), now) == {}
    _land(store, late, late.record("report"))  # told again, and by another witness
    settle(store, now_ns=lambda: now + 2 * SECOND)
    assert invocations.totals(store, _hour(now), "late").invocations == 15


def test_a_start_without_an_end_is_lost_in_settled_minutes_too(store: Store) -> None:
    now = time.time_ns() // SECOND * SECOND
    started = otlp.Run(now - 10 * MINUTE, function="lost")
    _land(store, started.record("start"))
    settle(store, now_ns=lambda: now - 6 * MINUTE)
    assert invocations.totals(store, _hour(now)).invocations == 0
    store.command("ALTER TABLE invocation_facts DELETE WHERE 1 SETTINGS mutations_sync = 2")
    old = otlp.Run(now - 17 * MINUTE, function="lost")  # now it began long enough ago, and settled while it still ran
    _land(store, old.record("start"))
    settle(store, now_ns=lambda: now)
    assert [row.outcome for row in invocations.recent(store, _hour(now), "lost")] == ["lost"]
    assert invocations.totals(store, _hour(now)).errors == 1


def test_two_settlers_at_once_count_everything_once(store: Store) -> None:
    now = time.time_ns() // SECOND * SECOND
    runs = _history(now)
    store.land("traces", otlp.segment(*(run.traces() for run in runs)), next(_tokens))
    expected = invocations.totals(store, _hour(now)).invocations
    threads = [threading.Thread(target=settle, args=(store,), kwargs={"now_ns": lambda n=n: now + n}) for n in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert invocations.totals(store, _hour(now)).invocations == expected


def test_a_settling_of_minutes_that_broke_off_is_not_counted(store: Store) -> None:
    now = time.time_ns() // SECOND * SECOND
    runs = _history(now)
    store.land("traces", otlp.segment(*(run.traces() for run in runs)), next(_tokens))
    settle(store, now_ns=lambda: now)
    before = replace_cost(invocations.totals(store, _hour(now)))
    store.command(
        "INSERT INTO settled_invocations SELECT * REPLACE (settling + 1 AS settling) FROM settled_invocations"
    )
    assert replace_cost(invocations.totals(store, _hour(now))) == before


def _reads_of_minutes(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[int]]:
    """Return a list to which the minutes of each read are added from now on."""
    plain, read = minutes._ask, list[Sequence[int]]()

    def ask(store: Store, wanted: Sequence[int]) -> dict[int, Any]:
        read.append(wanted)
        return plain(store, wanted)

    monkeypatch.setattr(minutes, "_ask", ask)
    return read


def test_a_settled_minute_is_read_once_and_again_when_it_is_settled_anew(
    store: Store, remembering: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time_ns() // (30 * SECOND) * 30 * SECOND
    _land(store, *(otlp.Run(now - n * MINUTE, function=name) for n in range(5, 25) for name in ("a", "late")))
    settle(store, now_ns=lambda: now)
    read = _reads_of_minutes(monkeypatch)

    def counted() -> list[int]:
        remembering.forget(settled=False)
        prepare(remembering)
        scopes = [Scope(from_ns(now - length * MINUTE), from_ns(now + MINUTE)) for length in (60, 59, 12)]
        return [invocations.totals(remembering, scope).invocations for scope in scopes]

    expected = [40, 40, 16]
    for _ in range(2):
        assert counted() == expected
        found = [minute for some in read for minute in some]
        assert len(found) == len({*found}) >= 20
    read.clear()
    _land(store, otlp.Run(now - 20 * MINUTE, function="late"), otlp.Run(now - 6 * MINUTE, function="late"))
    for _ in range(2):
        assert counted() == [42, 42, 17]  # before those minutes are settled again, and after
        settle(store, now_ns=lambda: now + SECOND)
    found = [minute for some in read for minute in some]
    assert {(now - n * MINUTE) // MINUTE * MINUTE for n in (20, 6)} <= {*found}
    assert len(found) == len({*found}) <= 10  # those within two minutes of what came
    assert invocations.totals(remembering, _hour(now + MINUTE), "late").invocations == 22


def test_minutes_that_would_be_too_large_are_left_and_tried_again_later(
    store: Store, remembering: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time_ns() // (30 * SECOND) * 30 * SECOND
    _land(store, *(otlp.Run(now - n * MINUTE, ms=200_000) for n in range(5, 50)))  # each in seven half minutes and more
    settle(store, now_ns=lambda: now)
    read = _reads_of_minutes(monkeypatch)
    for most, some in ((1000, True), (minutes.MOST_BYTES, False)):
        monkeypatch.setattr(minutes, "MOST_BYTES", most)
        for _ in range(2):
            remembering.forget(settled=False)
            prepare(remembering)
            assert invocations.totals(remembering, _hour(now)).invocations == 45
            busy = invocations.series(remembering, _hour(now)).concurrency
            assert sum(busy) == pytest.approx(sum(invocations.series(store, _hour(now)).concurrency))
        assert (len(read) == 1) is some  # one slice told that it was too much, and was not asked for again
        remembering.forget()


_TELLERS = ("function", "start", "done", "report")


@settings(max_examples=3, suppress_health_check=[HealthCheck.too_slow])
@given(
    data=st.data(),
    tellers=st.lists(st.lists(st.sampled_from(_TELLERS), min_size=2, unique=True), min_size=1, max_size=3),
)
def test_attempts_of_one_request_id_are_invocations_of_their_own(
    shared_store: Store, data: st.DataObject, tellers: list[list[str]]
) -> None:
    """AWS runs a failed asynchronous invocation again, a minute and then two later, under the same request id."""
    name, now = next(_names), time.time_ns() // SECOND * SECOND
    told = [sorted({*some, "report"}) for some in tellers]  # the platform reports on every run
    runs = [
        otlp.Run(
            now - 20 * MINUTE + at * SECOND, ms=400, function=name, request_id=name,
            outcome="ok" if at == 200 else "error", error_type="" if at == 200 else "ValueError", message="x",
        )
        for at in (0, 65, 200)[: len(told)]
    ]  # fmt: skip
    messages: list[Any] = [
        run if teller == "function" else run.record(teller)
        for run, some in zip(runs, told, strict=True)
        for teller in some
    ]
    _land(shared_store, *data.draw(st.permutations(messages + messages[:3])))
    scope = _hour(now)
    for _ in range(2):
        total = invocations.totals(shared_store, scope, name)
        assert (total.invocations, total.errors) == (len(runs), sum(run.outcome != "ok" for run in runs))
        listed = invocations.recent(shared_store, scope, name)
        assert [(row.start, row.outcome) for row in listed] == [
            (from_ns(run.start_ns), run.outcome) for run in reversed(runs)
        ]
        settle(shared_store, now_ns=lambda: now)
