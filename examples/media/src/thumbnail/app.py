"""From the topic: make a small picture of an image or a film."""

import hashlib
import json
import os
from typing import Any

import boto3

s3 = boto3.client("s3")
sqs = boto3.client("sqs")


def handler(event: dict[str, Any], _context: object) -> None:
    """Make the thumbnail and report it."""
    media = json.loads(event["Records"][0]["Sns"]["Message"])
    data = s3.get_object(Bucket=media["bucket"], Key=media["key"])["Body"].read()
    picture = hashlib.sha256(data).digest()  # stands for the picture
    s3.put_object(Bucket=media["bucket"], Key=f"thumbnails/{media['id']}.webp", Body=picture)
    sqs.send_message(
        QueueUrl=os.environ["PARTS_QUEUE_URL"], MessageBody=json.dumps({"id": media["id"], "part": "thumbnail"})
    )
