"""From the stream: turn each reading into what is kept. One that is none fails the batch, and is split out of it."""

import base64
import json
import os
from decimal import Decimal
from typing import Any

import boto3

table = boto3.resource("dynamodb").Table(os.environ["READINGS_TABLE"])

HOT_CELSIUS = 80


def handler(event: dict[str, Any], _context: object) -> None:
    """Keep every reading of the batch. A batch that comes again writes the same items again."""
    readings = [reading(record) for record in event["Records"]]
    with table.batch_writer(overwrite_by_pkeys=["device", "at"]) as batch:
        for one in readings:
            batch.put_item(Item=one)


def reading(record: dict[str, Any]) -> dict[str, Any]:
    """Return the item of one record. Raises ValueError for one that is none."""
    given = json.loads(base64.b64decode(record["kinesis"]["data"]))
    celsius = given["celsius"]
    if isinstance(celsius, bool) or not isinstance(celsius, int | float):
        raise ValueError(f"reading of {given['device']} at {given['at']} is no number")
    return {
        "device": given["device"],
        "at": given["at"],
        "celsius": Decimal(str(celsius)),
        "state": "hot" if celsius >= HOT_CELSIUS else "fine",
    }
