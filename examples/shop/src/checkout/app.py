"""POST /checkout: check the cart, price it, write the order down and queue it for payment."""

import json
import os
import uuid
from collections import Counter
from typing import Any

import boto3
import faasight
import structlog

log = structlog.get_logger("checkout")
dynamodb = boto3.resource("dynamodb")
products = dynamodb.Table(os.environ["PRODUCTS_TABLE"])
orders = dynamodb.Table(os.environ["ORDERS_TABLE"])
sqs = boto3.client("sqs")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer 202 with the order's id; 400 with the reason when the cart is no good."""
    try:
        cart = json.loads(event.get("body") or "{}")
        quantities: Counter[str] = Counter()
        for item in cart["items"]:
            quantities[str(item["product"])] += int(item["quantity"])
        items = [{"product": product, "quantity": quantity} for product, quantity in quantities.items()]
        total_cents = price(items)
    except (KeyError, TypeError, ValueError) as problem:
        log.warning("cart refused", reason=repr(problem))
        return {"statusCode": 400, "body": json.dumps({"error": f"the cart is no good: {problem!r}"})}

    order = {"id": uuid.uuid4().hex, "email": cart.get("email", ""), "items": items, "total_cents": total_cents}
    orders.put_item(Item={**order, "status": "placed"})
    sqs.send_message(QueueUrl=os.environ["ORDER_QUEUE_URL"], MessageBody=json.dumps(order))
    log.info("order placed", order_id=order["id"], items=len(items), total_cents=total_cents)
    faasight.metric("orders", 1, unit="1")
    return {"statusCode": 202, "body": json.dumps({"id": order["id"], "total_cents": total_cents})}


def price(items: list[dict[str, Any]]) -> int:
    """Return the cart's sum in cents. Raises ValueError for an empty cart, a bad quantity or an unknown product."""
    if not items:
        raise ValueError("it is empty")
    total = 0
    for item in items:
        if not 1 <= item["quantity"] <= 20:
            raise ValueError(f"{item['quantity']} pieces of {item['product']}")
        product = products.get_item(Key={"id": item["product"]}).get("Item")
        if product is None:
            raise ValueError(f"there is no product {item['product']}")
        total += int(product["price_cents"]) * item["quantity"]
    return total
