"""Tells customers how their orders went."""

import json
import logging
from typing import Any

log = logging.getLogger()
log.setLevel(logging.INFO)


def tell(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take a batch of news; what cannot be read is reported as failed."""
    failed = []
    for record in event["Records"]:
        try:
            news = json.loads(record["body"])
            log.info("to %s: %s", news["customer"], news["text"])
        except (ValueError, KeyError):
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}
