"""Keeps the order of a FIFO queue's groups when messages come again.

moto forgets it: of messages of one group whose time-outs end one after the other it may give a later one first. Freed
together, by hand, they come in order. So what a function has not done is hidden for longer than it needs to be, and
freed when its visibility time-out would have ended.
"""

import contextlib
import threading
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from faasight_emulator.aws import Client

_LONGER = 60  # seconds
_ENTRIES = 10  # of a request


class Holder:
    """Hides messages of one queue for a while, then frees them together."""

    def __init__(self, sqs: Client, url: str) -> None:
        self._sqs = sqs
        self._url = url
        self._timers: set[threading.Timer] = set()

    def hold(self, messages: Sequence[dict[str, Any]], seconds: float) -> None:
        """Hide messages for some seconds from now. Raises ClientError, BotoCoreError."""
        self._set(messages, int(max(0.0, seconds)) + _LONGER)
        timer = threading.Timer(max(0.0, seconds), lambda: self._free(messages, timer))
        timer.daemon = True
        self._timers.add(timer)
        timer.start()

    def stop(self) -> None:
        """Free nothing more."""
        for timer in list(self._timers):
            timer.cancel()

    def _free(self, messages: Sequence[dict[str, Any]], timer: threading.Timer) -> None:
        self._timers.discard(timer)
        with contextlib.suppress(ClientError, BotoCoreError):  # then they come a little later
            self._set(messages, 0)

    def _set(self, messages: Sequence[dict[str, Any]], seconds: int) -> None:
        for start in range(0, len(messages), _ENTRIES):
            entries = [
                {"Id": str(index), "ReceiptHandle": one["ReceiptHandle"], "VisibilityTimeout": seconds}
                for index, one in enumerate(messages[start : start + _ENTRIES])
            ]
            self._sqs.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)
