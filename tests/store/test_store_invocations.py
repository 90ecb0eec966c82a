"""Invocations: every witness, in any order, late and twice, and each invocation counted once."""

import itertools
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import otlp
import pytest
from faasight_store import Scope, Store
from faasight_store.queries import functions, invocations, signals
from faasight_store.queries import map as maps
from faasight_store.times import from_ns
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SECOND = 10**9
MINUTE = 60 * SECOND
_names = (f"function-{n}" for n in itertools.count())
_tokens = (f"token-{n}" for n in itertools.count())


@dataclass(frozen=True, slots=True)
class Seen:
    """An invocation with those who tell of it, as (witness, times told)."""

    at_s: int
    ms: int
    outcome: str
    tellers: tuple[str, ...]

    def ran(self) -> bool:
        """Whether it counts: it ended, or it is lost (all of them began an hour ago)."""
        return bool(set(self.tellers) - {"throttle", "caller"})

    def failed(self) -> bool:
        """Whether it ended badly by what its tellers know."""
        ended = set(self.tellers) & {"function", "done", "report"}
        return self.ran() and (not ended or self.outcome != "ok")


_TELLERS = ("function", "start", "done", "report")
_seen = st.one_of(
    st.builds(
        Seen,
        st.integers(0, 600),
        st.integers(1, 90_000),
        st.sampled_from(["ok", "error", "timeout", "out_of_memory", "init_error"]),
        st.lists(st.sampled_from(_TELLERS), min_size=1, max_size=7).map(tuple),
    ),
    st.builds(
        Seen,
        st.integers(0, 600),
        st.just(0),
        st.just("ok"),
        st.lists(st.sampled_from(["throttle", "caller"]), min_size=1, max_size=3).map(tuple),
    ),
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), seen=st.lists(_seen, min_size=1, max_size=8))
def test_each_is_counted_once_whoever_saw_it_in_whatever_order(
    shared_store: Store, data: st.DataObject, seen: list[Seen]
) -> None:
    name, base = next(_names), time.time_ns() - 60 * MINUTE
    messages = [message for i, one in enumerate(seen) for message in _messages(one, base, name, f"{name}-{i}")]
    shuffled = data.draw(st.permutations(messages))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(shuffled)), max_size=3)))
    for first, last in itertools.pairwise([0, *cuts, len(shuffled)]):
        for signal in ("traces", "records"):
            body = b"".join(part for kind, part in shuffled[first:last] if kind == signal)
            shared_store.land(signal, body, next(_tokens))

    start = from_ns(base - base % 1000)
    scope = Scope(start, start + timedelta(minutes=20))
    whole = invocations.totals(shared_store, scope, name)
    assert whole.invocations == sum(one.ran() for one in seen)
    assert whole.errors == sum(one.failed() for one in seen)
    assert whole.throttles == sum(not one.ran() for one in seen)
    assert whole.timeouts == sum(
        one.failed() and one.outcome == "timeout" and bool(set(one.tellers) - {"start"}) for one in seen
    )

    cut = start + timedelta(seconds=data.draw(st.integers(1, 1199)))
    halves = [
        invocations.totals(shared_store, part, name) for part in (replace(scope, end=cut), replace(scope, start=cut))
    ]
    assert sum(half.invocations for half in halves) == whole.invocations
    assert sum(half.throttles for half in halves) == whole.throttles
    listed = invocations.recent(shared_store, scope, name, limit=100)
    assert len(listed) == len({(one.request_id, one.outcome == "throttled") for one in listed}) == len(seen)


def _messages(one: Seen, base: int, name: str, request_id: str) -> list[tuple[str, bytes]]:
    run = otlp.Run(base + one.at_s * SECOND, ms=one.ms, function=name, request_id=request_id, outcome=one.outcome)
    throttled = otlp.span(
        "Invoke",
        run.start_ns,
        5,
        3,
        error="429",
        attributes={"faas.invoked_name": name, "aws.request_id": request_id, "faasight.throttled": True},
    )
    bodies = {
        "function": lambda: ("traces", otlp.segment(run.traces())),
        "caller": lambda: ("traces", otlp.segment(otlp.traces([throttled], otlp.resource("caller")))),
    }
    return [bodies[t]() if t in bodies else ("records", otlp.records(run.record(t))) for t in one.tellers]


def _one(store: Store, *messages: dict[str, Any] | otlp.Run, name: str) -> Any:
    for message in messages:
        if isinstance(message, otlp.Run):
            store.land("traces", otlp.segment(message.traces()), next(_tokens))
        else:
            store.land("records", otlp.records(message), next(_tokens))
    now = from_ns(time.time_ns())
    found = invocations.recent(store, Scope(now - timedelta(hours=2), now), name)
    return found[0] if found else None


def test_the_platform_knows_what_was_billed_and_the_function_who_called(shared_store: Store) -> None:
    run = otlp.Run(time.time_ns() - MINUTE, ms=100, function=next(_names), cold=True)
    report = run.record("report", duration_ms=104.2, billed_ms=355.0, memory_used_mb=140.0, init_ms=251.5)
    merged = _one(shared_store, report, run, run.record("start"), name=run.function)
    assert (merged.duration_ms, merged.billed_ms, merged.memory_used_mb, merged.init_ms) == (104.2, 355.0, 140.0, 251.5)
    assert (merged.trace_id, merged.source_kind, merged.source_name, merged.cold_start) == (
        run.trace_id.hex(),
        "api",
        "shop-api",
        True,
    )
    assert merged.cost_usd == pytest.approx(2e-7 + 0.355 * 0.5 * 0.0000166667)


@pytest.mark.parametrize(
    ("function", "platform", "expected"),
    [
        ("ok", "ok", "ok"),
        ("error", "ok", "error"),
        ("ok", "error", "error"),
        ("error", "timeout", "timeout"),
        ("timeout", "timeout", "timeout"),
        ("timeout", "ok", "ok"),  # it was reported 0.15 s early, and then made it: the platform knows
        ("error", "out_of_memory", "out_of_memory"),
        ("ok", "init_error", "init_error"),
    ],
)
def test_either_ones_failure_counts(shared_store: Store, function: str, platform: str, expected: str) -> None:
    run = otlp.Run(time.time_ns() - MINUTE, function=next(_names), outcome=function)
    assert (
        _one(shared_store, run, replace(run, outcome=platform).record("report"), name=run.function).outcome == expected
    )


def test_a_killed_one_has_no_duration_until_the_platform_tells_it(shared_store: Store) -> None:
    """The next process in its sandbox tells of it, and knows when it began."""
    killed = {"faasight.killed": True}
    run = otlp.Run(
        time.time_ns() - MINUTE, 9_000, next(_names), outcome="error", error_type="killed", attributes=killed
    )
    alone = _one(shared_store, run, name=run.function)
    assert (alone.outcome, alone.error_type, alone.duration_ms) == ("error", "killed", None)
    report = replace(run, outcome="out_of_memory", ms=1_200.0).record("report")
    merged = _one(shared_store, report, name=run.function)
    assert (merged.outcome, merged.duration_ms) == ("out_of_memory", 1_200.0)


EXIT = {"status": "error", "error_type": "Runtime.ExitError"}


@pytest.mark.parametrize(
    ("kind", "told", "outcome"),
    [
        ("report", {"error_type": "Runtime.OutOfMemory", "status": "error"}, "out_of_memory"),
        ("report", EXIT | {"memory_used_mb": 512.0}, "out_of_memory"),
        ("report", EXIT | {"memory_used_mb": 511.0}, "error"),
        ("report", {"memory_used_mb": 512.0}, "ok"),
        ("fault", EXIT | {"message": "Error: Runtime exited with error: signal: killed"}, "out_of_memory"),
        ("fault", EXIT | {"message": "Error: Runtime exited with error: exit status 1"}, "error"),
    ],
)
def test_memory_that_ran_out_has_three_signs(
    shared_store: Store, kind: str, told: dict[str, Any], outcome: str
) -> None:
    """The type, a kill within the time limit, an end with all memory used: whichever comes, and all as one."""
    run = otlp.Run(time.time_ns() - MINUTE, function=next(_names))
    assert _one(shared_store, run.record(kind, **told), name=run.function).outcome == outcome
    function = replace(run, outcome="out_of_memory", error_type="MemoryError", message="no room")
    merged = _one(shared_store, function, run.record(kind, **told), name=run.function)
    assert merged.outcome == "out_of_memory"
    now = from_ns(time.time_ns())
    total = invocations.totals(shared_store, Scope(now - timedelta(hours=1), now), run.function)
    assert (total.invocations, total.errors) == (1, 1)


def test_one_that_only_started_is_lost_after_a_while_and_found_again(shared_store: Store) -> None:
    old = otlp.Run(time.time_ns() - 20 * MINUTE, function=next(_names))
    assert _one(shared_store, old.record("start"), name=old.function).outcome == "lost"
    assert _one(shared_store, old.record("report"), name=old.function).outcome == "ok"
    young = otlp.Run(time.time_ns() - MINUTE, function=next(_names))
    assert _one(shared_store, young.record("start"), name=young.function) is None


def test_a_ping_that_keeps_warm_is_billed_and_counted_as_nothing_else(shared_store: Store) -> None:
    name, at = next(_names), time.time_ns() - 10 * MINUTE
    ping = {"faasight.warm_up": True, "faasight.source.kind": "", "faasight.source.name": ""}
    run = otlp.Run(at, 100, name)
    told = otlp.Run(at + SECOND, 9_000, name, cold=True, attributes=ping)
    broken = otlp.Run(at + 2 * SECOND, 5, name, outcome="error", error_type="KeyError", attributes=ping)
    for one in (run, told, broken):
        _one(shared_store, one, name=name)
    _one(shared_store, told.record("report"), name=name)
    now = from_ns(time.time_ns())
    scope = Scope(now - timedelta(hours=1), now)
    total = invocations.totals(shared_store, scope, name)
    assert (total.invocations, total.errors, total.cold_starts) == (2, 1, 0), "a ping that fails is a failure"
    assert total.p99_ms == pytest.approx(100, rel=0.05)
    assert total.cost_usd > 9 * 0.5 * 0.0000166667
    listed = {one.request_id: one.outcome for one in invocations.recent(shared_store, scope, name)}
    assert listed == {run.request_id: "ok", told.request_id: "warm_up", broken.request_id: "error"}
    assert [one.request_id for one in invocations.recent(shared_store, scope, name, failed=True)] == [broken.request_id]
    assert [group.count for group in invocations.errors(shared_store, scope, name)] == [1]

    def signal(what: str) -> float:
        (found,) = [
            one
            for one in signals.measure(shared_store, what, scope.start, scope.end)
            if one.labels == {"function": name}
        ]
        return found.value

    assert [signal(what) for what in ("invocations", "cold_starts", "duration_max_ms")] == [2, 0, 100]
    _one(shared_store, told, name=name)  # told again
    assert functions.cold_starts(shared_store, scope, name).pings == 2
    drawn = [edge for edge in maps.invocation_map(shared_store, scope).edges if edge.target == f"function:{name}"]
    assert [(edge.source, edge.calls) for edge in drawn] == [("api:shop-api", 1)], "nobody of the system sent the pings"


def test_a_start_record_makes_no_second_outcome(shared_store: Store) -> None:
    """It says that an invocation runs, then that it is lost; whoever knows more has the word, before it or after."""
    old = otlp.Run(time.time_ns() - 20 * MINUTE, function=next(_names), cold=True)
    shared_store.land("traces", otlp.segment(old.started()), next(_tokens))
    lost = _one(shared_store, name=old.function)
    began, now = from_ns(old.start_ns), from_ns(time.time_ns())
    measured = signals.measure(shared_store, "lost", began - timedelta(minutes=1), now)
    assert [one.value for one in measured if one.labels["function"] == old.function] == [1]
    assert (lost.outcome, lost.duration_ms, lost.trace_id, lost.cold_start) == ("lost", None, old.trace_id.hex(), True)
    assert _one(shared_store, old, name=old.function).outcome == "ok"
    shared_store.land("traces", otlp.segment(old.started()), next(_tokens))
    assert _one(shared_store, name=old.function).outcome == "ok"
    total = invocations.totals(shared_store, Scope(now - timedelta(hours=2), now), old.function)
    assert (total.invocations, total.cold_starts, total.errors) == (1, 1, 0)

    early = otlp.Run(time.time_ns() - 20 * MINUTE, function=next(_names), cold=True, init_ms=321)
    shared_store.land("traces", otlp.segment(early.started(early.spans()[1])), next(_tokens))
    assert _one(shared_store, name=early.function).init_ms == 321, "it came with the record"
    alone = otlp.Run(time.time_ns() - MINUTE, function=next(_names))
    init = otlp.span("INIT", alone.start_ns - 9 * SECOND, 400, attributes={"faasight.phase": "init"})
    shared_store.land("traces", otlp.segment(alone.traces(init)), next(_tokens))
    assert _one(shared_store, name=alone.function).init_ms is None, "nobody waited for it"

    young = otlp.Run(time.time_ns() - MINUTE, function=next(_names))
    shared_store.land("traces", otlp.segment(young.started()), next(_tokens))
    assert _one(shared_store, name=young.function) is None
    scope = Scope(now - timedelta(hours=2), now)
    (running,) = invocations.recent(shared_store, scope, young.function, running=True)
    assert running.outcome == "running"
    assert invocations.recent(shared_store, scope, young.function, running=True, failed=True) == []
    report = replace(young, outcome="out_of_memory").record("report")
    assert _one(shared_store, report, name=young.function).outcome == "out_of_memory"


def test_a_fault_that_only_knows_the_end_joins_its_start(shared_store: Store) -> None:
    run = otlp.Run(time.time_ns() - 30 * MINUTE, function=next(_names))
    fault = run.record("fault") | {"ts": run.start_ns + 14 * MINUTE, "error_type": "Runtime.ExitError"}
    merged = _one(shared_store, fault, run.record("start"), name=run.function)
    assert (merged.outcome, merged.error_type) == ("error", "Runtime.ExitError")
    late = Scope(from_ns(run.start_ns + 13 * MINUTE), from_ns(run.start_ns + 15 * MINUTE))
    early = Scope(from_ns(run.start_ns - MINUTE), from_ns(run.start_ns + MINUTE))
    assert [invocations.totals(shared_store, scope, run.function).invocations for scope in (early, late)] == [1, 0]


def test_a_throttled_attempt_and_the_run_that_follows_are_both_there(shared_store: Store) -> None:
    run = otlp.Run(time.time_ns() - MINUTE, function=next(_names))
    attempts = [run.record("throttle", ts=run.start_ns - n * SECOND) for n in (1, 2)]
    assert _one(shared_store, *attempts, attempts[0], run, name=run.function).outcome == "ok"
    now = from_ns(time.time_ns())
    total = invocations.totals(shared_store, Scope(now - timedelta(minutes=5), now), run.function)
    assert (total.invocations, total.throttles, total.errors) == (1, 2, 0)


def test_concurrency_is_spread_over_the_time_that_a_run_took(shared_store: Store) -> None:
    name, now = next(_names), time.time_ns() // SECOND * SECOND
    runs = [otlp.Run(now - 60 * SECOND, ms=30_000, function=name) for _ in range(4)]
    shared_store.land("traces", otlp.segment(*(run.traces() for run in runs)), next(_tokens))
    series = invocations.series(shared_store, Scope(from_ns(now - 70 * SECOND), from_ns(now)), name, buckets=7)
    assert series.concurrency == [0, 4, 4, 4, 0, 0, 0]
    assert series.ok == [0, 4, 0, 0, 0, 0, 0]
    assert [p is None for p in series.p50_ms] == [True, False, True, True, True, True, True]


def test_a_scope_must_have_a_time_zone_and_a_length(shared_store: Store) -> None:
    now = from_ns(time.time_ns())
    with pytest.raises(ValueError, match="time zone"):
        invocations.totals(shared_store, Scope(now.replace(tzinfo=None), now))
    with pytest.raises(ValueError, match="end after it starts"):
        invocations.series(shared_store, Scope(now, now))
