"""Lets in whoever has a key, and tells the API who it is."""

import hmac
import os
from typing import Any

KEYS = os.environ["API_KEYS"].split(",")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer API Gateway's question in its simple form."""
    given = event["headers"].get("x-api-key", "")
    known = any(hmac.compare_digest(given.encode(), key.encode()) for key in KEYS)
    return {"isAuthorized": known, "context": {"caller": given.partition("-")[0] if known else ""}}
