"""From the stock queue: take the goods of a paid order from the shelves, all of them or none."""

import json
import os
from typing import Any

import boto3
import structlog

log = structlog.get_logger("stock")
dynamodb = boto3.resource("dynamodb").meta.client  # the resource's client takes Python's own types
sqs = boto3.client("sqs")


def handler(event: dict[str, Any], _context: object) -> None:
    """Reserve each order of the batch."""
    for record in event["Records"]:
        order = json.loads(record["body"])
        status = reserve(order)
        queue = "SHIPPING_QUEUE_URL" if status == "reserved" else "NOTIFICATION_QUEUE_URL"
        sqs.send_message(QueueUrl=os.environ[queue], MessageBody=json.dumps({**order, "status": status}))


def reserve(order: dict[str, Any]) -> str:
    """Return the order's new status, `reserved` or `backordered`.

    One transaction, under the order's id as its token: a message that comes twice takes the goods once.
    """
    writes = [take(item["product"], item["quantity"]) for item in order["items"]]
    writes.append(set_status(order["id"], "reserved"))
    try:
        dynamodb.transact_write_items(TransactItems=writes, ClientRequestToken=order["id"])
    except dynamodb.exceptions.TransactionCanceledException:
        dynamodb.update_item(**set_status(order["id"], "backordered")["Update"])
        log.warning("out of stock", order_id=order["id"])
        return "backordered"
    log.info("goods reserved", order_id=order["id"], items=len(order["items"]))
    return "reserved"


def take(product: str, quantity: int) -> dict[str, Any]:
    """Return the write that takes some pieces of a product, if there are as many."""
    return {
        "Update": {
            "TableName": os.environ["PRODUCTS_TABLE"],
            "Key": {"id": product},
            "UpdateExpression": "SET pieces = pieces - :quantity",
            "ConditionExpression": "pieces >= :quantity",
            "ExpressionAttributeValues": {":quantity": quantity},
        }
    }


def set_status(order_id: str, status: str) -> dict[str, Any]:
    """Return the write that notes an order's status."""
    return {
        "Update": {
            "TableName": os.environ["ORDERS_TABLE"],
            "Key": {"id": order_id},
            "UpdateExpression": "SET #status = :status",
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": {":status": status},
        }
    }
