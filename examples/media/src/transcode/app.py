"""From the topic, films alone: code them anew. The slowest of the workers, and the one that fails on broken files."""

import json
import os
import time
import zlib
from typing import Any

import boto3

s3 = boto3.client("s3")
sqs = boto3.client("sqs")

ENCODING_S = 0.4  # stands for the encoder's time


class UnreadableMediaError(Exception):
    """The file is no film."""


def handler(event: dict[str, Any], _context: object) -> None:
    """Code one film; the function's destination is told of one that cannot be read."""
    media = json.loads(event["Records"][0]["Sns"]["Message"])
    data = s3.get_object(Bucket=media["bucket"], Key=media["key"])["Body"].read()
    if data.startswith(b"broken"):
        raise UnreadableMediaError(f"{media['key']} has no header of a film")
    time.sleep(ENCODING_S)
    s3.put_object(Bucket=media["bucket"], Key=f"films/{media['id']}.webm", Body=zlib.compress(data))
    sqs.send_message(
        QueueUrl=os.environ["PARTS_QUEUE_URL"], MessageBody=json.dumps({"id": media["id"], "part": "transcode"})
    )
