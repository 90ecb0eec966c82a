"""When messages that are not done come again: when their visibility time-out would have ended, and in order.

While a batch is at work its messages are hidden for much longer than the queue says: on AWS a function may take at most
the visibility time-out, and begins at once; here the machine may be too busy for that, and a message that is at work
must not come a second time. What the function has not done is freed when its own time-out would have ended, and all of
it together: of messages of one FIFO group that come back one after the other moto may give a later one first.
"""

import contextlib
import math
import threading
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from faasight_emulator.aws import Client

AT_WORK = 300  # seconds by which a message is hidden longer while it is at work
_ENTRIES = 10  # of a request


class Hidden:
    """Frees what was received from one queue and is not done; that of a FIFO queue in order, by a timer a batch."""

    def __init__(self, sqs: Client, url: str) -> None:
        self._sqs = sqs
        self._url = url
        self._ordered = url.endswith(".fifo")
        self._lock = threading.Lock()
        self._waiting: dict[threading.Timer, Sequence[dict[str, Any]]] = {}

    def free_in(self, seconds: float, messages: Sequence[dict[str, Any]]) -> None:
        """Let messages come again in some seconds from now, at once if that is over."""
        if not self._ordered or seconds <= 0:
            self._set(messages, math.ceil(max(0.0, seconds)))
            return
        if not messages:
            return
        timer = threading.Timer(seconds, lambda: self._end(timer))
        timer.daemon = True
        with self._lock:
            self._waiting[timer] = messages
        timer.start()

    def stop(self) -> None:
        """Free now what waits for its time: nobody else would, and whoever reads the queue next shall find it."""
        with self._lock:
            waiting = list(self._waiting)
        for timer in waiting:
            timer.cancel()
            self._end(timer)

    def _end(self, timer: threading.Timer) -> None:
        with self._lock:
            messages = self._waiting.pop(timer, ())
        self._set(messages, 0)

    def _set(self, messages: Sequence[dict[str, Any]], seconds: int) -> None:
        for start in range(0, len(messages), _ENTRIES):
            entries = [
                {"Id": str(index), "ReceiptHandle": one["ReceiptHandle"], "VisibilityTimeout": seconds}
                for index, one in enumerate(messages[start : start + _ENTRIES])
            ]
            with contextlib.suppress(ClientError, BotoCoreError):  # then they come when they are no longer hidden
                self._sqs.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)
