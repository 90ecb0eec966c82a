"""GET /products: everything that the shop sells."""

import json
import logging
import os
from typing import Any

import boto3

log = logging.getLogger("catalog")
log.setLevel(logging.INFO)
products = boto3.resource("dynamodb").Table(os.environ["PRODUCTS_TABLE"])


def handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer with the list of products, the cheapest first."""
    found = sorted(products.scan()["Items"], key=lambda product: product["price_cents"])
    log.info("catalog listed", extra={"products": len(found)})
    return {"statusCode": 200, "body": json.dumps(found, default=int)}
