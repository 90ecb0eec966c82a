"""A shop with an hour of history: an order that crosses a queue, and the runs around it."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import otlp
from faasight_store import Scope, Store
from faasight_store.times import from_ns

SECOND = 10**9
MINUTE = 60 * SECOND


@dataclass(frozen=True, slots=True)
class Shop:
    """What was stored: an order that crosses a queue, and the runs around it."""

    store: Store
    now_ns: int
    order: otlp.Run  # checkout, cold, which sends to the queue
    payment: otlp.Run  # consumes it, in a trace of its own that links to the order's
    failed: otlp.Run
    timed_out: otlp.Run

    @property
    def now(self) -> datetime:
        """When all of this was stored."""
        return from_ns(self.now_ns)

    @property
    def scope(self) -> Scope:
        """The last hour."""
        return Scope(self.now - timedelta(hours=1), self.now)


def stored(store: Store) -> Shop:
    """Store the shop's history and return it."""
    now = time.time_ns()
    order = otlp.Run(now - 10 * MINUTE, ms=120, function="checkout", cold=True)
    payment = otlp.Run(
        now - 9 * MINUTE,
        ms=80,
        function="payment",
        attributes={
            "faasight.source.kind": "queue",
            "faasight.source.name": "order-queue",
            "faas.trigger": "pubsub",
            "faasight.queue_wait_ms": 1500.0,
            "faasight.attempt": 2,
        },
    )
    failed = otlp.Run(
        now - 8 * MINUTE,
        ms=40,
        function="checkout",
        outcome="error",
        error_type="ValueError",
        message="no stock for order 17",
    )
    again = otlp.Run(
        now - 7 * MINUTE,
        ms=45,
        function="checkout",
        outcome="error",
        error_type="ValueError",
        message="no stock for order 18",
    )
    timed_out = otlp.Run(now - 6 * MINUTE, ms=3000, function="payment", outcome="timeout")
    shop = Shop(store, now, order, payment, failed, timed_out)
    _land_traces(shop, again)
    _land_records(shop, again)
    return shop


def _land_traces(shop: Shop, again: otlp.Run) -> None:
    calls = [
        _call(
            shop.order,
            "send order-queue",
            4,
            {"messaging.system": "aws_sqs", "messaging.destination.name": "order-queue"},
        ),
        _call(
            shop.order,
            "POST payment-provider",
            3,
            {"peer.service": "payment-provider", "server.address": "10.0.0.1"},
            error="503",
        ),
        _call(
            shop.order,
            "DynamoDB.PutItem orders",
            3,
            {
                "rpc.system": "aws-api",
                "rpc.service": "DynamoDB",
                "aws.dynamodb.table_names": ["orders"],
                "http.request.resend_count": 2,
            },
        ),
        _call(
            shop.order,
            "Lambda.Invoke stock",
            3,
            {
                "rpc.system": "aws-api",
                "rpc.service": "Lambda",
                "faas.invoked_name": "stock",
                "aws.request_id": "throttled-1",
                "faasight.throttled": True,
            },
            error="429",
        ),
        otlp.span(
            "import pandas",
            shop.order.start_ns - 200 * otlp.MS,
            180,
            trace_id=shop.order.trace_id,
            attributes={
                "faasight.phase": "import",
                "faasight.import.module": "pandas",
                "faasight.import.self_ms": 90.5,
            },
        ),
    ]
    consumer = shop.payment.traces()
    link = consumer.resource_spans[0].scope_spans[0].spans[0].links.add()
    link.trace_id, link.span_id = shop.order.trace_id, calls[0].span_id
    requests = [shop.order.traces(*calls), consumer, shop.failed.traces(), again.traces(), shop.timed_out.traces()]
    shop.store.land("traces", otlp.segment(*requests), "shop-traces")


def _call(run: otlp.Run, name: str, kind: int, attributes: dict[str, Any], **more: Any) -> Any:
    return otlp.span(
        name,
        run.start_ns + 10 * otlp.MS,
        20,
        kind,
        attributes=attributes,
        trace_id=run.trace_id,
        parent_span_id=run.span_id,
        **more,
    )


def _land_records(shop: Shop, again: otlp.Run) -> None:
    runs = [shop.order, shop.payment, shop.failed, again, shop.timed_out]
    lines = [run.record(kind) for run in runs for kind in ("start", "done", "report")]
    lines.append({"kind": "throttle", "ts": shop.order.start_ns, "function": "stock", "request_id": "throttled-1"})
    for i, (level, message) in enumerate(
        [("INFO", "order accepted"), ("WARN", "Stock is low"), ("ERROR", "payment refused: 100%_sure")]
    ):
        lines.append(
            {
                "kind": "log",
                "ts": shop.order.start_ns + i * otlp.MS,
                "function": "checkout",
                "level": level,
                "message": message,
                "request_id": shop.order.request_id,
                "trace_id": shop.order.trace_id.hex(),
                "span_id": shop.order.span_id.hex(),
                "attributes": {
                    "path": "/health" if i == 0 else "/orders",
                    "duration_ms": str(100 * i),
                    "logger": "shop",
                },
            }
        )
    shop.store.land("records", otlp.records(*lines), "shop-records")
