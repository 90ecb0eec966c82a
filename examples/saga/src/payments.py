"""Charges a card and gives the money back. The bank is made up: cards are called by what they do."""

import logging
import os
from typing import Any

import boto3

log = logging.getLogger()
payments = boto3.resource("dynamodb").Table(os.environ["PAYMENTS_TABLE"])


class CardDeclined(Exception):  # noqa: N818 -- the saga's definition has it by this name
    """The bank says no, and will."""


class BankBusy(Exception):  # noqa: N818 -- the saga's definition has it by this name
    """The bank cannot say now."""


def charge(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Charge the card: "declined" never works, "busy" works at the second try."""
    card = event.get("card", "good")
    if card == "declined":
        raise CardDeclined("insufficient funds")
    tries = payments.update_item(
        Key={"id": event["id"]},
        UpdateExpression="ADD tries :one",
        ExpressionAttributeValues={":one": 1},
        ReturnValues="UPDATED_NEW",
    )["Attributes"]["tries"]
    if card == "busy" and tries == 1:
        raise BankBusy("try again in a moment")
    _set_state(event["id"], "charged")
    return {"id": event["id"]}


def refund(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Give the money back."""
    _set_state(event["id"], "refunded")
    log.warning("order %s refunded", event["id"])
    return {"id": event["payment"]["id"]}


def _set_state(order: str, state: str) -> None:
    payments.update_item(
        Key={"id": order},
        UpdateExpression="SET #state = :state",
        ExpressionAttributeNames={"#state": "state"},
        ExpressionAttributeValues={":state": state},
    )
