"""Event source mappings from SQS: receive, batch, invoke, delete what was done, leave the rest to its time-out."""

import base64
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
from botocore.exceptions import BotoCoreError, ClientError

from faasight_emulator.aws import Client
from faasight_emulator.errors import EmulatorError, TooManyRequestsError
from faasight_emulator.invocation import Result
from faasight_emulator.model import Function, Place, QueueSource
from faasight_emulator.sources.batch_answers import failed_items
from faasight_emulator.sources.counting import Tally
from faasight_emulator.sources.filters import passes
from faasight_emulator.sources.hiding import AT_WORK, Hidden

# AWS begins with five batches at a time; MaximumConcurrency of ScalingConfig says otherwise.
DEFAULT_CONCURRENCY = 5
_RECEIVE_MAX = 10  # messages a ReceiveMessage, and entries a DeleteMessageBatch
_POLL_SECONDS = 1  # a long poll; short, so that stopping is quick
_START_LOOK = 0.05  # seconds between looks whether the first sandbox has come up
_THROTTLE_DELAYS = (0.5, 8.0)
_MAX_BATCH_BYTES = 6 * 1024 * 1024
_LONGEST_HIDDEN = 43_200  # seconds, SQS's limit

Message = dict[str, Any]
Invoke = Callable[[str, bytes], Result]


class QueueMapping:
    """Feeds one function from one queue. `invoke` waits for the function, and raises TooManyRequestsError."""

    def __init__(
        self,
        function: Function,
        source: QueueSource,
        place: Place,
        sqs: Client,
        invoke: Invoke,
        tally: Tally,
        warn: Callable[[str], None],
        up: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """`up` tells whether a function has a sandbox that has come up: until then one batch is brought, no more."""
        name = source.queue_arn.rsplit(":", 1)[-1]
        self._function = function
        self._source = source
        self._region = place.region
        self._url = f"{place.aws_endpoint}/{place.account}/{name}"
        self._sqs = sqs
        self._invoke = invoke
        self._tally = tally
        self._warn = warn
        self._up = up
        self._at_work = 0  # batches; changed with the lock
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._hidden = Hidden(sqs, self._url)
        limit = source.concurrency or DEFAULT_CONCURRENCY
        self._free = threading.Semaphore(limit)
        self._workers = ThreadPoolExecutor(limit, thread_name_prefix=f"sqs-{function.name}")
        self._poller = threading.Thread(target=self._poll, name=f"poll-{name}", daemon=True)

    def start(self) -> None:
        """Begin to poll."""
        attributes = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["VisibilityTimeout"])
        self._visibility = int(attributes["Attributes"]["VisibilityTimeout"])
        self._poller.start()

    def stop(self) -> None:
        """Poll no more. What is in work is not waited for: its messages become visible again."""
        self._stop.set()
        self._hidden.stop()
        self._workers.shutdown(wait=False, cancel_futures=True)

    def join(self, within: float) -> None:
        """Wait for the poller to end."""
        if self._poller.is_alive():
            self._poller.join(within)

    def _poll(self) -> None:
        while not self._stop.is_set():
            if not self._free.acquire(timeout=0.2):
                continue
            batch: list[Message] = []
            try:
                while self._at_work and not self._up(self._function.name) and not self._stop.wait(_START_LOOK):
                    pass
                self._gather(batch)
                if batch and not self._stop.is_set():
                    self._count(1)
                    self._workers.submit(self._work, batch, time.monotonic())
                    continue
            except Exception as error:  # noqa: BLE001 -- whatever it is, the queue must still be read
                if not self._stop.is_set():
                    self._warn(f"Warning: {self._function.name}: its queue cannot be read ({error}); trying again.")
                    self._stop.wait(1)
            self._hidden.free_in(0, batch)
            self._free.release()

    def _count(self, more: int) -> None:
        with self._lock:
            self._at_work += more

    def _gather(self, batch: list[Message]) -> None:
        """Receive a batch: at once what is there, or for the batching window until it is full."""
        end = None
        while len(batch) < self._source.batch_size and not self._stop.is_set():
            wanted = min(_RECEIVE_MAX, self._source.batch_size - len(batch))
            answer = self._sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=wanted,
                WaitTimeSeconds=_POLL_SECONDS,
                VisibilityTimeout=min(self._visibility + AT_WORK, _LONGEST_HIDDEN),
                AttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
            batch += self._wanted(answer.get("Messages", []))
            if not batch or self._source.window == 0 or _size(batch) > _MAX_BATCH_BYTES * 0.9:
                return
            end = end or time.monotonic() + self._source.window
            if time.monotonic() >= end:
                return

    def _wanted(self, messages: list[Message]) -> list[Message]:
        """Return the messages that pass the filters; the others are deleted, as on AWS."""
        self._tally.add(received=len(messages))
        filters = self._source.filters
        if not filters:
            return messages
        wanted = [one for one in messages if passes(filters, self._record(one), "body")]
        unwanted = [one for one in messages if one not in wanted]
        self._tally.add(filtered=len(unwanted))
        self._hidden.free_in(self._visibility, self._delete(unwanted))
        return wanted

    def _work(self, batch: list[Message], received: float) -> None:
        left: Sequence[Message] = batch
        try:
            result = self._invoke_patiently(batch, received)
            if result is not None:
                done = self._done(batch, result)
                self._tally.add(batches=1, processed=len(done), failed=len(batch) - len(done))
                failed = [one for one in batch if one not in done]
                left = [*failed, *self._delete(done)]
        except EmulatorError:
            pass  # the emulator has been stopped meanwhile; the messages become visible again
        except Exception as error:  # noqa: BLE001 -- whatever it is, the next batches must still come
            if not self._stop.is_set():
                self._warn(f"Warning: {self._function.name}: a batch of its queue was not settled ({error}).")
        finally:
            rest = self._visibility - (time.monotonic() - received)
            self._hidden.free_in(0 if self._stop.is_set() else rest, left)
            self._count(-1)
            self._free.release()

    def _delete(self, messages: Sequence[Message]) -> list[Message]:
        """Delete messages; what the queue refuses is tried once more, then told of and returned: it will come again."""
        refused: list[Message] = []
        for start in range(0, len(messages), _RECEIVE_MAX):
            left = {str(index): one for index, one in enumerate(messages[start : start + _RECEIVE_MAX])}
            for _ in range(2):
                left = self._delete_batch(left) if left else {}
            refused += left.values()
            if left:
                ids = ", ".join(one["MessageId"] for one in left.values())
                self._warn(
                    f"Warning: {self._function.name}: messages are done, but not deleted: {ids}; they come again."
                )
        return refused

    def _delete_batch(self, messages: dict[str, Message]) -> dict[str, Message]:
        entries = [{"Id": key, "ReceiptHandle": one["ReceiptHandle"]} for key, one in messages.items()]
        try:
            answer = self._sqs.delete_message_batch(QueueUrl=self._url, Entries=entries)
        except (BotoCoreError, ClientError):
            return messages
        return {one["Id"]: messages[one["Id"]] for one in answer.get("Failed", [])}

    def _invoke_patiently(self, batch: list[Message], received: float) -> Result | None:
        """Invoke; a throttle is tried again while the messages are still hidden. None when it is given up."""
        event = orjson.dumps({"Records": [self._record(message) for message in batch]})
        delay, longest = _THROTTLE_DELAYS
        while not self._stop.is_set():
            try:
                return self._invoke(self._function.name, event)
            except TooManyRequestsError:
                self._tally.add(throttles=1)
                left = self._visibility - (time.monotonic() - received) - self._function.timeout
                if left < delay:
                    return None
                self._stop.wait(delay)
                delay = min(delay * 2, longest)
        return None

    def _done(self, batch: list[Message], result: Result) -> list[Message]:
        if not result.ok:
            return []
        if not self._source.partial_failures:
            return batch
        failed = failed_items(result.payload, [message["MessageId"] for message in batch])
        return [message for message in batch if message["MessageId"] not in failed]

    def _record(self, message: Message) -> dict[str, Any]:
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message.get("Attributes", {}),
            "messageAttributes": {
                name: _attribute(value) for name, value in message.get("MessageAttributes", {}).items()
            },
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self._source.queue_arn,
            "awsRegion": self._region,
        }


def _attribute(value: dict[str, Any]) -> dict[str, Any]:
    record: dict[str, Any] = {"stringListValues": [], "binaryListValues": [], "dataType": value["DataType"]}
    if "StringValue" in value:
        record["stringValue"] = value["StringValue"]
    if "BinaryValue" in value:
        record["binaryValue"] = base64.b64encode(value["BinaryValue"]).decode()
    return record


def _size(batch: Sequence[Message]) -> int:
    return sum(len(message["Body"]) for message in batch)
