"""Reserves what is ordered, and gives it back. Both may be called twice for one order."""

import os
from typing import Any

import boto3
from botocore.exceptions import ClientError

shelves = boto3.resource("dynamodb").Table(os.environ["STOCK_TABLE"])
FULL = 100  # what a shelf holds that nobody has taken from yet


class OutOfStock(Exception):  # noqa: N818 -- the saga's definition has it by this name
    """There is not enough left."""


def reserve(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take the quantity off the shelf, once for each order."""
    quantity, order = int(event["quantity"]), event["id"]
    try:
        shelf = shelves.update_item(
            Key={"id": event["product"]},
            UpdateExpression="SET remaining = if_not_exists(remaining, :full) - :quantity ADD orders :order",
            ConditionExpression="(attribute_not_exists(remaining) OR remaining >= :quantity)"
            " AND NOT contains(orders, :id)",
            ExpressionAttributeValues={":quantity": quantity, ":full": FULL, ":order": {order}, ":id": order},
            ReturnValues="UPDATED_NEW",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        raise OutOfStock(f"{event['product']}: fewer than {quantity} are left") from error
    return {"remaining": int(shelf["Attributes"]["remaining"])}


def release(event: dict[str, Any], _context: object) -> None:
    """Put it back, if it was taken."""
    quantity, order = int(event["quantity"]), event["id"]
    try:
        shelves.update_item(
            Key={"id": event["product"]},
            UpdateExpression="SET remaining = remaining + :quantity DELETE orders :order",
            ConditionExpression="contains(orders, :id)",
            ExpressionAttributeValues={":quantity": quantity, ":order": {order}, ":id": order},
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
