"""Tasks of state machines: say who called, fail as often as asked, take their time."""

import os
import time
from pathlib import Path
from typing import Any


def echo(event: Any, context: Any) -> Any:
    return event


def add(event: Any, context: Any) -> Any:
    return {"sum": event["a"] + event["b"]}


class NotYet(Exception):  # noqa: N818 -- the name is what the test retries
    """Asks to be tried again."""


def flaky(event: Any, context: Any) -> Any:
    """Fail as often as `failures` says; the count is kept where a killed process leaves it."""
    count = Path(os.environ["TMPDIR"], "count")
    tries = int(count.read_text()) if count.exists() else 0
    count.write_text(str(tries + 1))
    if tries < event["failures"]:
        raise NotYet(f"try {tries + 1}")
    return {"tries": tries + 1}


def fail(event: Any, context: Any) -> Any:
    raise ValueError("no good")


def slow(event: Any, context: Any) -> Any:
    time.sleep(event.get("seconds", 5))


def trace(event: Any, context: Any) -> Any:
    """Answer what the invocation knows of the trace it is in."""
    client = context.client_context
    return {"header": os.environ["_X_AMZN_TRACE_ID"], "custom": client.custom if client else None, "event": event}
