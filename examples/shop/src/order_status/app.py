"""GET /orders/{id}: how far an order has come."""

import json
import logging
import os
from typing import Any

import boto3

log = logging.getLogger("order-status")
log.setLevel(logging.INFO)
orders = boto3.resource("dynamodb").Table(os.environ["ORDERS_TABLE"])


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer with the order, or 404."""
    order_id = event["pathParameters"]["id"]
    order = orders.get_item(Key={"id": order_id}).get("Item")
    if order is None:
        log.warning("no such order", extra={"order_id": order_id})
        return {"statusCode": 404, "body": json.dumps({"error": f"there is no order {order_id}"})}
    log.info("order looked up", extra={"order_id": order_id, "status": order["status"]})
    return {"statusCode": 200, "body": json.dumps(order, default=int)}
