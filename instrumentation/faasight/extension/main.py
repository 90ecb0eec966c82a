"""The optional AWS Lambda extension: a process beside the runtime that hands AWS's own telemetry to the collector.

What it adds to the wrapper: AWS's word on each invocation (duration, memory, billed time, time-outs, kills), and the
function's log lines without CloudWatch. Nothing is read here: batches go on as they came, and the collector reads them.
An extension that ends takes its sandbox with it, so nothing in here may end it.
"""

from __future__ import annotations

import os
import time

from faasight.complain import complaints
from faasight.extension.api import BUFFERING, ApiError, ExtensionsApi
from faasight.extension.forward import Forwarder
from faasight.extension.listener import Listener
from faasight.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_TYPES = ("platform", "function")
_MARGIN = 0.2  # seconds that are left to spare before AWS kills us
_QUIET = 2.5 * float(BUFFERING["timeoutMs"]) / 1000  # no batch for so long: the last one was the last


def main(name: str) -> None:
    """Run until the sandbox ends; `name` is the extension's file name, by which AWS knows it."""
    api = ExtensionsApi(os.environ["AWS_LAMBDA_RUNTIME_API"], name)
    settings = Settings()
    function = api.register(["SHUTDOWN"])  # without INVOKE no invocation waits for us
    forwarder, listener = None, None
    if not settings.disabled:
        forwarder = Forwarder(settings.endpoint, {**settings.headers, **owner(function, settings.environment)})
        listener = _listen(api, forwarder)
    deadline = _end(api)
    if forwarder is not None and listener is not None and not _farewell(listener, forwarder, deadline):
        complaints.say("the collector did not take all telemetry before the sandbox ended")


def owner(function: Mapping[str, str], environment: str) -> dict[str, str]:
    """Return the headers that say whose sandbox this is; most events do not name their function."""
    given = {
        "X-Faasight-Function": function.get("functionName", ""),
        "X-Faasight-Version": function.get("functionVersion", ""),
        "X-Faasight-Account": function.get("accountId", ""),
        "X-Faasight-Region": os.environ.get("AWS_REGION", ""),
        "X-Faasight-Memory-Mb": os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", ""),
        "X-Faasight-Instance": os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", ""),
        "X-Faasight-Environment": environment,
    }
    return {name: value for name, value in given.items() if value}


def _listen(api: ExtensionsApi, forwarder: Forwarder) -> Listener | None:
    """Begin to receive; without telemetry the sandbox goes on as it would without us."""
    try:
        listener = Listener(forwarder.take)
        api.subscribe(listener.uri, _TYPES)
    except (OSError, ApiError) as problem:
        complaints.say(f"no telemetry of this sandbox: {problem}")
        return None
    return listener


def _end(api: ExtensionsApi) -> float:
    """Wait for SHUTDOWN; return by when to be gone (time.monotonic)."""
    while True:
        event = api.next()
        if event.get("eventType") == "SHUTDOWN":
            left = float(event.get("deadlineMs", 0)) / 1000 - time.time()
            return time.monotonic() + min(max(left, 0.0), 2.0) - _MARGIN


def _farewell(listener: Listener, forwarder: Forwarder, deadline: float) -> bool:
    """Take the last batches, the last invocation's report among them, and send all that is left."""
    quiet_from = time.monotonic()
    while time.monotonic() < min(deadline, max(quiet_from, listener.last) + _QUIET):
        time.sleep(0.01)
    return forwarder.finish(deadline)
