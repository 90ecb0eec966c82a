"""From the topic, films alone: listen to them and write subtitles."""

import json
import os
import time
from typing import Any

import boto3

sqs = boto3.client("sqs")

LISTENING_S = 0.1  # stands for the speech model's time


def handler(event: dict[str, Any], _context: object) -> None:
    """Write the subtitles and report them."""
    media = json.loads(event["Records"][0]["Sns"]["Message"])
    time.sleep(LISTENING_S)
    sqs.send_message(
        QueueUrl=os.environ["PARTS_QUEUE_URL"], MessageBody=json.dumps({"id": media["id"], "part": "subtitles"})
    )
