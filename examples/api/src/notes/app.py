"""Keeps notes: each caller sees their own, administrators forget any."""

import json
import os
from typing import Any

import boto3

notes = boto3.resource("dynamodb").Table(os.environ["NOTES_TABLE"])


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer PUT, GET and DELETE of /notes/{id}."""
    call, who = event["requestContext"], event["requestContext"]["authorizer"]
    note = event["pathParameters"]["id"]
    if call["http"]["method"] == "DELETE":
        notes.delete_item(Key={"id": note})
        return _answer(200, {"forgotten": note, "by": who["jwt"]["claims"]["sub"]})
    caller = who["lambda"]["caller"]
    if call["http"]["method"] == "PUT":
        notes.put_item(Item={"id": note, "owner": caller, "text": event.get("body") or ""})
        return _answer(200, {"id": note})
    found = notes.get_item(Key={"id": note}).get("Item")
    if found is None or found["owner"] != caller:
        return _answer(404, {"missing": note})
    return _answer(200, {"id": note, "text": found["text"]})


def _answer(status: int, body: Any) -> dict[str, Any]:  # noqa: ANN401 -- any JSON value
    return {"statusCode": status, "body": json.dumps(body)}
