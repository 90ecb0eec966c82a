"""What a function answers to a batch under ReportBatchItemFailures."""

from collections.abc import Sequence

import orjson


def failed_items(payload: bytes, ids: Sequence[str]) -> set[str]:
    """Return the ids that an answer names as failed.

    As on AWS an answer that is malformed, or names an item that is not in the batch, fails the whole batch; an empty
    one fails none.
    """
    try:
        answer = orjson.loads(payload) if payload else None
        items = (answer or {}).get("batchItemFailures") or []
        failed = {item["itemIdentifier"] for item in items}
    except (ValueError, AttributeError, KeyError, TypeError):
        return set(ids)
    return failed if failed <= set(ids) else set(ids)
