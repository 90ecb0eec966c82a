"""Segments land: decoded whole, once, or not at all."""

import time

import otlp
import pytest

from faasight_store import BadDataError, Store


def test_smoke(store: Store) -> None:
    now = time.time_ns()
    run = otlp.Run(now - 10**9, cold=True)
    client = otlp.span(
        "send order-queue",
        now - 9 * 10**8,
        5,
        4,
        trace_id=run.trace_id,
        parent_span_id=run.span_id,
        attributes={"messaging.system": "aws_sqs", "messaging.destination.name": "order-queue"},
    )
    store.land("traces", otlp.segment(run.traces(client)), "t1")
    store.land(
        "records",
        otlp.records(
            run.record("start"),
            run.record("report"),
            {"kind": "log", "ts": now, "function": "checkout", "message": "hi", "level": "INFO"},
        ),
        "r1",
    )
    store.land(
        "logs",
        otlp.segment(otlp.logs([{"ts": now, "body": "hello", "attributes": {"a": 1}, "trace_id": run.trace_id}])),
        "l1",
    )
    from datetime import UTC, datetime, timedelta
    from faasight_store import Scope
    from faasight_store.queries import functions, ingest, invocations, logs, map, signals, traces

    t = datetime.now(UTC)
    s = Scope(t - timedelta(hours=1), t + timedelta(minutes=1))
    for _ in range(2):
        print(invocations.totals(store, s))
    print(invocations.recent(store, s))
    print(invocations.series(store, s, buckets=10))
    print(invocations.heatmap(store, s, buckets=10))
    print(invocations.errors(store, s))
    print(functions.functions(store, s))
    print(functions.cold_starts(store, s, "checkout"))
    print(map.invocation_map(store, s))
    print(traces.find(store, s))
    print(traces.trace(store, run.trace_id.hex()))
    print(logs.search(store, s))
    print(logs.search(store, s, "hello a:>0 level:info"))
    print(logs.volume(store, s))
    print(logs.tail(store, 0))
    print(ingest.health(store, s), invocations.last_event(store), invocations.environments(store))
    for sig in signals.SIGNALS:
        print(sig, signals.measure(store, sig, s.start, s.end))
    with pytest.raises(BadDataError):
        store.land("traces", otlp.segment(run.traces())[:-10], "t2")
