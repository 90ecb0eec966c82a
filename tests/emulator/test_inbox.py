"""The emulator's own queues: what cannot be delivered comes again, and what is refused for good holds up nothing."""

from collections import Counter
from typing import Any

from botocore.exceptions import ClientError
from faasight_emulator.model import Place
from faasight_emulator.sources.inbox import Inbox
from polling import wait_until


class Queue:
    """An SQS whose messages come again until they are deleted. It fails once, as one that is away."""

    def __init__(self, *bodies: str) -> None:
        self.waiting = dict.fromkeys(bodies, 0)
        self.failures = 1

    def receive_message(self, **_: Any) -> Any:
        """Answer as SQS."""
        if self.failures:
            self.failures -= 1
            raise ConnectionError("away")
        for body in self.waiting:
            self.waiting[body] += 1
        return {
            "Messages": [
                {"Body": body, "ReceiptHandle": body, "Attributes": {"ApproximateReceiveCount": str(count)}}
                for body, count in self.waiting.items()
            ]
        }

    def delete_message(self, ReceiptHandle: str, **_: Any) -> None:  # noqa: N803 -- boto's name
        """Answer as SQS."""
        del self.waiting[ReceiptHandle]

    def change_message_visibility(self, **_: Any) -> None:
        """Answer as SQS."""

    def send_message(self, **_: Any) -> None:
        """Answer as SQS."""


def test_events_come_again_until_they_are_delivered() -> None:
    """Trouble of our own is tried on and on, a target's refusal five times; a poller outlives all of it."""
    queue, said = Queue("good", "late", "refused"), list[str]()
    seen: Counter[str] = Counter()

    def handle(body: str) -> None:
        seen[body] += 1
        if body == "refused":
            raise ClientError({"Error": {"Code": "QueueDoesNotExist"}}, "SendMessage")
        if body == "late" and seen[body] < 8:
            raise RuntimeError("too much waits")

    inbox = Inbox("test", Place(), queue, handle, said.append)
    inbox.start()
    wait_until(lambda: not queue.waiting, "all are settled")
    inbox.stop()
    inbox.join(180)
    assert seen == {"good": 1, "late": 8, "refused": 5}
    assert "cannot be read (away)" in said[0]
    assert sum("it is given up" in one for one in said) == 1
    assert sum("it comes again" in one for one in said) == 7 + 4
