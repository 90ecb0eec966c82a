"""What the store shows of a saga that was undone, and of an API's authorizer: one trace, and the right map."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from faasight_cli.local import wrapper
from faasight_collector import Collector
from faasight_emulator import Emulator, Settings
from faasight_store import Scope, Store
from faasight_store.queries import map as maps
from faasight_store.queries import traces
from faasight_store.types import Span, Trace
from polling import wait_until

EXAMPLES = Path(__file__).parents[2] / "examples"
STEPS = ["reserve-stock", "charge-card", "ship-order", "refund-card", "release-stock"]


@pytest.fixture
def seen(
    store_named: Callable[[str, str], Store], collector_before: Callable[[Store], Collector]
) -> tuple[Store, Collector]:
    """Run a collector before a store of its own."""
    store = store_named("embedded", "saga_seen")
    return store, collector_before(store)


@pytest.fixture
def run(seen: tuple[Store, Collector]) -> Iterator[Callable[[str], Emulator]]:
    """Run an example as `faasight local start` does: with the wrapper, and the collector in reach."""
    endpoint = f"http://{seen[1].http_address}"
    environment = {"FAASIGHT_ENDPOINT": endpoint, "AWS_LAMBDA_EXEC_WRAPPER": str(wrapper())}
    running: list[Emulator] = []

    def start(example: str) -> Emulator:
        template = EXAMPLES / example / "template.yaml"
        emulator = Emulator(Settings(template, gateway_port=0, collector=endpoint, environment=environment))
        running.append(emulator)
        emulator.start()
        return emulator

    yield start
    for emulator in running:
        emulator.stop()


def ask(url: str, method: str, body: str, **headers: str) -> None:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    with urlopen(Request(url, body.encode(), given, method=method), timeout=180) as answer:
        answer.read()


def whole(store: Store, began: datetime, functions: set[str]) -> Trace:
    """Return the newest trace in which all of these functions have ended."""

    def look() -> Trace | None:
        rows = traces.find(store, Scope(began, datetime.now(UTC) + timedelta(minutes=1)))
        for row in rows:
            found = traces.trace(store, row.trace_id)
            if found is not None and functions <= {one.service for one in invocations(found)}:
                return found
        return None

    found = wait_until(look, f"a trace of {functions} came", every_s=0.5)
    assert found is not None
    return found


def invocations(trace: Trace) -> list[Span]:
    """Return the invocation spans of a trace that have ended, by start."""
    return [
        one for one in trace.spans if "faas.invocation_id" in one.attributes and "faasight.outcome" in one.attributes
    ]


def above(trace: Trace, span: Span) -> list[str]:
    """Return the names of the spans above one, from the root down."""
    by_id = {one.span_id: one for one in trace.spans}
    names: list[str] = []
    while span.parent_span_id in by_id:
        span = by_id[span.parent_span_id]
        names.insert(0, span.name)
    return names


def test_a_compensated_saga(seen: tuple[Store, Collector], run: Callable[[str], Emulator]) -> None:
    """One trace from the request to the letter: each function below its state, what undid the order marked as such."""
    store, began = seen[0], datetime.now(UTC) - timedelta(minutes=1)
    order = {"customer": "ada@example.com", "product": "tea", "quantity": 1, "address": "nowhere"}
    ask(f"{run('saga').gateway_address}/orders", "POST", json.dumps(order))
    trace = whole(store, began, {"place-order", *STEPS, "tell-customer"})
    assert len(trace.trace_ids) == 1
    by_service = {one.service: one for one in invocations(trace)}
    assert [one.service for one in invocations(trace) if one.service in STEPS] == STEPS
    states = ["ReserveStock", "ChargeCard", "ShipOrder", "RefundCard", "ReleaseStock"]
    for state, function in zip(states, STEPS, strict=True):
        path = above(trace, by_service[function])
        assert path[-3:] == ["execution order-saga", state, f"invoke {function}"]
    marked = {one.name for one in trace.spans if one.attributes.get("faasight.step") == "compensation"}
    assert marked == {"RefundCard", "ReleaseStock", "TellFailure"}
    execution = next(one for one in trace.spans if one.name == "execution order-saga")
    assert (execution.service, execution.status, execution.attributes["error.type"]) == ("order-saga", 2, "NoCarrier")
    failed = {one.service for one in invocations(trace) if one.status == 2}
    assert failed == {"ship-order"}
    scope = Scope(began, datetime.now(UTC) + timedelta(minutes=1))
    edges = {(one.source, one.target): one.errors for one in maps.invocation_map(store, scope).edges}
    assert edges["function:place-order", "workflow:order-saga"] == 0
    assert edges["workflow:order-saga", "queue:news-queue"] == 0
    assert {step: edges["workflow:order-saga", f"function:{step}"] for step in STEPS} == {
        "reserve-stock": 0,
        "charge-card": 0,
        "ship-order": 1,
        "refund-card": 0,
        "release-stock": 0,
    }
    assert not any("function:order-saga" in ends for ends in edges), "a state machine is no function"


def test_an_authorizer_is_a_step_of_the_trace(seen: tuple[Store, Collector], run: Callable[[str], Emulator]) -> None:
    """The guard runs in the request's trace, before the function, and is an edge of the API."""
    store, began = seen[0], datetime.now(UTC) - timedelta(minutes=1)
    ask(f"{run('api').gateway_address}/notes/1", "PUT", "buy tea", X_Api_Key="ada-key")
    trace = whole(store, began, {"guard", "notes"})
    guard, notes = invocations(trace)
    assert (guard.service, guard.attributes["faasight.step"], guard.name) == (
        "guard",
        "authorizer",
        "authorize PUT /notes/{id}",
    )
    assert guard.start_ns + guard.duration_ns <= notes.start_ns
    scope = Scope(began, datetime.now(UTC) + timedelta(minutes=1))
    edges = {(one.source, one.target) for one in maps.invocation_map(store, scope).edges}
    assert {("api:notes-api", "function:guard"), ("api:notes-api", "function:notes")} <= edges
