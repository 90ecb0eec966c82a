"""Each minute, and on POST /restock: fill the shelves. The first run brings the whole range into the shop."""

import json
import logging
import os
from pathlib import Path
from typing import Any

import boto3

log = logging.getLogger("restock")
log.setLevel(logging.INFO)
table = boto3.resource("dynamodb").Table(os.environ["PRODUCTS_TABLE"])
RANGE = json.loads(Path(__file__).with_name("range.json").read_text())
LOW, FULL = 20, 100


def handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer with the number of products that were filled up."""
    shelves = {product["id"]: product["pieces"] for product in table.scan()["Items"]}
    low = [product for product in RANGE if shelves.get(product["id"], 0) < LOW]
    for product in low:
        table.update_item(
            Key={"id": product["id"]},
            UpdateExpression="SET #name = :name, #text = :text, price_cents = :price_cents, pieces = :pieces",
            ExpressionAttributeNames={"#name": "name", "#text": "text"},
            ExpressionAttributeValues={
                ":name": product["name"],
                ":text": product["text"],
                ":price_cents": product["price_cents"],
                ":pieces": FULL,
            },
        )
    log.info("shelves filled", extra={"products": len(RANGE), "filled": len(low)})
    return {"statusCode": 200, "body": json.dumps({"filled": len(low)})}
