"""From the notification queue, ten at a time: write to the customer what became of the order.

A record that fails is given back alone (a partial batch failure); the others are done. An address that is none fails
until the queue puts the message aside.
"""

import json
import os
from typing import Any

import boto3
import structlog

log = structlog.get_logger("notification")
orders = boto3.resource("dynamodb").Table(os.environ["ORDERS_TABLE"])

LETTERS = {
    "shipped": "Your order is on its way: parcel {parcel}.",
    "declined": "Your card was declined. Please try another one.",
    "backordered": "We are out of stock, and send your order as soon as we can.",
}


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return the records that failed, in the form that the queue expects."""
    failures = []
    for record in event["Records"]:
        try:
            notify(json.loads(record["body"]))
        except ValueError as problem:
            log.error("notification failed", message_id=record["messageId"], reason=str(problem))
            failures.append({"itemIdentifier": record["messageId"]})
    log.info("batch notified", records=len(event["Records"]), failures=len(failures))
    return {"batchItemFailures": failures}


def notify(order: dict[str, Any]) -> None:
    """Write to one customer. Raises ValueError for an address that is none."""
    if "@" not in order["email"]:
        raise ValueError(f"order {order['id']} has no usable e-mail address")
    letter = LETTERS[order["status"]].format(**order)
    orders.update_item(
        Key={"id": order["id"]},
        UpdateExpression="SET letter = :letter",
        ExpressionAttributeValues={":letter": letter},
    )
    log.info("customer notified", order_id=order["id"], about=order["status"])
