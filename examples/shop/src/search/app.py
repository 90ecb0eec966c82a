"""GET /search?q=word: the products whose name or description has the word.

Its template allows one run at a time: a burst of searches is throttled.
"""

import json
import logging
import os
from typing import Any

import boto3

log = logging.getLogger("search")
log.setLevel(logging.INFO)
products = boto3.resource("dynamodb").Table(os.environ["PRODUCTS_TABLE"])


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer with the products found; 400 without a word."""
    word = (event.get("queryStringParameters") or {}).get("q", "").lower()
    if not word:
        return {"statusCode": 400, "body": json.dumps({"error": "say what to look for: /search?q=tea"})}
    found = [product for product in products.scan()["Items"] if word in f"{product['name']} {product['text']}".lower()]
    log.info("searched", extra={"word": word, "found": len(found)})
    return {"statusCode": 200, "body": json.dumps(found, default=int)}
