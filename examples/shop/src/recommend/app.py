"""GET /recommendations?product=id: what others bought together with it.

pandas does in four lines what would take twenty, and costs most of this function's cold start: look at its import
anatomy.
"""

import json
import logging
import os
from typing import Any

import boto3
import pandas as pd

log = logging.getLogger("recommend")
log.setLevel(logging.INFO)
orders = boto3.resource("dynamodb").Table(os.environ["ORDERS_TABLE"])


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer with up to three product ids, the most often bought together first."""
    product = (event.get("queryStringParameters") or {}).get("product", "")
    found = orders.scan(Limit=200)["Items"]
    lines = pd.DataFrame(
        [(order["id"], item["product"]) for order in found for item in order["items"]], columns=["order", "product"]
    )
    baskets = lines.loc[lines["product"] == product, "order"]
    together = lines[lines["order"].isin(baskets) & (lines["product"] != product)]
    best = together["product"].value_counts().head(3)
    log.info("recommended", extra={"product": product, "orders": len(found), "recommended": len(best)})
    return {"statusCode": 200, "body": json.dumps(list(best.index))}
