"""POST /readings: put what devices have measured into the stream, by device."""

import json
import os
from typing import Any

import boto3

kinesis = boto3.client("kinesis")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take a list of `{"device", "at", "celsius"}`; answer with how many the stream has refused."""
    readings = json.loads(event["body"])
    records = [{"Data": json.dumps(one).encode(), "PartitionKey": str(one["device"])} for one in readings]
    answer = kinesis.put_records(StreamName=os.environ["STREAM"], Records=records)
    refused = answer["FailedRecordCount"]
    return {"statusCode": 202 if refused == 0 else 503, "body": json.dumps({"refused": refused})}
