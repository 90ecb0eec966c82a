"""Says that it is there, at a URL of its own."""

import os
from typing import Any


def handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer any request; a bare value becomes a 200."""
    return {"ok": True, "version": os.environ["AWS_LAMBDA_FUNCTION_VERSION"]}
