"""What began and never ended is lost a minute after its time limit, whoever told of it, in whatever order."""

import itertools
import time
from dataclasses import dataclass
from datetime import timedelta

import otlp
from faasight_store import Scope, Store, settle
from faasight_store.queries import invocations, signals
from faasight_store.times import MINUTE, SECOND, from_ns
from polling import wait_until

MS = SECOND // 1000
AWS_LIMIT_MS, GRACE_MS = 900_000, 60_000  # the longest that AWS lets run; how long news of an end may take
_tokens = (f"lost-token-{n}" for n in itertools.count())

TELLERS = ("record", "start", "end", "report")  # the function while it runs, the platform's start, and both ends
ORDERS = [order for length in (1, 2, 3) for order in itertools.permutations(TELLERS, length)]
LIMITS_MS = (1_000, 200_000, 900_000)
AGES_MS = (130_000, 270_000, 940_000, 1_000_000)


@dataclass(frozen=True, slots=True)
class Case:
    """An invocation of some age, of whom one after the other tells."""

    run: otlp.Run
    limit_ms: int
    order: tuple[str, ...]

    def expected(self, heard: int, since: int, until: int) -> set[str]:
        """Return the outcomes that are right between two moments (ns), when the first `heard` have told."""
        told = set(self.order[:heard])
        if told & {"end", "report"}:
            return {"ok"}
        known = self.limit_ms if "record" in told else AWS_LIMIT_MS
        lost_at = self.run.start_ns + (known + GRACE_MS) * MS
        return {"lost" if lost_at < moment else "running" for moment in (since, until)}


def _land(store: Store, cases: list[Case], turn: int) -> None:
    of = {
        "record": lambda run: run.started(),
        "end": lambda run: run.traces(),
        "start": lambda run: run.record("start"),
        "report": lambda run: run.record("report"),
    }
    heard = [(case.order[turn], case.run) for case in cases if turn < len(case.order)]
    spans = [of[teller](run) for teller, run in heard if teller in ("record", "end")]
    lines = [of[teller](run) for teller, run in heard if teller not in ("record", "end")]
    store.land("traces", otlp.segment(*spans), next(_tokens))
    store.land("records", otlp.records(*lines), next(_tokens))


def test_every_order_of_witnesses_by_limit_and_age(store: Store) -> None:
    """Each tells before or after minutes were settled in which the invocation still ran, or was lost."""
    now = time.time_ns()
    cases = [
        Case(
            otlp.Run(now - age * MS, function=f"lost-{limit}", attributes={"faasight.timeout_ms": limit}), limit, order
        )
        for limit, age, order in itertools.product(LIMITS_MS, AGES_MS, ORDERS)
    ]
    scope = Scope(from_ns(now) - timedelta(minutes=30), from_ns(now) + timedelta(minutes=1))
    seen = set()
    for turn in range(3):
        _land(store, cases, turn)
        for is_settled in (False, True):
            if is_settled:
                settle(store)
            since = time.time_ns()
            rows = invocations.recent(store, scope, running=True, limit=2 * len(cases))
            until = time.time_ns()
            assert len(rows) == len({row.request_id for row in rows}) == len(cases)
            outcomes = {row.request_id: row.outcome for row in rows}
            wrong = [
                (case.order[: turn + 1], case.limit_ms, (now - case.run.start_ns) // SECOND, outcome, right)
                for case in cases
                if (outcome := outcomes[case.run.request_id]) not in (right := case.expected(turn + 1, since, until))
            ]
            assert wrong == []
            seen |= set(outcomes.values())
    assert seen == {"ok", "lost", "running"}


def test_one_settled_while_it_ran_becomes_lost_when_its_time_is_over(store: Store) -> None:
    """Nothing comes, nothing is touched: its own time alone makes its minute due, and once."""
    limit_ms = 300_000
    lost_at = time.time_ns() + 8 * SECOND
    start = lost_at - (limit_ms + GRACE_MS) * MS
    late = otlp.Run(start, function="hangs", attributes={"faasight.timeout_ms": limit_ms})
    later = otlp.Run(start, function="hangs", attributes={"faasight.timeout_ms": 900_000})
    store.land("traces", otlp.segment(late.started(), later.started()), next(_tokens))
    scope = Scope(from_ns(start - MINUTE), from_ns(start + MINUTE))

    def outcome() -> str:
        settle(store)
        (row,) = (row for row in invocations.recent(store, scope, running=True) if row.request_id == late.request_id)
        return row.outcome

    first = outcome()
    assert first == "running" or time.time_ns() > lost_at
    wait_until(lambda: outcome() == "lost", "its time is over")
    assert time.time_ns() > lost_at
    # Lost is found when it is read: its time may have come after the minute was settled, which is due since then.
    settle(store)
    (measured,) = signals.measure(store, "lost", scope.start, from_ns(time.time_ns()))
    assert measured.value == 1, "the other one's time is not over"
    minute = (
        start // MINUTE * 60
    )  # of those after it another one is over, and settled, whenever the clock tells a minute
    marks = "SELECT count() FROM settled_minutes WHERE toUnixTimestamp(minute) = {minute:Int64}"
    before = store.query(marks, {"minute": minute})
    settle(store)
    assert store.query(marks, {"minute": minute}) == before
    assert before[0][0] >= 1
