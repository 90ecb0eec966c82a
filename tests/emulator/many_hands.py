"""Run as a program: many threads at moto's queue and stream as our server has them, switched as often as can be."""

import json
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from faasight_emulator import moto_server
from moto.core.base_backend import BaseBackend

moto_server.install(BaseBackend)

from moto.kinesis.models import KinesisBackend  # noqa: E402 -- after the guard, as in the server
from moto.sqs.models import SQSBackend  # noqa: E402

ACCOUNT, REGION, HANDS, ROUNDS = "123456789012", "us-east-1", 6, 100
STREAM = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/s"


def at_the_queue() -> dict[str, int]:
    """Send, receive and delete at once; return how many messages were lost, doubled and left."""
    sqs = SQSBackend(REGION, ACCOUNT)
    sqs.create_queue("q", {})
    seen: Counter[str] = Counter()

    def receive() -> bool:
        messages = sqs.receive_message("q", 3, 0, 600)
        seen.update([one.body for one in messages])
        sqs.delete_message_batch("q", [{"Id": one.id, "ReceiptHandle": one.receipt_handle} for one in messages])
        return bool(messages)

    def work(hand: int) -> None:
        for number in range(ROUNDS):
            sqs.send_message("q", f"{hand}-{number}")
            receive()

    with ThreadPoolExecutor(HANDS) as hands:
        list(hands.map(work, range(HANDS)))
    while receive():
        pass
    return {
        "lost": HANDS * ROUNDS - len(seen),
        "doubled": seen.total() - len(seen),
        "left": len(sqs.queues["q"]._messages),
    }


def at_the_stream() -> int:
    """Put records at once; return how many got the number of another."""
    kinesis = KinesisBackend(REGION, ACCOUNT)
    kinesis.create_stream("s", 1, None)  # type: ignore[call-arg]  # moto's signature differs by version

    def work(_: int) -> list[str]:
        return [kinesis.put_record(STREAM, "s", "k", "0", "eA==")[0] for _ in range(ROUNDS)]

    with ThreadPoolExecutor(HANDS) as hands:
        numbers = [number for part in hands.map(work, range(HANDS)) for number in part]
    return len(numbers) - len(set(numbers))


sys.setswitchinterval(1e-6)
sys.stdout.write(json.dumps({"queue": at_the_queue(), "stream": at_the_stream()}))
