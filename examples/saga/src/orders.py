"""Takes an order and starts its saga."""

import json
import logging
import os
import uuid
from typing import Any

import boto3

log = logging.getLogger()
log.setLevel(logging.INFO)
workflows = boto3.client("stepfunctions")


def place(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer POST /orders: 202 with the order's id, 400 if something is missing."""
    order = json.loads(event.get("body") or "{}")
    missing = [key for key in ("customer", "product", "quantity") if not order.get(key)]
    if missing:
        return {"statusCode": 400, "body": json.dumps({"missing": missing})}
    order["id"] = uuid.uuid4().hex[:12]
    workflows.start_execution(
        stateMachineArn=os.environ["SAGA_ARN"], name=f"order-{order['id']}", input=json.dumps(order)
    )
    log.info("order %s of %s taken", order["id"], order["product"])
    return {"statusCode": 202, "body": json.dumps({"id": order["id"]})}
