"""The saga in the emulator: orders that go through, that need a second try, and that are undone."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest
from faasight_emulator import Emulator, Settings
from polling import wait_until

SAGA = Path(__file__).parents[2] / "examples" / "saga"
LINES: list[tuple[str, str]] = []


@pytest.fixture(scope="module")
def saga() -> Iterator[Emulator]:
    """Run the template unchanged, without the wrapper."""
    settings = Settings(SAGA / "template.yaml", gateway_port=0, collector="http://127.0.0.1:9")
    emulator = Emulator(settings, on_line=lambda function, line: LINES.append((function, line)))
    emulator.start()
    yield emulator
    emulator.stop()


def ended(emulator: Emulator, **order: Any) -> tuple[str, dict[str, Any]]:
    """Place an order; return its id and its execution when that has ended."""
    body = {"customer": "ada@example.com", "product": "tea", "quantity": 3} | order
    request = Request(f"{emulator.gateway_address}/orders", json.dumps(body).encode(), method="POST")
    with urlopen(request, timeout=180) as answer:
        assert answer.status == 202
        placed = json.load(answer)["id"]
    client = aws(emulator, "stepfunctions", emulator.gateway_address)
    arn = f"arn:aws:states:us-east-1:123456789012:execution:order-saga:order-{placed}"
    found = wait_until(
        lambda: (one := client.describe_execution(executionArn=arn))["status"] != "RUNNING" and one,
        "the execution ends",
        60,
    )
    return placed, dict(found)


def aws(emulator: Emulator, service: str, endpoint: str = "") -> Any:
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
    return boto3.client(service, endpoint_url=endpoint or emulator.place.aws_endpoint, **keys)


def item(emulator: Emulator, table: str, key: str) -> dict[str, Any]:
    """Return an item of a table, values as they are."""
    found = aws(emulator, "dynamodb").get_item(TableName=table, Key={"id": {"S": key}}).get("Item", {})
    return {name: next(iter(value.values())) for name, value in found.items()}


def told(words: str) -> str:
    """Return what a customer was told."""
    return wait_until(
        lambda: next((line for name, line in LINES if name == "tell-customer" and words in line), ""), "news", 60
    )


def test_an_order_goes_through(saga: Emulator) -> None:
    """Reserved, charged, shipped, told; a busy bank is asked again."""
    placed, execution = ended(saga, card="busy")
    assert execution["status"] == "SUCCEEDED", execution
    assert json.loads(execution["output"])["parcel"] == {"number": f"P-{placed}"}
    payment = item(saga, "payments-table", placed)
    assert (payment["state"], payment["tries"]) == ("charged", "2")
    assert f"P-{placed}" in told(f"order {placed} is on its way")
    assert saga.counts()["refund-card"].invocations == 0


def test_an_order_that_cannot_be_shipped_is_undone(saga: Emulator) -> None:
    """The card is refunded, then the stock released, and the execution ends with the reason."""
    before = item(saga, "stock-table", "coffee").get("remaining", "100")
    placed, execution = ended(saga, product="coffee", address="nowhere")
    assert (execution["status"], execution["error"]) == ("FAILED", "NoCarrier")
    assert item(saga, "payments-table", placed)["state"] == "refunded"
    assert item(saga, "stock-table", "coffee")["remaining"] == before
    assert "NoCarrier" in told(f"order {placed} cannot be fulfilled")


def test_a_declined_card_and_an_empty_shelf(saga: Emulator) -> None:
    """Only what was done is undone: nothing is refunded, and of an empty shelf nothing is released."""
    refunds = saga.counts()["refund-card"].invocations
    _, declined = ended(saga, product="milk", card="declined")
    assert declined["error"] == "CardDeclined"
    assert item(saga, "stock-table", "milk")["remaining"] == "100"
    releases = saga.counts()["release-stock"].invocations
    _, empty = ended(saga, product="milk", quantity=101)
    assert empty["error"] == "OutOfStock"
    assert saga.counts()["release-stock"].invocations == releases
    assert saga.counts()["refund-card"].invocations == refunds
