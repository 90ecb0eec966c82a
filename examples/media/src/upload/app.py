"""POST /media/{name}: keep what was uploaded; everything else happens by events."""

import base64
import json
import os
import uuid
from typing import Any

import boto3

s3 = boto3.client("s3")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer with the id under which the upload can be asked for."""
    body = event.get("body") or ""
    data = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
    media_id = uuid.uuid4().hex[:12]
    key = f"uploads/{media_id}/{event['pathParameters']['name']}"
    s3.put_object(Bucket=os.environ["UPLOADS_BUCKET"], Key=key, Body=data)
    return {"statusCode": 202, "body": json.dumps({"id": media_id})}
