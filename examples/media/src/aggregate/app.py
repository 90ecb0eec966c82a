"""From the parts queue: join what the workers have done. The last part makes the medium ready, or failed."""

import json
import logging
import os
from typing import Any

import boto3

log = logging.getLogger("aggregate")
log.setLevel(logging.INFO)
events = boto3.client("events")
dynamodb = boto3.resource("dynamodb")
jobs = dynamodb.Table(os.environ["JOBS_TABLE"])


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return the records that failed, in the form that the queue expects."""
    failures = []
    for record in event["Records"]:
        try:
            join(json.loads(record["body"]))
        except (KeyError, ValueError) as problem:
            log.error("no report of a part", extra={"reason": repr(problem)})
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}


def join(report: dict[str, Any]) -> None:
    """Note one part; a report that comes twice counts once."""
    if "requestContext" in report:  # from a destination: a worker has failed for good
        function = report["requestContext"]["functionArn"].split(":")[6]
        media = json.loads(report["requestPayload"]["Records"][0]["Sns"]["Message"])
        media_id, part, outcome = media["id"], function, "failed"
    else:
        media_id, part, outcome = report["id"], report["part"], "done"
    try:
        job = jobs.update_item(
            Key={"id": media_id},
            UpdateExpression=f"ADD {outcome} :parts",
            ConditionExpression=f"attribute_exists(wanted) AND NOT contains({outcome}, :part)",
            ExpressionAttributeValues={":parts": {part}, ":part": part},
            ReturnValues="ALL_NEW",
        )["Attributes"]
    except dynamodb.meta.client.exceptions.ConditionalCheckFailedException:
        log.info("part is known already", extra={"media": media_id, "part": part})
        return
    finished = job.get("done", set()) | job.get("failed", set())
    if finished == job["wanted"]:
        tell(media_id, "MediaFailed" if job.get("failed") else "MediaReady", sorted(finished))


def tell(media_id: str, what: str, parts: list[str]) -> None:
    """Put the end of a job on the bus."""
    detail = json.dumps({"id": media_id, "parts": parts})
    entry = {"Source": "media", "DetailType": what, "Detail": detail, "EventBusName": os.environ["MEDIA_BUS"]}
    events.put_events(Entries=[entry])
    log.info("job is over", extra={"media": media_id, "outcome": what})
