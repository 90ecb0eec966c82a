"""From the bucket: look at a new object, note what has to be done with it, and tell all workers at once."""

import json
import logging
import os
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote_plus

import boto3

log = logging.getLogger("validate")
log.setLevel(logging.INFO)
sns = boto3.client("sns")
jobs = boto3.resource("dynamodb").Table(os.environ["JOBS_TABLE"])

PARTS = {"image": {"thumbnail"}, "video": {"thumbnail", "transcode", "subtitles"}}
KINDS = {".png": "image", ".jpg": "image", ".mp4": "video", ".mov": "video"}


def handler(event: dict[str, Any], _context: object) -> None:
    """Take each object of the event."""
    for record in event["Records"]:
        key = unquote_plus(record["s3"]["object"]["key"])
        accept(record["s3"]["bucket"]["name"], key, record["s3"]["object"]["size"])


def accept(bucket: str, key: str, size: int) -> None:
    """Begin a job, or refuse the object."""
    media_id = key.split("/")[1]
    kind = KINDS.get(PurePosixPath(key).suffix.lower())
    if kind is None or size == 0:
        jobs.put_item(Item={"id": media_id, "status": "refused"})
        log.warning("upload refused", extra={"key": key, "size": size})
        return
    # Before the workers are told, so that the first result finds the job.
    jobs.put_item(Item={"id": media_id, "status": "working", "wanted": PARTS[kind]})
    message = {"id": media_id, "bucket": bucket, "key": key, "kind": kind}
    sns.publish(
        TopicArn=os.environ["MEDIA_TOPIC_ARN"],
        Message=json.dumps(message),
        MessageAttributes={"kind": {"DataType": "String", "StringValue": kind}},
    )
