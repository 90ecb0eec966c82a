"""From the shipping queue: get a parcel label from the carrier.

The call has no time limit of its own, so a slow carrier takes this function to its time-out, where the platform kills
it.
"""

import json
import logging
import os
from typing import Any

import boto3
import urllib3

log = logging.getLogger("shipping")
log.setLevel(logging.INFO)
orders = boto3.resource("dynamodb").Table(os.environ["ORDERS_TABLE"])
sqs = boto3.client("sqs")
carrier = urllib3.PoolManager()


def handler(event: dict[str, Any], _context: object) -> None:
    """Ship each order of the batch."""
    for record in event["Records"]:
        ship(json.loads(record["body"]))


def ship(order: dict[str, Any]) -> None:
    """Get the label, note the parcel's number and have the customer told."""
    pieces = sum(item["quantity"] for item in order["items"])
    wanted = {"order_id": order["id"], "pieces": pieces}
    answer = carrier.request("POST", f"{os.environ['CARRIER_URL']}/labels", json=wanted)
    parcel = answer.json()["parcel"]
    orders.update_item(
        Key={"id": order["id"]},
        UpdateExpression="SET #status = :status, parcel = :parcel",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":status": "shipped", ":parcel": parcel},
    )
    news = {**order, "status": "shipped", "parcel": parcel}
    sqs.send_message(QueueUrl=os.environ["NOTIFICATION_QUEUE_URL"], MessageBody=json.dumps(news))
    log.info("parcel on its way", extra={"order_id": order["id"], "parcel": parcel, "pieces": pieces})
