"""The AWS stand-in under many hands: nothing that a queue or a stream took is lost, doubled or overwritten."""

import json
import subprocess
import sys
from pathlib import Path

from faasight_emulator.aws import Clients
from faasight_emulator.model import Place


def test_queues_and_streams_lose_and_double_nothing() -> None:
    """Moto has no locks of its own; without ours its queue loses messages, and brings deleted ones again."""
    program = Path(__file__).with_name("many_hands.py")
    answer = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout) == {"queue": {"lost": 0, "doubled": 0, "left": 0}, "stream": 0}


def test_a_long_poll_ends_when_a_hidden_message_may_be_had(aws: str) -> None:
    """The group is held up by its first message; when that comes back, it comes before the second."""
    sqs = Clients(Place(aws_endpoint=aws)).get("sqs")
    attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true", "VisibilityTimeout": "1"}
    url = sqs.create_queue(QueueName="patient.fifo", Attributes=attributes)["QueueUrl"]
    for body in ("first", "second"):
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="g")
    answers = [
        sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1, WaitTimeSeconds=20, AttributeNames=["All"])
        for _ in range(2)
    ]
    assert [one["Messages"][0]["Body"] for one in answers] == ["first", "first"]
    assert answers[1]["Messages"][0]["Attributes"]["ApproximateReceiveCount"] == "2"
