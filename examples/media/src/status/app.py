"""GET /media/{id}: what has become of an upload."""

import json
import os
from typing import Any

import boto3

jobs = boto3.resource("dynamodb").Table(os.environ["JOBS_TABLE"])


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer with the job, 404 if there is none (yet)."""
    job = jobs.get_item(Key={"id": event["pathParameters"]["id"]}).get("Item")
    if job is None:
        return {"statusCode": 404, "body": json.dumps({"reason": "there is no such upload yet"})}
    parts = {name: sorted(job.get(name, ())) for name in ("wanted", "done", "failed")}
    return {"statusCode": 200, "body": json.dumps({"id": job["id"], "status": job["status"], **parts})}
