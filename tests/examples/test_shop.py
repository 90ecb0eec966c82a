"""The shop as a whole, in the emulator: an order goes from the checkout to the customer's letter."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import boto3
import pytest
from faasight_emulator import Emulator, Settings

SHOP = Path(__file__).parents[2] / "examples" / "shop"


@pytest.fixture(scope="module")
def providers() -> Iterator[tuple[str, str]]:
    """Run the payment provider and the carrier; give their URLs. Their first minute is calm."""
    command = [sys.executable, str(SHOP / "provider.py"), "--port", "0", "--carrier-port", "0", "--seed", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        lines = [process.stdout.readline().split(" on ")[1].strip() for _ in range(2)]
        yield lines[0], lines[1]
        process.terminate()
    assert process.returncode == 0


@pytest.fixture(scope="module")
def shop(providers: tuple[str, str]) -> Iterator[Emulator]:
    """Run the template unchanged, without the wrapper, and fill the shelves."""
    payments, carrier = providers
    parameters = {"PaymentProviderUrl": payments, "CarrierUrl": carrier}
    settings = Settings(SHOP / "template.yaml", gateway_port=0, parameters=parameters, collector="http://127.0.0.1:9")
    emulator = Emulator(settings)
    emulator.start()
    try:
        assert call(emulator, "POST", "/restock") == (200, {"filled": 12})
        yield emulator
    finally:
        emulator.stop()


@pytest.fixture(scope="module", autouse=True)
def unreachable(shop: Emulator) -> str:
    """Place an order without a proper address; early, since three tries take half a minute."""
    return place(shop, "nobody")


def call(emulator: Emulator, method: str, path: str, body: object = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(emulator.gateway_address + path, data=data, method=method), timeout=180) as answer:
            return answer.status, json.load(answer)
    except HTTPError as refusal:
        with refusal:
            return refusal.code, json.load(refusal)


def aws(emulator: Emulator, service: str) -> Any:
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    return boto3.client(service, endpoint_url=emulator.place.aws_endpoint, region_name="us-east-1", **keys)


def eventually(look: Callable[[], Any], wanted: Callable[[Any], bool], seconds: float = 180) -> Any:
    end = time.monotonic() + seconds
    while not wanted(seen := look()):
        assert time.monotonic() < end, f"it did not happen in time; last seen: {seen}"
        time.sleep(0.1)
    return seen


def place(emulator: Emulator, email: str, *, product: str = "tea-mint", quantity: int = 2) -> str:
    cart = {"items": [{"product": product, "quantity": quantity}], "email": email}
    status, answer = call(emulator, "POST", "/checkout", cart)
    assert status == 202, answer
    return str(answer["id"])


def test_an_order_goes_through_to_the_customer(shop: Emulator) -> None:
    order = place(shop, "ada@example.com", quantity=3)
    done = eventually(lambda: call(shop, "GET", f"/orders/{order}")[1], lambda seen: "letter" in seen)
    assert done["status"] == "shipped"
    assert done["total_cents"] == 3 * 420
    assert done["letter"] == f"Your order is on its way: parcel {done['parcel']}."
    counts = shop.counts()
    assert all(counts[name].invocations for name in ("checkout", "payment", "stock", "shipping", "notification"))


def test_an_order_that_finds_too_little_takes_nothing(shop: Emulator) -> None:
    rare = {"id": "rare", "name": "Rare tea", "text": "", "price_cents": 1, "pieces": 5}
    item = {key: {"N": str(value)} if isinstance(value, int) else {"S": value} for key, value in rare.items()}
    aws(shop, "dynamodb").put_item(TableName="products", Item=item)  # restock does not know it, and leaves it alone
    orders = [place(shop, "bob@example.com", product="rare", quantity=3) for _ in range(2)]
    letters = [
        eventually(lambda one=one: call(shop, "GET", f"/orders/{one}")[1], lambda seen: "letter" in seen)["status"]
        for one in orders
    ]
    assert sorted(letters) == ["backordered", "shipped"]
    assert aws(shop, "dynamodb").get_item(TableName="products", Key={"id": {"S": "rare"}})["Item"]["pieces"] == {
        "N": "2"
    }


def test_lines_of_one_product_are_one(shop: Emulator) -> None:
    cart = {"items": [{"product": "cup", "quantity": 1}, {"product": "cup", "quantity": 2}], "email": "eve@example.com"}
    order = call(shop, "POST", "/checkout", cart)[1]["id"]
    assert call(shop, "GET", f"/orders/{order}")[1]["items"] == [{"product": "cup", "quantity": 3}]


def test_the_catalog_is_sorted_by_price(shop: Emulator) -> None:
    status, products = call(shop, "GET", "/products")
    assert status == 200
    prices = [product["price_cents"] for product in products]
    assert {"tea-mint", "pot", "biscuits"} <= {product["id"] for product in products}
    assert prices == sorted(prices)


def test_search_and_recommendations(shop: Emulator) -> None:
    assert {product["id"] for product in call(shop, "GET", "/search?q=tea")[1]} >= {"tea-green", "tea-black", "pot"}
    assert call(shop, "GET", "/search")[0] == 400
    place(shop, "eve@example.com", product="cup")
    assert call(shop, "GET", "/recommendations?product=cup") == (200, [])


@pytest.mark.parametrize(
    ("cart", "reason"),
    [
        ({"items": []}, "empty"),
        ({}, "items"),
        ({"items": [{"product": "boat", "quantity": 1}]}, "no product boat"),
        ({"items": [{"product": "cup", "quantity": 0}]}, "0 pieces"),
        ({"items": "cup"}, "no good"),
    ],
)
def test_a_cart_that_is_no_good_is_refused(shop: Emulator, cart: object, reason: str) -> None:
    status, answer = call(shop, "POST", "/checkout", cart)
    assert status == 400
    assert reason in answer["error"]


def test_an_unknown_order_is_not_found(shop: Emulator) -> None:
    assert call(shop, "GET", "/orders/none")[0] == 404


def test_an_address_that_is_none_ends_among_the_dead_letters(shop: Emulator, unreachable: str) -> None:
    sqs = aws(shop, "sqs")
    url = sqs.get_queue_url(QueueName="dead-letters")["QueueUrl"]
    message = eventually(lambda: sqs.receive_message(QueueUrl=url).get("Messages", []), bool, 90)[0]
    assert json.loads(message["Body"])["id"] == unreachable
    assert "letter" not in call(shop, "GET", f"/orders/{unreachable}")[1]
