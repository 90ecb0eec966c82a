"""Traces: lists, and one with all that links lead to."""

import itertools
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import otlp
import pytest
from faasight_store import Scope, Store
from faasight_store.queries import traces
from faasight_store.times import HOUR, MINUTE, from_ns
from shop_history import Shop


def test_find(shop: Shop) -> None:
    def found(**options: object) -> list[str]:
        return [row.trace_id for row in traces.find(shop.store, shop.scope, **options)]  # type: ignore[arg-type] # options of find

    everything = found()
    assert (len(everything), everything[0]) == (5, shop.timed_out.trace_id.hex())
    assert found(function="payment") == [shop.timed_out.trace_id.hex(), shop.payment.trace_id.hex()]
    assert shop.payment.trace_id.hex() not in found(failed=True)
    assert found(cold=True) == [shop.order.trace_id.hex()]
    assert found(min_ms=2000) == [shop.timed_out.trace_id.hex()]
    assert found(limit=2) == everything[:2]
    assert traces.find(shop.store, replace(shop.scope, environment="other")) == []


def test_a_row(shop: Shop) -> None:
    (row,) = traces.find(shop.store, shop.scope, cold=True)
    assert (row.spans, row.errors, row.cold_starts, row.services) == (7, 2, 1, ["checkout"])
    assert row.duration_ms == pytest.approx(shop.order.init_ms + shop.order.ms)


def test_a_trace_brings_what_it_links_to_in_both_directions(shop: Shop) -> None:
    order, payment = shop.order.trace_id.hex(), shop.payment.trace_id.hex()
    for one, other in ((order, payment), (payment, order)):
        trace = traces.trace(shop.store, one.upper())
        assert trace is not None
        assert list(trace.trace_ids) == [one, other]
        assert {span.service for span in trace.spans} == {"checkout", "payment"}
        assert [span.start_ns for span in trace.spans] == sorted(span.start_ns for span in trace.spans)
        assert [line.message for line in trace.logs] == ["order accepted", "Stock is low", "payment refused: 100%_sure"]
        assert trace.cost_usd > 0
        assert not trace.truncated


def test_a_span_keeps_its_events(shop: Shop) -> None:
    trace = traces.trace(shop.store, shop.failed.trace_id.hex())
    assert trace is not None
    (span,) = trace.spans
    assert (span.status, span.status_message, span.kind, span.parent_span_id) == (2, "no stock for order 17", 2, "")
    assert span.events[0].attributes == {"exception.type": "ValueError", "exception.message": "no stock for order 17"}


def test_limits_and_unknown_ids(shop: Shop) -> None:
    trace = traces.trace(shop.store, shop.order.trace_id.hex(), limit=2)
    assert trace is not None
    assert (len(trace.spans), trace.truncated) == (2, True)
    assert traces.trace(shop.store, "0" * 31 + "1") is None
    for wrong in ("", "12", "g" * 32, "0" * 33, "' OR 1=1"):
        with pytest.raises(ValueError, match="32 hexadecimal digits"):
            traces.trace(shop.store, wrong)


def test_a_span_sent_twice_is_shown_once_and_rings_of_links_end(store: Store) -> None:
    now = time.time_ns()
    ids = [bytes([i]) * 16 for i in range(1, 40)]
    spans = []
    for i, trace_id in enumerate(ids):
        span = otlp.span("s", now + i, 1, trace_id=trace_id)
        span.links.add(trace_id=ids[(i + 1) % len(ids)], span_id=b"12345678")
        spans.append(span)
    request = otlp.segment(otlp.traces(spans))
    for token in ("first", "a client's retry"):
        store.land("traces", request, token)
    trace = traces.trace(store, ids[0].hex())
    assert trace is not None
    assert len(trace.trace_ids) == 1 + 2 * traces.LINK_HOPS
    assert len(trace.spans) == len(trace.trace_ids)


def test_traces_meet_by_an_id_that_sender_and_consumer_know(store: Store) -> None:
    now = time.time_ns()
    upload, resize, other = (bytes([i]) * 16 for i in (1, 2, 3))
    ids = {
        upload: ("faasight.sent.ids", ["photos/cat.jpg#e1", "m-1"]),
        resize: ("faasight.source.ids", ["photos/cat.jpg#e1"]),
        other: ("faasight.source.ids", ["photos/dog.jpg#e2"]),
    }
    for trace_id, (key, values) in ids.items():
        span = otlp.span("s", now, 1, attributes={key: values}, trace_id=trace_id)
        store.land("traces", otlp.segment(otlp.traces([span])), f"alone {trace_id!r}")
    for one, met in ((upload, resize), (resize, upload)):
        trace = traces.trace(store, one.hex())
        assert trace is not None
        assert list(trace.trace_ids) == [one.hex(), met.hex()]
    alone = traces.trace(store, other.hex())
    assert alone is not None
    assert list(alone.trace_ids) == [other.hex()]


def test_a_start_record_stands_for_its_span_as_long_as_that_is_missing(store: Store) -> None:
    run = otlp.Run(time.time_ns() - 10**10, ms=3_000, parent_span_id=b"parent-1")
    child = otlp.span("charge", run.start_ns + 10**6, 5, trace_id=run.trace_id, parent_span_id=run.span_id)
    store.land("traces", otlp.segment(run.started(), otlp.traces([child], otlp.resource())), "first")
    shown = traces.trace(store, run.trace_id.hex())
    assert shown is not None
    record, below = shown.spans
    assert (record.name, record.span_id, record.parent_span_id) == (
        "invoke (started)", run.span_id.hex(), run.parent_span_id.hex(),
    )  # fmt: skip
    assert below.parent_span_id == record.span_id

    store.land("traces", otlp.segment(run.traces()), "second")
    shown = traces.trace(store, run.trace_id.hex())
    assert shown is not None
    assert [span.name for span in shown.spans] == ["invoke", "charge"]
    now = from_ns(time.time_ns())
    (row,) = traces.find(store, Scope(now - timedelta(minutes=5), now))
    assert (row.spans, row.cold_starts) == (2, 0)


@dataclass(frozen=True)
class _Told:
    """A trace as its spans tell of it: what the list must show."""

    spans: Sequence[tuple[int, float, str, str, bool, bool]]  # start, ms, function, environment, failed, cold

    @property
    def began(self) -> int:
        return min(span[0] for span in self.spans)

    @property
    def ms(self) -> float:
        return (max(span[0] + int(span[1] * 1e6) for span in self.spans) - self.began) / 1e6

    def meets(self, scope: Scope, function: str, *, failed: bool, cold: bool, min_ms: float) -> bool:
        _, _, functions, environments, failures, colds = zip(*self.spans, strict=True)
        return (
            scope.start <= from_ns(self.began) < scope.end
            and (not function or function in functions)
            and (not scope.environment or scope.environment in environments)
            and (not failed or any(failures))
            and (not cold or any(colds))
            and self.ms >= min_ms
        )


def test_the_list_is_right_whatever_is_looked_for_and_wherever_a_trace_tells_of_it(store: Store) -> None:
    rng = random.Random(31)
    now = time.time_ns() // 1000 * 1000
    told: dict[bytes, _Told] = {}
    requests = []
    for _ in range(120):
        trace_id, began = rng.randbytes(16), now - int(rng.expovariate(1 / (90 * MINUTE)))
        spans = [
            (
                # A trace may go on for a quarter of an hour, so that its parts lie in several rows of the index.
                began + (0 if first else rng.randrange(14 * MINUTE)) // 1000 * 1000, rng.choice([5.0, 900.0]),
                rng.choice(["order", "payment"]), rng.choice(["prod", "test"]),
                rng.random() < 0.1, rng.random() < 0.1,
            )
            for first in (True, *[False] * rng.randrange(3))
        ]  # fmt: skip
        told[trace_id] = _Told(spans)
        for start, ms, function, environment, failed, cold in spans:
            span = otlp.span(
                "work", start, ms, trace_id=trace_id, error="no" if failed else None,
                attributes={"faas.coldstart": cold},
            )  # fmt: skip
            requests.append(otlp.traces([span], otlp.resource(function, deployment__environment__name=environment)))
    rng.shuffle(requests)
    for n in range(3):
        store.land("traces", otlp.segment(*requests[n::3]), f"of a list {n}")
    scopes = [
        Scope(from_ns(now - 30 * HOUR), from_ns(now + HOUR)),
        Scope(from_ns(now - 100 * MINUTE), from_ns(now - 33 * MINUTE), "prod"),
    ]
    every = [*itertools.product(scopes, ("", "order"), (False, True), (False, True), (0, 60_000), (7, 1000))]
    for scope, function, failed, cold, min_ms, limit in [*every[:2], *rng.sample(every, 14)]:
        shown = traces.find(store, scope, function=function, failed=failed, cold=cold, min_ms=min_ms, limit=limit)
        meant = [
            (trace_id, of)
            for trace_id, of in told.items()
            if of.meets(scope, function, failed=failed, cold=cold, min_ms=min_ms)
        ]
        meant.sort(key=lambda known: known[1].began, reverse=True)
        assert [(row.trace_id, row.duration_ms, row.spans) for row in shown] == [
            (trace_id.hex(), pytest.approx(of.ms), len(of.spans)) for trace_id, of in meant[:limit]
        ], (scope, function, failed, cold, min_ms, limit)
