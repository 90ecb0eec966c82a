"""From the table's own stream: keep, for each device, the hottest that it has been."""

import contextlib
import os
from decimal import Decimal
from typing import Any

import boto3

dynamodb = boto3.resource("dynamodb")
alarms = dynamodb.Table(os.environ["ALARMS_TABLE"])


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Project each change; after the first that fails the others come again, so their order is kept."""
    for record in event["Records"]:
        image = record["dynamodb"]["NewImage"]
        try:
            project(image["device"]["S"], image["at"]["S"], Decimal(image["celsius"]["N"]))
        except dynamodb.meta.client.exceptions.ProvisionedThroughputExceededException:
            return {"batchItemFailures": [{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}]}
    return {"batchItemFailures": []}


def project(device: str, at: str, celsius: Decimal) -> None:
    """Keep a reading if it is the hottest so far; the same one twice changes nothing."""
    with contextlib.suppress(dynamodb.meta.client.exceptions.ConditionalCheckFailedException):
        alarms.update_item(
            Key={"device": device},
            UpdateExpression="SET hottest = :celsius, #at = :at",
            ConditionExpression="attribute_not_exists(hottest) OR hottest < :celsius",
            ExpressionAttributeNames={"#at": "at"},
            ExpressionAttributeValues={":celsius": celsius, ":at": at},
        )
