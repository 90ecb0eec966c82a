"""One order on its way through an API, a queue and two functions, with trouble; and hostile text wherever text goes."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from faasight_store import Store
from faasight_store.queries import alerts
from faasight_store.queries.alerts import AlertChange, AlertDelivery
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from otlp import MS, Run, logs, records, resource, segment, span, traces

HOSTILE = "<img src=x onerror=\"window.hacked='yes'\">"
QUEUE_WAIT_MS = 480.0
LINES = 6  # of the order's logs


@dataclass(frozen=True, slots=True)
class Flow:
    """What was stored: two invocations, and the sending between them."""

    checkout: Run
    payment: Run
    sending: Span
    declined: Span

    @property
    def trace_id(self) -> str:
        """The trace of the checkout, hex."""
        return self.checkout.trace_id.hex()


def land_flow(store: Store, now: datetime) -> Flow:
    """Store the order of a minute ago, its logs, throttles of the stock function, and alerts."""
    flow = _flow(int((now - timedelta(minutes=1)).timestamp()) * 10**9)
    store.land("traces", segment(flow.checkout.traces(*_work(flow)), _payment(flow)), "flow-traces")
    store.land("logs", segment(_logs(flow)), "flow-logs")
    said = [run.record(kind) for run in (flow.checkout, flow.payment) for kind in ("start", "done", "report")]
    refused = [Run(flow.checkout.start_ns + i, function="stock").record("throttle") for i in range(3)]
    store.land("records", records(*said, *refused), "flow-records")
    _land_alerts(store, now)
    return flow


def _flow(start_ns: int) -> Flow:
    checkout = Run(
        start_ns,
        620.0,
        "checkout",
        outcome="error",
        error_type="CardDeclined",
        message=HOSTILE,
        cold=True,
        init_ms=400.0,
        attributes={"http.request.method": "POST", "http.route": "/checkout"},
    )
    queue = {"faasight.source.kind": "queue", "faasight.source.name": "order-queue", "faas.trigger": "pubsub"}
    payment = Run(start_ns + 900 * MS, 300.0, "payment", attributes={**queue, "faasight.queue_wait_ms": QUEUE_WAIT_MS})
    sending = span(
        "send order-queue",
        start_ns + 400 * MS,
        20,
        Span.SPAN_KIND_PRODUCER,
        trace_id=checkout.trace_id,
        parent_span_id=checkout.span_id,
        attributes={
            "messaging.system": "aws_sqs",
            "messaging.destination.name": "order-queue",
            "messaging.operation.type": "send",
        },
    )
    declined = span(
        "POST payment-provider",
        start_ns + 80 * MS,
        300,
        Span.SPAN_KIND_CLIENT,
        trace_id=checkout.trace_id,
        parent_span_id=checkout.span_id,
        error="402",
        attributes={"http.request.method": "POST", "peer.service": HOSTILE, "http.response.status_code": 402},
    )
    event = declined.events.add(name="exception", time_unix_nano=start_ns + 380 * MS)
    for key, value in (("type", "CardDeclined"), ("message", HOSTILE), ("stacktrace", f"Traceback\n  {HOSTILE}")):
        event.attributes.add(key=f"exception.{key}").value.string_value = value
    return Flow(checkout, payment, sending, declined)


def _work(flow: Flow) -> list[Span]:
    start, ids = flow.checkout.start_ns, {"trace_id": flow.checkout.trace_id, "parent_span_id": flow.checkout.span_id}
    imported = span(
        f"import {HOSTILE}",
        start - 380 * MS,
        250,
        attributes={"faasight.phase": "import", "faasight.import.module": HOSTILE, "faasight.import.self_ms": 120.0},
        **ids,
    )
    put = span(
        "DynamoDB.PutItem orders",
        start + 30 * MS,
        42,
        Span.SPAN_KIND_CLIENT,
        attributes={
            "rpc.system": "aws-api",
            "rpc.service": "DynamoDB",
            "rpc.method": "PutItem",
            "db.system.name": "aws.dynamodb",
            "aws.dynamodb.table_names": ["orders"],
        },
        **ids,
    )
    return [imported, put, flow.declined, flow.sending]


def _payment(flow: Flow) -> object:
    main, *rest = flow.payment.spans()
    main.name, main.kind = "process order-queue", Span.SPAN_KIND_CONSUMER
    main.links.add(trace_id=flow.sending.trace_id, span_id=flow.sending.span_id)
    return traces([main, *rest], resource("payment"))


def _logs(flow: Flow) -> object:
    def line(after_ms: int, severity: int, body: str, span_id: bytes, **attributes: object) -> dict[str, object]:
        own = {"order_id": "o-1", "request_id": flow.checkout.request_id, **attributes}
        at = flow.checkout.start_ns + after_ms * MS
        return {
            "ts": at,
            "severity": severity,
            "body": body,
            "trace_id": flow.checkout.trace_id,
            "span_id": span_id,
            "attributes": own,
        }

    main, call = flow.checkout.span_id, flow.declined.span_id
    return logs(
        [
            line(5, 5, "pool size=8 idle=5", main),
            line(20, 9, "checkout started", main, duration_ms=12.5),
            line(200, 13, "retrying attempt=2", call),
            line(381, 17, f"charge failed {HOSTILE}", call, stack_trace=f"Traceback\n  {HOSTILE}", duration_ms=900),
            line(390, 9, "order queued", main),
            line(600, 9, "checkout answered 502", main),
        ]
    )


def _land_alerts(store: Store, now: datetime) -> None:
    def change(number: int, minutes: int, state: str, severity: str, function: str, *channels: str) -> AlertChange:
        at = now - timedelta(minutes=minutes)
        return AlertChange(
            id=f"change-{number}",
            epoch=1,
            seq=number,
            recorded_at=at,
            slot=at,
            instance=f"errors/{function}",
            rule_id="errors",
            rule="errors",
            severity=severity,
            labels={"function": function},
            state=state,
            since=at,
            value=0.12,
            value_text="12 %",
            condition="error rate > 10 % over 5 min",
            summary=f"{function}: 12 % of the invocations fail {HOSTILE}",
            reason="passed",
            link="",
            channels=channels,
            memory="",
        )

    alerts.append(
        store,
        [
            change(1, 30, "firing", "warning", "stock", "slack"),
            change(2, 20, "resolved", "warning", "stock", "slack"),
            change(3, 14, "firing", "critical", "payment", "slack"),
            change(4, 2, "pending", "warning", "checkout"),
        ],
    )
    alerts.record_deliveries(
        store,
        [
            AlertDelivery("change-1", "slack", now - timedelta(minutes=29), "sent"),
            AlertDelivery("change-2", "slack", now - timedelta(minutes=19), "broken", "404"),
        ],
    )
