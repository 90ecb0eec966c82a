"""The map: whom a call was for, told by the caller and by the callee."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import otlp
import pytest
from faasight_store import Scope, Store
from faasight_store.queries import map as maps
from faasight_store.types import MapEdge, MapNode
from shop_history import Shop


def _scope() -> Scope:
    now = datetime.now(UTC)
    return Scope(now - timedelta(minutes=30), now + timedelta(minutes=1))


def test_the_shop(shop: Shop) -> None:
    found = maps.invocation_map(shop.store, shop.scope)
    nodes = {node.id: node for node in found.nodes}
    assert sorted(nodes) == [
        "api:shop-api",
        "external:payment-provider",
        "function:checkout",
        "function:payment",
        "function:stock",
        "queue:order-queue",
        "table:orders",
    ]
    assert nodes["queue:order-queue"] == MapNode("queue:order-queue", "queue", "order-queue", None, None, None, None)
    checkout, stock = nodes["function:checkout"], nodes["function:stock"]
    assert (checkout.invocations, checkout.errors, checkout.throttles, checkout.provider) == (3, 2, 0, "aws")
    assert (stock.invocations, stock.throttles) == (0, 1)
    edges = {(edge.source, edge.target): edge for edge in found.edges}
    assert (
        edges["function:checkout", "external:payment-provider"].errors,
        edges["function:checkout", "table:orders"].retries,
    ) == (1, 2)
    assert edges["function:checkout", "function:stock"].throttles == 1
    wait = edges["queue:order-queue", "function:payment"]
    assert (wait.calls, wait.retries, wait.queue_wait_p95_ms) == (1, 1, pytest.approx(1500, rel=0.02))
    assert edges["function:checkout", "queue:order-queue"].p95_ms == pytest.approx(20, rel=0.02)
    assert edges["function:checkout", "queue:order-queue"].queue_wait_p95_ms is None
    assert [edge.source for edge in found.edges] == sorted(edge.source for edge in found.edges)


@pytest.mark.parametrize(
    ("attributes", "target"),
    [
        ({"messaging.system": "aws_sqs", "messaging.destination.name": "q"}, "queue:q"),
        ({"messaging.system": "aws_sns", "messaging.destination.name": "t"}, "topic:t"),
        ({"messaging.system": "aws_kinesis", "messaging.destination.name": "s"}, "stream:s"),
        ({"rpc.service": "EventBridge", "messaging.destination.name": "b"}, "bus:b"),
        ({"aws.dynamodb.table_names": ["a"], "rpc.service": "DynamoDB"}, "table:a"),
        ({"aws.dynamodb.table_names": "b", "rpc.service": "DynamoDB"}, "table:b"),
        ({"aws.s3.bucket": "pictures", "rpc.service": "S3"}, "bucket:pictures"),
        ({"faas.invoked_name": "arn:aws:lambda:eu-west-1:1:function:pay:live"}, "function:pay"),
        ({"rpc.service": "KMS"}, "external:KMS"),
        ({"server.address": "api.example.com", "server.port": 443}, "external:api.example.com"),
        ({"server.address": "127.0.0.1", "server.port": 4010}, "external:127.0.0.1:4010"),
        ({"url.full": "https://example.com/a?b"}, "external:example.com"),
        ({"messaging.destination.name": "q", "peer.service": "legacy"}, "external:legacy"),
        ({"db.system.name": "postgresql", "db.namespace": "shop"}, "table:shop"),
    ],
)
def test_the_target_comes_from_standard_attributes(
    shared_store: Store, attributes: dict[str, Any], target: str
) -> None:
    name = f"caller-of-{target}"
    call = otlp.span("call", time.time_ns(), 3, 3, attributes=attributes)
    shared_store.land("traces", otlp.segment(otlp.traces([call], otlp.resource(name))), name)
    edges = [edge for edge in maps.invocation_map(shared_store, _scope()).edges if edge.source == f"function:{name}"]
    assert [edge.target for edge in edges] == [target]


def test_a_transaction_is_an_edge_to_each_of_its_tables(store: Store) -> None:
    attributes = {"aws.dynamodb.table_names": ["orders", "products", "orders"], "rpc.method": "TransactWriteItems"}
    call = otlp.span("call", time.time_ns(), 3, 3, attributes=attributes)
    store.land("traces", otlp.segment(otlp.traces([call])), "t")
    edges = maps.invocation_map(store, _scope()).edges
    assert [(edge.target, edge.calls) for edge in edges] == [("table:orders", 1), ("table:products", 1)]


def test_a_call_that_names_its_source_is_an_edge_of_that(store: Store) -> None:
    """A state machine that sends to a queue has no function of its own."""
    source = {"faasight.source.kind": "workflow", "faasight.source.name": "order-saga"}
    target = {"messaging.system": "aws_sqs", "messaging.destination.name": "news"}
    sent = otlp.span("sqs:sendMessage", time.time_ns(), 3, 4, attributes=source | target)
    store.land("traces", otlp.segment(otlp.traces([sent], {"service.name": "order-saga"})), "t")
    edges = maps.invocation_map(store, _scope()).edges
    assert [(edge.source, edge.target, edge.calls) for edge in edges] == [("workflow:order-saga", "queue:news", 1)]


def test_an_edge_that_both_ends_tell_of_counts_once(store: Store) -> None:
    now = time.time_ns()
    callee = otlp.Run(
        now,
        function="pay",
        attributes={
            "faasight.source.kind": "function",
            "faasight.source.name": "checkout",
            "faasight.queue_wait_ms": 10.0,
        },
    )
    calls = [otlp.span("Lambda.Invoke", now, 9, 3, attributes={"faas.invoked_name": "pay"}) for _ in range(2)]
    store.land("traces", otlp.segment(callee.traces(), otlp.traces(calls)), "t")
    (edge,) = maps.invocation_map(store, _scope()).edges
    assert (edge.source, edge.target, edge.calls) == ("function:checkout", "function:pay", 2)
    assert edge.queue_wait_p95_ms == pytest.approx(10, rel=0.02)


def test_behind_a_gateway_the_context_names_the_caller(store: Store) -> None:
    run = otlp.Run(time.time_ns(), function="b", attributes={"faasight.caller": "a"})
    store.land("traces", otlp.segment(run.traces()), "t")
    edges = maps.invocation_map(store, _scope()).edges
    assert [(edge.source, edge.target) for edge in edges] == [
        ("api:shop-api", "function:b"),
        ("function:a", "api:shop-api"),
    ]


def test_long_ranges_read_hours_and_count_the_same(store: Store) -> None:
    now = datetime.now(UTC).replace(minute=30)
    start = int(now.timestamp()) * 10**9
    calls = [otlp.span("c", start - i * 13 * 60 * 10**9, 5, 3, attributes={"peer.service": "bank"}) for i in range(48)]
    store.land("traces", otlp.segment(otlp.traces(calls)), "t")
    scope = Scope(now - timedelta(hours=8), now + timedelta(seconds=1))
    (edge,) = maps.invocation_map(store, scope).edges
    assert edge.calls == sum(int(scope.start.timestamp()) <= call.start_time_unix_nano // 10**9 for call in calls)
    assert isinstance(edge, MapEdge)
