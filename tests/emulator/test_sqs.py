"""Event source mappings: batches, partial failures, retries to the dead-letter queue, throttled polls."""

import json
import threading
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from faasight_emulator import Emulator, SourceKey
from faasight_emulator.aws import Clients
from faasight_emulator.invocation import Result
from faasight_emulator.model import Function, Place, QueueSource
from faasight_emulator.sources.batch_answers import failed_items
from faasight_emulator.sources.counting import SourceCounter
from faasight_emulator.sources.queues import QueueMapping
from polling import wait_until

Start = Callable[..., Emulator]


class Queues:
    """The queues of an emulator, seen from outside."""

    def __init__(self, emulator: Emulator) -> None:
        self._place = emulator.place
        self.sqs = Clients(emulator.place).get("sqs")

    def url(self, name: str) -> str:
        """Return a queue's URL."""
        return f"{self._place.aws_endpoint}/{self._place.account}/{name}"

    def send(self, *bodies: str) -> None:
        """Send to the queue `work` in one request, so that the messages can be received together."""
        entries = [{"Id": str(i), "MessageBody": body} for i, body in enumerate(bodies)]
        self.sqs.send_message_batch(QueueUrl=self.url("work"), Entries=entries)

    def waiting(self, name: str) -> int:
        """Return how many messages a queue holds, hidden ones too."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.sqs.get_queue_attributes(QueueUrl=self.url(name), AttributeNames=names)
        return sum(int(answer["Attributes"][one]) for one in names)


def template(handler: str, source: str = "", function: str = "", visibility: int = 2, redrive: str = "") -> str:
    """Return a queue and its function, which may take five seconds, or less if the visibility time-out is."""
    return f"""
  Dead: {{Type: AWS::SQS::Queue}}
  Work:
    Type: AWS::SQS::Queue
    Properties: {{VisibilityTimeout: {visibility} {redrive}}}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.{handler}
      Timeout: {min(5, visibility)}
      {function}
      Events:
        Q: {{Type: SQS, Properties: {{Queue: !GetAtt Work.Arn {source}}}}}
"""


REDRIVE = ", RedrivePolicy: {deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 2}"


def bodies(sink: Any) -> list[list[str]]:
    """Return the batches that the function has printed."""
    return [
        json.loads(event["record"])["bodies"] for event in sink.events("f", "function") if '"bodies"' in event["record"]
    ]


def test_a_batch_is_delivered_once_and_deleted(start: Start, sink: Any) -> None:
    """Messages that are there together come as one batch in Lambda's shape, and are gone afterwards."""
    queues = Queues(start(template("batch", ", BatchSize: 5")))
    queues.send("a", "b", "c", "d", "e")
    wait_until(lambda: sorted(chain.from_iterable(bodies(sink))) == ["a", "b", "c", "d", "e"], "all are processed")
    assert len(bodies(sink)) == 1
    wait_until(lambda: queues.waiting("work") == 0, "the queue is empty")


def test_record_shape(start: Start, sink: Any) -> None:
    """A record has the id, body, attributes and message attributes that Lambda gives."""
    queues = Queues(start(template("show")))
    attributes = {
        "traceparent": {"DataType": "String", "StringValue": "00-ab"},
        "raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    sent = queues.sqs.send_message(QueueUrl=queues.url("work"), MessageBody="hi", MessageAttributes=attributes)
    record = json.loads(sink.wait_for("f", "function")[0])["Records"][0]
    assert (record["messageId"], record["body"], record["md5OfBody"]) == (
        sent["MessageId"],
        "hi",
        sent["MD5OfMessageBody"],
    )
    assert record["messageAttributes"]["traceparent"] == {
        "stringValue": "00-ab",
        "stringListValues": [],
        "binaryListValues": [],
        "dataType": "String",
    }
    assert record["messageAttributes"]["raw"]["binaryValue"] == "AP8="
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert int(record["attributes"]["SentTimestamp"]) > 1_600_000_000_000
    assert (record["eventSource"], record["awsRegion"]) == ("aws:sqs", "us-east-1")
    assert record["eventSourceARN"] == "arn:aws:sqs:us-east-1:123456789012:work"


def test_a_batching_window_gathers(start: Start, sink: Any) -> None:
    """With a window, messages that come one after the other are one batch."""
    queues = Queues(start(template("batch", ", BatchSize: 20, MaximumBatchingWindowInSeconds: 2", visibility=30)))
    for body in ("a", "b", "c"):
        queues.send(body)
    wait_until(lambda: bodies(sink) == [["a", "b", "c"]], "one batch came")


def test_failures_are_retried_and_then_put_aside(start: Start, sink: Any) -> None:
    """A message that fails comes back after its visibility time-out; after maxReceiveCount it is in the other queue."""
    emulator = start(template("batch", redrive=REDRIVE))
    queues = Queues(emulator)
    queues.send("bad")
    wait_until(lambda: queues.waiting("dead") == 1, "the message is in the dead-letter queue")
    assert bodies(sink) == [["bad"], ["bad"]]
    assert queues.waiting("work") == 0
    counts = emulator.counts()["f"]
    assert (counts.invocations, counts.errors) == (2, 2)


def test_partial_failures(start: Start, sink: Any) -> None:
    """With ReportBatchItemFailures only the items that the function names come again."""
    queues = Queues(
        start(
            template(
                "batch",
                ", FunctionResponseTypes: [ReportBatchItemFailures]",
                "Environment: {Variables: {PARTIAL: 1}}",
                redrive=REDRIVE,
            )
        )
    )
    queues.send("good", "bad", "fine")
    wait_until(lambda: queues.waiting("dead") == 1, "the bad message is in the dead-letter queue")
    assert [sorted(batch) for batch in bodies(sink)] == [["bad", "fine", "good"], ["bad"]]
    assert queues.waiting("work") == 0


def test_throttled_polls_are_tried_again(start: Start, sink: Any) -> None:
    """When all polls find the function busy, they are throttled, counted, and in the end every message is processed."""
    source = ", BatchSize: 1, ScalingConfig: {MaximumConcurrency: 4}"
    emulator = start(template("slow_batch", source, "ReservedConcurrentExecutions: 1", visibility=30))
    queues = Queues(emulator)
    queues.send("a", "b", "c", "d")
    wait_until(lambda: sorted(chain.from_iterable(bodies(sink))) == ["a", "b", "c", "d"], "all are processed", 60)
    assert emulator.counts()["f"].throttles > 0
    wait_until(lambda: emulator.counts()["f"].invocations >= 4, "all are counted")  # a line is told of before its end
    assert emulator.counts()["f"].invocations == 4
    wait_until(lambda: queues.waiting("work") == 0, "the queue is empty")


def test_filters(start: Start, sink: Any) -> None:
    """What no pattern lets through is deleted, and the function never sees it, as what is no JSON."""
    patterns = """[{Pattern: '{"body": {"total": [{"numeric": [">", 10]}]}}'}, {Pattern: '{"body": ["plain"]}'}]"""
    emulator = start(template("batch", f", FilterCriteria: {{Filters: {patterns}}}"))
    queues = Queues(emulator)
    queues.send('{"total": 11}', '{"total": 9}', "no json", "plain", '["list"]')
    wait_until(lambda: sorted(chain.from_iterable(bodies(sink))) == ["plain", '{"total": 11}'], "two came")
    wait_until(lambda: queues.waiting("work") == 0, "the others are gone too")
    counts = emulator.source_counts()[SourceKey("f", "queue", "work")]
    assert (counts.received, counts.filtered, counts.processed) == (5, 3, 2)


Mapped = Callable[..., tuple[Any, Any, SourceCounter]]


@pytest.fixture
def mapped(aws: str, tmp_path: Path) -> Iterator[Mapped]:
    """Make a queue and map it to a callable in a function's place: no time-out but the queue's own can end a batch."""
    running: list[QueueMapping] = []

    def run(name: str, invoke: Callable[[Any], bool], **attributes: str) -> tuple[Any, str, SourceCounter]:
        place = Place(aws_endpoint=aws)
        sqs, counter = Clients(place).get("sqs"), SourceCounter()
        url = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "1", **attributes})["QueueUrl"]

        def invoked(_: str, event: bytes) -> Result:
            return Result("r", "success" if invoke(json.loads(event)["Records"]) else "error")

        mapping = QueueMapping(
            Function("F", "f", "app.f", tmp_path, "python3.11", timeout=1),
            QueueSource(place.arn("sqs", name), batch_size=2),
            place,
            sqs,
            invoked,
            counter.tally("f", "queue", name),
            lambda _: None,
        )
        running.append(mapping)
        mapping.start()
        return sqs, url, counter

    yield run
    for mapping in running:
        mapping.stop()
        mapping.join(180)


def test_a_fifo_queue_keeps_the_order_of_each_group(mapped: Mapped) -> None:
    """Whatever runs at once, a group's messages come in order, also after one has failed."""
    done: list[str] = []

    def invoke(records: Any) -> bool:
        bodies = [one["body"] for one in records]
        if "a2" in bodies and records[0]["attributes"]["ApproximateReceiveCount"] == "1":
            return False
        done.extend(bodies)
        return True

    sqs, url, counter = mapped("order.fifo", invoke, FifoQueue="true", ContentBasedDeduplication="true")
    for group in "ab":
        for number in range(6):
            sqs.send_message(QueueUrl=url, MessageBody=f"{group}{number}", MessageGroupId=group)
    key = SourceKey("f", "queue", "order.fifo")
    wait_until(lambda: counter.all()[key].processed == 12, "all are done")
    for group in "ab":
        assert [one for one in done if one[0] == group] == [f"{group}{number}" for number in range(6)]
    assert 1 <= counter.all()[key].failed <= 2


def test_what_is_at_work_does_not_come_twice(mapped: Mapped) -> None:
    """A batch that takes longer than the visibility time-out, as any may on a busy machine, comes once all the same."""
    sqs = url = None
    ready = threading.Event()
    seen: list[str] = []

    def invoke(records: Any) -> bool:
        ready.wait(180)
        # Another consumer waits for longer than the time-out, and sees nothing.
        others = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=6).get("Messages", [])
        seen.extend([one["body"] for one in records] + [one["Body"] for one in others])
        return True

    sqs, url, counter = mapped("at-work", invoke, VisibilityTimeout="4")
    sqs.send_message(QueueUrl=url, MessageBody="a")
    ready.set()
    wait_until(lambda: counter.all()[SourceKey("f", "queue", "at-work")].processed, "it is done")
    assert seen == ["a"]
    assert counter.all()[SourceKey("f", "queue", "at-work")].received == 1


def test_batches_wait_for_the_first_sandbox(aws: str, tmp_path: Path) -> None:
    """Until one has come up a mapping brings one batch: five that start at once would be the slower for it."""
    place = Place(aws_endpoint=aws)
    sqs, counter = Clients(place).get("sqs"), SourceCounter()
    url = sqs.create_queue(QueueName="warming")["QueueUrl"]
    for number in range(3):
        sqs.send_message(QueueUrl=url, MessageBody=str(number))
    come, may_end, is_up, looks = threading.Semaphore(0), threading.Event(), threading.Event(), threading.Semaphore(0)

    def invoke(_: str, _event: bytes) -> Result:
        come.release()
        may_end.wait(180)
        return Result("r", "success")

    def up(_: str) -> bool:
        looks.release()
        return is_up.is_set()

    function = Function("F", "f", "app.f", tmp_path, "python3.11")
    source, tally = QueueSource(place.arn("sqs", "warming"), batch_size=1), counter.tally("f", "queue", "warming")
    mapping = QueueMapping(function, source, place, sqs, invoke, tally, lambda _: None, up)
    mapping.start()
    assert come.acquire(timeout=180)
    assert all(looks.acquire(timeout=180) for _ in range(3)), "it asks whether it may go on"
    assert not come.acquire(blocking=False)
    is_up.set()
    assert all(come.acquire(timeout=180) for _ in range(2)), "then the others run beside the first"
    may_end.set()
    mapping.stop()
    mapping.join(180)


def test_a_queue_that_cannot_be_read_is_tried_again(start: Start, sink: Any) -> None:
    """The poller never ends silently: it warns, and reads on when the queue is back."""
    said: list[str] = []
    queues = Queues(start(template("batch"), progress=said.append))
    queues.sqs.delete_queue(QueueUrl=queues.url("work"))
    wait_until(lambda: any("its queue cannot be read" in one for one in said), "the trouble is told")
    queues.sqs.create_queue(QueueName="work")
    queues.send("back")
    wait_until(lambda: bodies(sink) == [["back"]], "the queue is read again")


class RefusingQueue:
    """An SQS that gives one batch and refuses to delete a message of it, the first time or always."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.deleted: list[str] = []
        self.freed: list[str] = []
        self._batches = [[{"MessageId": one, "ReceiptHandle": one, "Body": one, "MD5OfBody": ""} for one in "ab"]]

    def get_queue_attributes(self, **_: Any) -> Any:
        """Answer as SQS."""
        return {"Attributes": {"VisibilityTimeout": "30"}}

    def receive_message(self, **_: Any) -> Any:
        """Answer as SQS."""
        return {"Messages": self._batches.pop()} if self._batches else {}

    def delete_message_batch(self, Entries: list[Any], **_: Any) -> Any:  # noqa: N803 -- boto's name
        """Answer as SQS, with an entry that failed in a request that succeeded."""
        failed = [one for one in Entries if one["ReceiptHandle"] == "b" and self.refusals > 0]
        self.refusals -= len(failed)
        self.deleted += [one["ReceiptHandle"] for one in Entries if one not in failed]
        return {"Failed": [{"Id": one["Id"], "Code": "InternalError"} for one in failed]}

    def change_message_visibility_batch(self, Entries: list[Any], **_: Any) -> Any:  # noqa: N803 -- boto's name
        """Keep what may come again."""
        self.freed += [one["ReceiptHandle"] for one in Entries]
        return {}


@pytest.mark.parametrize(("refusals", "deleted", "warnings"), [(1, ["a", "b"], 0), (9, ["a"], 1)])
def test_a_message_that_is_not_deleted_is_told_of(
    tmp_path: Path, refusals: int, deleted: list[str], warnings: int
) -> None:
    """An entry that fails is tried once more; then it is told, for it will come again."""
    said: list[str] = []
    queue = RefusingQueue(refusals)
    function = Function("F", "f", "app.f", tmp_path, "python3.11")
    source = QueueSource("arn:aws:sqs:us-east-1:123456789012:q")
    tally = SourceCounter().tally("f", "queue", "q")
    mapping = QueueMapping(function, source, Place(), queue, lambda *_: Result("r", "success"), tally, said.append)
    mapping.start()
    wait_until(lambda: len(queue.deleted) >= len(deleted) and len(said) >= warnings, "the batch is settled")
    mapping.stop()
    mapping.join(180)
    assert queue.deleted == deleted
    assert all("messages are done, but not deleted: b; they come again" in one for one in said)
    wait_until(lambda: queue.freed == ["b"] * warnings, "what was refused may come again")


@pytest.mark.parametrize(
    ("payload", "failed"),
    [
        (b"null", set()),
        (b"", set()),
        (b"{}", set()),
        (b'{"batchItemFailures": []}', set()),
        (b'{"batchItemFailures": null}', set()),
        (b'{"batchItemFailures": [{"itemIdentifier": "b"}]}', {"b"}),
        (b'{"batchItemFailures": [{"itemIdentifier": ""}]}', {"a", "b"}),
        (b'{"batchItemFailures": [{"itemIdentifier": null}]}', {"a", "b"}),
        (b'{"batchItemFailures": [{"itemIdentifier": "other"}]}', {"a", "b"}),
        (b'{"batchItemFailures": [{"wrong": "b"}]}', {"a", "b"}),
        (b'{"batchItemFailures": "b"}', {"a", "b"}),
        (b'"text"', {"a", "b"}),
        (b"no json", {"a", "b"}),
    ],
)
def test_what_a_partial_answer_fails(payload: bytes, failed: set[str]) -> None:
    """An empty answer fails nothing; a malformed one, or one that names a stranger, fails all: the rules of AWS."""
    assert failed_items(payload, ["a", "b"]) == failed
