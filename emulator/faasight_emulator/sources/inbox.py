"""A queue of the emulator's own, into which moto puts what a topic, a bucket or a bus sends, and what is done with it.

moto delivers to queues alone. A message is deleted once it was handled, so what was published is not lost when the
handling fails: it comes again.
"""

import contextlib
import threading
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from faasight_emulator.aws import Client
from faasight_emulator.model import Place

PREFIX = "faasight-emulator-"
_POLL_SECONDS = 20  # a long poll; `stop` ends it by a message
_AT_WORK = 600  # seconds that a message is hidden while those before it are handled, however busy the machine
_VISIBILITY = 10  # seconds after which what could not be handled comes again
_TRIES = 5  # for an event that its target refuses, as a queue that is gone
_STOP = "stop"

Handle = Callable[[str], None]


class Inbox:
    """Calls `handle` with the body of each message, one after the other, on a thread of its own.

    `handle` raises if the message is to come again.
    """

    def __init__(self, name: str, place: Place, sqs: Client, handle: Handle, warn: Callable[[str], None]) -> None:
        self.name = f"{PREFIX}{name}"[:80]
        self.arn = place.arn("sqs", self.name)
        self._url = f"{place.aws_endpoint}/{place.account}/{self.name}"
        self._sqs = sqs
        self._handle = handle
        self._warn = warn
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, name=self.name, daemon=True)

    def create(self) -> None:
        """Make the queue. Raises ClientError, BotoCoreError."""
        self._sqs.create_queue(QueueName=self.name, Attributes={"VisibilityTimeout": str(_VISIBILITY)})

    def start(self) -> None:
        """Begin to poll."""
        self._thread.start()

    def stop(self) -> None:
        """Poll no more."""
        self._stop.set()
        if self._thread.is_alive():
            with contextlib.suppress(BotoCoreError, ClientError):
                self._sqs.send_message(QueueUrl=self._url, MessageBody=_STOP)

    def join(self, within: float) -> None:
        """Wait for the poller to end."""
        if self._thread.is_alive():
            self._thread.join(within)

    def _poll(self) -> None:
        while not self._stop.is_set():
            try:
                self._receive()
            except Exception as error:  # noqa: BLE001 -- whatever it is, what comes next must still be delivered
                if not self._stop.is_set():
                    self._warn(f"Warning: {self.name} cannot be read ({error}); trying again.")
                    self._stop.wait(1)

    def _receive(self) -> None:
        answer = self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=_POLL_SECONDS,
            VisibilityTimeout=_AT_WORK,
            AttributeNames=["ApproximateReceiveCount"],
        )
        for message in answer.get("Messages", []):
            handle = message["ReceiptHandle"]
            if message["Body"] == _STOP or (not self._stop.is_set() and self._is_settled(message)):
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=handle)
            else:
                again = 0 if self._stop.is_set() else _VISIBILITY
                self._sqs.change_message_visibility(QueueUrl=self._url, ReceiptHandle=handle, VisibilityTimeout=again)

    def _is_settled(self, message: dict[str, Any]) -> bool:
        """Handle a message and return whether it is done: delivered, or refused too often by where it goes."""
        try:
            self._handle(message["Body"])
        except ClientError as error:
            over = int(message["Attributes"]["ApproximateReceiveCount"]) >= _TRIES
            self._tell(error, "it is given up" if over else "it comes again")
            return over
        except Exception as error:  # noqa: BLE001 -- a message that cannot be handled must not stop the others
            self._tell(error, "it comes again")
            return False
        return True

    def _tell(self, error: Exception, outcome: str) -> None:
        if not self._stop.is_set():
            self._warn(f"Warning: {self.name}: an event could not be delivered ({error}); {outcome}.")
