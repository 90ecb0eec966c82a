"""How long the pages' queries take over a month of a fleet, and the same questions on the peer's tables.

python benchmarks/query.py [--invocations 2000000] [--folder DIR] [--days 30] [--fact-days 2] [--span-days 8]
    [--repeats 10] [--ranges '15 min' '7 d']

The month's invocations stand in the rollups; facts (what is merged when read) are made for the last days and settled
by the store itself, and the older days' rollups are those days again. Spans (of one invocation in ten, those of its
calls, and log lines) are made for some days. Everything ends now: minutes that are not settled yet are read from their
facts, as they are on a live system.
With --folder the data is kept, and brought up to the present when it is used again.

Prints p50 and p95 in ms for each query and range, and the median of the CPU time of the whole process, which other
work on the machine changes far less, in four ways, each compared with the goals: as the only viewer of a running
dashboard asks again (what is settled is in memory, what all queries must know first is kept fresh by a thread,
`Store.expect`); the first time in a running dashboard (what pages of all functions need of the usual ranges was read
ahead, as the dashboards do; questions of one function are of another one each time); the first time where nothing was
read ahead, as in an environment that nobody chose before; and with nothing remembered at all. Pages ask their queries
on four threads. Then the peer beside it over 7 days: `ours` and `peer` are the sums of the medians of the questions
that both can answer; the last line is for a running dashboard, the ones before it for the other ways.
"""

import argparse
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import _fleet
import _peer
from faasight_dashboards import ahead
from faasight_store import Scope, Store, edge_days, migrate, rollup, settle
from faasight_store.queries import alerts, edges, functions, ingest, invocations, live, logs, minutes, signals, traces
from faasight_store.queries import map as maps
from faasight_store.queries.windows import chart_step_s
from faasight_store.times import HOUR, MINUTE, SECOND, from_ns

DAY = 24 * HOUR
RANGES = {"15 min": 15 * MINUTE, "1 h": HOUR, "3 h": 3 * HOUR, "24 h": DAY, "7 d": 7 * DAY, "30 d": 30 * DAY}
GOAL_MS, SEARCH_GOAL_MS, TRACE_GOAL_MS, GOAL_RATIO = 150, 500, 300, 20
ONE = "fn-03"
REMEMBER_S = 60.0  # with nothing remembered: on a busy machine a page should not ask twice
RUNNING_S = 2.0  # as `faasight up` has it
LOOKING_S = 5.0
THREADS = 4  # that ask for a page's data at once


def make(store: Store, arguments: argparse.Namespace, now: int) -> None:
    """Make the fleet's month, settled, up to now."""
    began = time.perf_counter()
    first = now - int(arguments.fact_days * DAY)
    for start, length, count in _fleet.parts(arguments.invocations, arguments.days, now):
        if start >= first:
            _fleet.fill(store, start, length, count)
            print(f"{(start - first) // HOUR} hours to make, {time.perf_counter() - began:.0f} s", flush=True)
    began, settled = time.perf_counter(), 0
    while some := settle(store):
        settled += some
    print(f"{settled} hours settled in {time.perf_counter() - began:.0f} s", flush=True)
    _fleet.repeat_days(store, arguments.fact_days, arguments.days, arguments.span_days, now)
    print(f"older days after {time.perf_counter() - began:.0f} s", flush=True)


def catch_up(store: Store, invocations_a_month: int, days: int) -> int:
    """Make what was invoked since the newest fact, settle, and return the time."""
    last = store.query("SELECT toUnixTimestamp64Nano(max(ts)) FROM invocation_facts WHERE witness = 'start'")[0][0]
    now = time.time_ns() // 1000 * 1000
    rate = 1.6 * invocations_a_month / (days * 24)  # an hour, at the time of most traffic
    for start, end in ((last, now - 30 * SECOND), *((now - k * SECOND, now - (k - 10) * SECOND) for k in (30, 20, 10))):
        start = max(start, last)  # as on a live system, what is newest came in small inserts
        if end > start:
            _fleet.fill(store, start, end - start, int((end - start) / HOUR * rate))
    while settle(store):
        pass
    while rollup.settle_minutes(store, time.time_ns()):
        pass
    while rollup.settle_days(store, now) or edge_days.settle(store, now - HOUR, now):
        pass
    return now


Question = Callable[[str], Any]  # of a function, where it is of one


def queries(store: Store, scope: Scope) -> Mapping[str, Question]:
    """Return what the pages ask of a scope."""
    return {
        "totals": lambda _: invocations.totals(store, scope),
        "series": lambda _: invocations.series(store, scope),
        "heatmap": lambda _: invocations.heatmap(store, scope),
        "functions": lambda _: functions.functions(store, scope),
        "errors": lambda _: invocations.errors(store, scope),
        "map": lambda _: maps.invocation_map(store, scope),
        "one: series": lambda one: invocations.series(store, scope, one),
        "one: heatmap": lambda one: invocations.heatmap(store, scope, one),
        "one: errors": lambda one: invocations.errors(store, scope, one),
        "one: cold starts": lambda one: functions.cold_starts(store, scope, one),
        "one: recent": lambda one: invocations.recent(store, scope, one),
        "search: recent failed": lambda _: invocations.recent(store, scope, failed=True),
        "search: traces": lambda _: traces.find(store, scope),
        "search: failed traces": lambda _: traces.find(store, scope, failed=True),
        "search: newest logs": lambda _: logs.search(store, scope),
        "search: word in logs": lambda _: logs.search(store, scope, "customer 777"),
        "search: log attribute": lambda _: logs.search(store, scope, "customer:777 level:error"),
        "search: log volume": lambda _: logs.volume(store, scope, "level:error"),
    }


def pages(store: Store, scope: Scope) -> Mapping[str, Question]:
    """Return what whole pages ask of a scope, at once as a browser does."""
    before = scope.before()
    asked: dict[str, Sequence[Question]] = {
        "page: overview": (
            lambda _: invocations.totals(store, scope),
            lambda _: invocations.totals(store, before),
            lambda _: invocations.series(store, scope),
            lambda _: functions.functions(store, scope),
            lambda _: alerts.active(store),
            lambda _: ingest.health(store, scope),
        ),
        "page: function": (
            lambda one: functions.function(store, scope, one),
            lambda one: invocations.totals(store, before, one),
            lambda one: invocations.series(store, scope, one),
            lambda one: invocations.heatmap(store, scope, one),
            lambda one: functions.cold_starts(store, scope, one),
            lambda one: invocations.errors(store, scope, one, limit=6),
            lambda one: invocations.recent(store, scope, one, limit=12),
        ),
        "page: functions": (lambda _: functions.functions(store, scope),),
        "page: map": (lambda _: maps.invocation_map(store, scope),),
    }

    def whole(calls: Sequence[Question]) -> Question:
        def call(one: str) -> list[Any]:
            with ThreadPoolExecutor(THREADS) as threads:
                return list(threads.map(lambda each: each(one), calls))

        return call

    return {name: whole(calls) for name, calls in asked.items()}


@dataclass(frozen=True, slots=True)
class Took:
    """How long some calls took, in ms; `cpu` is of all threads of the process, merges in the background included."""

    wall: list[float]  # sorted
    cpu: list[float]

    @property
    def p50(self) -> float:
        """The median."""
        return statistics.median(self.wall)

    @property
    def p95(self) -> float:
        """What 95 % keep to; of few calls the longest."""
        return self.wall[min(len(self.wall) - 1, int(len(self.wall) * 0.95))]

    def __str__(self) -> str:
        return f"p50 {self.p50:7.0f}  p95 {self.p95:7.0f}  CPU {statistics.median(self.cpu):7.0f}"


class Way(Enum):
    """What is in memory when a query is asked."""

    AGAIN = "as a running dashboard asks"
    FIRST = "the first time in a running dashboard"
    ELSEWHERE = "the first time where nothing was read ahead"
    NOTHING = "nothing remembered"


Missed = dict[Way, int]  # how many queries missed their goal at p95


def timed(
    store: Store, call: Question, repeats: int, way: Way = Way.NOTHING, others: Iterator[str] | None = None
) -> Took:
    """Return how long some calls took; the first, which warms the engine's caches, is left out."""
    ones = others or itertools.repeat(ONE)
    looked_at = way is not Way.NOTHING
    if looked_at:
        store.expect(LOOKING_S)
    call(next(ones))
    wall, cpu = [], []
    for _ in range(repeats):
        if looked_at:
            store.expect(LOOKING_S)
        _forget(store, way)
        one = next(ones)
        began, spent = time.perf_counter(), time.process_time()
        call(one)
        wall.append((time.perf_counter() - began) * 1000)
        cpu.append((time.process_time() - spent) * 1000)
    return Took(sorted(wall), cpu)


def _forget(store: Store, way: Way) -> None:
    settled_too = way in {Way.ELSEWHERE, Way.NOTHING}
    # What all environments share was read ahead with that of all together.
    of_all = store.kept.find([minutes.KEY, edges.NAMES] if way is Way.ELSEWHERE else [])
    store.forget(shared=way is Way.NOTHING, settled=settled_too)
    store.kept.add(of_all)


def _scope(now: int, length: int) -> Scope:
    """Return a scope that ends now, rounded up to a whole bucket as the dashboards do."""
    step = int(chart_step_s(length / SECOND) * SECOND)
    end = -(-now // step) * step
    return Scope(from_ns(end - length), from_ns(end))


Found = dict[str, dict[Way, Took]]  # of each query
# With up to seven repeats none comes twice in a range.
_others = itertools.cycle(f"fn-{place:02}" for place in range(50))


def measure(store: Store, running: Store, arguments: argparse.Namespace) -> tuple[dict[str, Found], Missed]:
    """Time every query over every range, in every way."""
    found: dict[str, Found] = {}
    missed = dict.fromkeys(Way, 0)
    for label, length in RANGES.items():
        if length > arguments.days * DAY or (arguments.ranges and label not in arguments.ranges):
            continue
        now = catch_up(store, arguments.invocations, arguments.days)
        scope = _scope(now, length)
        found[label] = {name: {} for name in (*queries(store, scope), *pages(store, scope))}
        for way in (Way.NOTHING, Way.FIRST, Way.AGAIN, Way.ELSEWHERE):
            asked = store if way is Way.NOTHING else running
            if way is Way.FIRST:
                asked.forget()
                live.prepare(asked)
                for question in ahead.questions(scope) if length >= HOUR else ():
                    question(asked)
            for name, call in {**queries(asked, scope), **pages(asked, scope)}.items():
                of_one = name.startswith("one") or name == "page: function"
                others = _others if way is Way.FIRST and of_one else None
                found[label][name][way] = timed(asked, call, arguments.repeats, way, others)
        for name, of_ways in found[label].items():
            goal = float("inf") if name.startswith("search") and length > DAY else GOAL_MS
            goal = SEARCH_GOAL_MS if name.startswith("search") and length <= DAY else goal
            for way, took in of_ways.items():
                missed[way] += took.p95 > goal
            told = " | ".join(f"{of_ways[way]}{' !' if of_ways[way].p95 > goal else '  '}" for way in Way)
            print(f"{label:7} {name:24} {told}", flush=True)
    return found, missed


def measure_others(store: Store, arguments: argparse.Namespace, missed: Missed) -> None:
    """Time a signal of an alert, a large trace and the live tail."""
    now = catch_up(store, arguments.invocations, arguments.days)
    large = _fleet.large_trace(store, now, 10_000)
    window = timedelta(minutes=5)
    for name, goal, call in (
        (
            "a signal over 5 min",
            GOAL_MS,
            lambda _: signals.measure(store, "error_rate", from_ns(now) - window, from_ns(now)),
        ),
        ("a trace of 10,000 spans", TRACE_GOAL_MS, lambda _: traces.trace(store, large)),
        ("the live tail", GOAL_MS, lambda _: logs.tail(store, 0)),
    ):
        took = timed(store, call, arguments.repeats)
        for way in Way:
            missed[way] += took.p95 > goal
        print(f"{name:32} {took}{'  !' if took.p95 > goal else ''}", flush=True)


def beside(store: Store, peer: Store, arguments: argparse.Namespace, ours: Found) -> tuple[dict[Way, float], float]:
    """Ask the peer the same over 7 days; return sums of medians: ours in every way, and the peer's."""
    now = time.time_ns()
    if not peer.query("SELECT count() FROM system.tables WHERE database = currentDatabase()")[0][0]:
        _peer.copy(store, peer, now - arguments.span_days * DAY, now)
    for name, database, table in (("ours", store.dsn.database, "spans"), ("peer", peer.dsn.database, "otel_traces")):
        rows, size = store.query(
            "SELECT sum(rows), sum(bytes_on_disk) FROM system.parts"
            " WHERE active AND database = {database:String} AND table = {table:String}",
            {"database": database, "table": table},
        )[0]
        print(f"{name}: {rows} spans, {size / max(rows, 1):.1f} bytes each on disk")
    own, others = dict.fromkeys(Way, 0.0), 0.0
    for name, call in _peer.questions(peer, _scope(now, 7 * DAY)).items():
        theirs = timed(peer, lambda _, call=call: call(), 3)
        others += theirs.p50
        for way in Way:
            own[way] += ours[name][way].p50
        times = ", ".join(f"{theirs.p50 / ours[name][way].p50:.1f} times {way.value}" for way in Way)
        print(f"7 d     {name:24} peer {theirs}  {times}", flush=True)
    return own, others


def main() -> None:
    """Make or bring up the fleet, and time everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--invocations", type=int, default=2_000_000, help="in the month, all functions together")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--fact-days", type=float, default=2.0)
    parser.add_argument("--span-days", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--folder", type=Path, help="keep the data there, and ask what is there already")
    parser.add_argument("--make-only", action="store_true", help="make the data of --folder and stop")
    parser.add_argument("--ranges", nargs="*", choices=RANGES, help="all; 7 d must be among them")
    arguments = parser.parse_args()
    if arguments.ranges and "7 d" not in arguments.ranges:
        parser.error("the peer is asked over 7 d, which must be among --ranges")
    with ExitStack() as stack:
        folder = arguments.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        store = stack.enter_context(Store.open(f"chdb://{folder}", remember_s=REMEMBER_S))
        if not migrate.is_migrated(store):  # a folder that is kept may have the schema of an older version
            store.migrate()
            make(store, arguments, time.time_ns() // MINUTE * MINUTE)
            peer = stack.enter_context(Store.open(f"chdb://{folder}?database=otel"))
            _peer.copy(store, peer, time.time_ns() - arguments.span_days * DAY, time.time_ns())
        if arguments.make_only:
            return
        running = stack.enter_context(Store.open(f"chdb://{folder}", remember_s=RUNNING_S))
        found, missed = measure(store, running, arguments)
        measure_others(store, arguments, missed)
        peer = stack.enter_context(Store.open(f"chdb://{folder}?database=otel"))
        own, theirs = beside(store, peer, arguments, found["7 d"])
    names = {
        Way.NOTHING: "query_nothing_remembered", Way.ELSEWHERE: "query_not_read_ahead", Way.FIRST: "query_first_asked",
        Way.AGAIN: "query",
    }  # fmt: skip
    for way, name in names.items():
        asked = f"{len(_peer.QUESTIONS)} questions over 7 days, sum of medians, {way.value}"
        ratio = theirs / own[way]
        print(
            json.dumps(
                {
                    "name": name,
                    "ours": round(own[way], 1),
                    "peer": round(theirs, 1),
                    "unit": f"ms: {asked}; goals missed at p95: {missed[way]}",
                    "ratio": round(ratio, 1),
                    "goal": GOAL_RATIO,
                    "ok": ratio >= GOAL_RATIO and not missed[way],
                }
            )
        )


if __name__ == "__main__":
    main()
