"""GET /alarms/{device}: the hottest that a device has been."""

import json
import os
from typing import Any

import boto3

alarms = boto3.resource("dynamodb").Table(os.environ["ALARMS_TABLE"])


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer with the alarm, 404 if the device has never been too hot."""
    alarm = alarms.get_item(Key={"device": event["pathParameters"]["device"]}).get("Item")
    if alarm is None:
        return {"statusCode": 404, "body": json.dumps({"reason": "never too hot"})}
    return {"statusCode": 200, "body": json.dumps({"hottest": float(alarm["hottest"]), "at": alarm["at"]})}
