"""From the bus: tell who uploaded that a medium is ready, or that it failed."""

import logging
import os
from typing import Any

import boto3

log = logging.getLogger("notify")
log.setLevel(logging.INFO)
jobs = boto3.resource("dynamodb").Table(os.environ["JOBS_TABLE"])

STATUS = {"MediaReady": "ready", "MediaFailed": "failed"}


def handler(event: dict[str, Any], _context: object) -> None:
    """Note the outcome; here a letter would be written."""
    jobs.update_item(
        Key={"id": event["detail"]["id"]},
        UpdateExpression="SET #status = :status",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":status": STATUS[event["detail-type"]]},
    )
    log.info("owner notified", extra={"media": event["detail"]["id"], "about": event["detail-type"]})
