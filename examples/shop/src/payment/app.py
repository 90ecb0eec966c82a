"""From the order queue: charge the card at the payment provider, then ask for the goods.

The provider fails now and then. Its faults are raised, so that the queue brings the order again; a declined card is
no fault.
"""

import json
import os
from typing import Any

import boto3
import requests
import structlog

log = structlog.get_logger("payment")
orders = boto3.resource("dynamodb").Table(os.environ["ORDERS_TABLE"])
sqs = boto3.client("sqs")
provider = requests.Session()


def handler(event: dict[str, Any], _context: object) -> None:
    """Pay each order of the batch; raises what the provider's client raises (`HTTPError`, `ReadTimeout`...)."""
    for record in event["Records"]:
        pay(json.loads(record["body"]))


def pay(order: dict[str, Any]) -> None:
    """Charge one order and send it on."""
    answer = provider.post(
        f"{os.environ['PAYMENT_PROVIDER_URL']}/charges",
        json={"order_id": order["id"], "amount_cents": order["total_cents"]},
        headers={"Idempotency-Key": order["id"]},  # the queue may bring an order twice; its card is charged once
        timeout=1.5,
    )
    if answer.status_code == 402:
        log.warning("payment declined", order_id=order["id"], reason=answer.json()["reason"])
        move_on(order, "declined", os.environ["NOTIFICATION_QUEUE_URL"])
        return
    if not answer.ok:
        log.error("payment provider failed", order_id=order["id"], status=answer.status_code)
    answer.raise_for_status()
    log.info("paid", order_id=order["id"], amount_cents=order["total_cents"], charge=answer.json()["charge"])
    move_on(order, "paid", os.environ["STOCK_QUEUE_URL"])


def move_on(order: dict[str, Any], status: str, queue_url: str) -> None:
    """Note the order's new status and tell the next function."""
    orders.update_item(
        Key={"id": order["id"]},
        UpdateExpression="SET #status = :status",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":status": status},
    )
    sqs.send_message(QueueUrl=queue_url, MessageBody=json.dumps({**order, "status": status}))
