"""Kinesis and DynamoDB streams: order, batches, poison records, what is given up, and the shapes of events."""

import json
import re
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from faasight_emulator import Emulator, SourceCounts, SourceKey
from faasight_emulator.aws import Clients
from faasight_emulator.invocation import Result
from faasight_emulator.model import Function, Place
from faasight_emulator.sources import streams
from faasight_emulator.sources.counting import SourceCounter
from faasight_emulator.sources.model import StreamSource
from faasight_emulator.sources.shards import Record
from faasight_emulator.sources.streams import StreamMapping
from faasight_emulator.sources.tumbling import Window
from polling import wait_until
from shapes import missing_keys

Start = Callable[..., Emulator]
WINDOW = ", MaximumBatchingWindowInSeconds: 1"  # moto puts the records of one request one by one
STREAM = "arn:aws:kinesis:us-east-1:123456789012:stream/readings"


def template(handler: str = "stream", source: str = "", function: str = "", shards: int = 1) -> str:
    return f"""
  Readings: {{Type: AWS::Kinesis::Stream, Properties: {{ShardCount: {shards}}}}}
  Lost: {{Type: AWS::SQS::Queue}}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.{handler}
      {function}
      Events:
        S: {{Type: Kinesis, Properties: {{Stream: !GetAtt Readings.Arn, StartingPosition: TRIM_HORIZON {source}}}}}
"""


def put(emulator: Emulator, *datas: str, key: str = "k") -> list[str]:
    """Put records into the stream in one request and return their sequence numbers."""
    entries = [{"Data": data.encode(), "PartitionKey": key} for data in datas]
    answer = Clients(emulator.place).get("kinesis").put_records(StreamName="readings", Records=entries)
    return [one["SequenceNumber"] for one in answer["Records"]]


def batches(sink: Any) -> list[list[str]]:
    """Return the batches that the function has printed, in the order of its own clock: sandboxes are told of apart."""
    told = [json.loads(one["record"]) for one in sink.events("f", "function") if '"datas"' in one["record"]]
    return [one["datas"] for one in sorted(told, key=lambda one: int(one["at"]))]


def counted(emulator: Emulator) -> SourceCounts:
    return emulator.source_counts()[SourceKey("f", "stream", "readings")]


def lost(emulator: Emulator) -> list[Any]:
    """Return what the destination was told."""
    url = f"{emulator.place.aws_endpoint}/{emulator.place.account}/lost"
    found = Clients(emulator.place).get("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=1)
    return [json.loads(one["Body"]) for one in found.get("Messages", [])]


def test_records_come_in_order_in_lambdas_shape(start: Start, sink: Any) -> None:
    """What comes within the window is one batch, with sequence number and time of arrival."""
    emulator = start(template("show", WINDOW))
    began = time.time()
    sequences = put(emulator, "a", "b")
    wait_until(lambda: sink.events("f", "function"), "a batch came")
    event = json.loads(sink.events("f", "function")[0]["record"])
    assert missing_keys("kinesis.json", event) == set()
    assert [one["kinesis"]["sequenceNumber"] for one in event["Records"]] == sequences
    first = event["Records"][0]
    assert first["eventSourceARN"] == STREAM
    assert first["kinesis"]["data"] == "YQ=="
    assert began - 1 < first["kinesis"]["approximateArrivalTimestamp"] < time.time() + 1
    wait_until(lambda: counted(emulator).processed == 2, "both count")
    assert counted(emulator) == SourceCounts(received=2, batches=1, processed=2)


def test_every_shard_keeps_its_order(start: Start, sink: Any) -> None:
    """Over four shards and batches of three, each record comes once, those of a key in order."""
    emulator = start(template(source=", BatchSize: 3, ParallelizationFactor: 2", shards=4))
    for key in "abcdef":
        put(emulator, *(f"{key}{n}" for n in range(10)), key=key)
    wait_until(lambda: counted(emulator).processed == 60, "all are processed")
    wait_until(lambda: len(list(chain.from_iterable(batches(sink)))) == 60, "all are told of", 60)
    seen = list(chain.from_iterable(batches(sink)))
    for key in "abcdef":
        assert [one for one in seen if one[0] == key] == [f"{key}{n}" for n in range(10)]
    assert max(len(batch) for batch in batches(sink)) == 3


def test_a_poison_record_is_bisected_out(start: Start, sink: Any) -> None:
    """The batch is split until the bad one is alone; it has its retries, then the destination is told of it alone."""
    to = ", DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt Lost.Arn}}"
    emulator = start(template(source=f"{WINDOW}, BisectBatchOnFunctionError: true, MaximumRetryAttempts: 1{to}"))
    sequences = put(emulator, "a", "b", "bad", "d")
    wanted = [["a", "b", "bad", "d"], ["a", "b"], ["bad", "d"], ["bad"], ["bad"], ["d"]]
    wait_until(lambda: batches(sink) == wanted, "the bad one is alone, and the good ones have come")
    wait_until(lambda: counted(emulator).processed == 3, "the good ones are processed")
    told = wait_until(lambda: lost(emulator), "it came")[0]
    assert told["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert told["requestContext"]["approximateInvokeCount"] == 2
    assert told["responseContext"]["functionError"] == "Unhandled"
    info = told["KinesisBatchInfo"]
    assert (info["startSequenceNumber"], info["endSequenceNumber"], info["batchSize"]) == (sequences[2],) * 2 + (1,)
    assert (info["streamArn"], info["shardId"]) == (STREAM, "shardId-000000000000")
    assert counted(emulator) == SourceCounts(
        received=4, batches=6, processed=3, failed=4 + 2 + 1 + 1, retries=1, discarded=1
    )
    assert emulator.counts()["f"].errors == 4


def test_what_is_given_up_goes_to_a_bucket_with_its_records(start: Start) -> None:
    """Under the key that Lambda gives it, with the event as text."""
    to = ", DestinationConfig: {OnFailure: {Type: S3, Destination: !GetAtt Kept.Arn}}"
    emulator = start(template(source=f"{WINDOW}, MaximumRetryAttempts: 0{to}") + "  Kept: {Type: AWS::S3::Bucket}\n")
    put(emulator, "bad")
    s3 = Clients(emulator.place).get("s3")
    found = wait_until(lambda: s3.list_objects_v2(Bucket="kept").get("Contents"), "it is in the bucket")
    assert re.fullmatch(
        r"aws/lambda/[0-9a-f-]{36}/shardId-000000000000/\d{4}/\d\d/\d\d/[0-9T.-]{19}-[0-9a-f-]{36}", found[0]["Key"]
    )
    told = json.loads(s3.get_object(Bucket="kept", Key=found[0]["Key"])["Body"].read())
    assert told["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert json.loads(told["payload"])["Records"][0]["kinesis"]["data"] == "YmFk"


def test_a_checkpoint_is_kept(start: Start, sink: Any) -> None:
    """With ReportBatchItemFailures what comes before the first failed record is done, and does not come again."""
    source = f"{WINDOW}, FunctionResponseTypes: [ReportBatchItemFailures], MaximumRetryAttempts: 1"
    emulator = start(template(source=source, function="Environment: {Variables: {PARTIAL: 1}}"))
    put(emulator, "a", "bad", "c")
    wait_until(lambda: counted(emulator).discarded == 2, "the rest is given up")
    wait_until(lambda: batches(sink) == [["a", "bad", "c"], ["bad", "c"], ["bad", "c"]], "the rest came twice")
    put(emulator, "d")
    wait_until(lambda: batches(sink)[3:] == [["d"]], "the shard goes on")


def test_a_failing_batch_holds_up_its_shard(start: Start, sink: Any) -> None:
    """Without an end of retries nothing overtakes a bad record."""
    emulator = start(template(source=", BatchSize: 1"))
    put(emulator, "a", "bad", "c")
    wait_until(lambda: counted(emulator).retries >= 3, "the bad one is tried again")
    assert ["c"] not in batches(sink)
    assert counted(emulator).processed == 1


def test_filters_and_windows(start: Start, sink: Any) -> None:
    """Only what matches is gathered; what is no JSON does not match."""
    pattern = """'{"data": {"celsius": [{"numeric": [">", 30]}]}}'"""
    source = f", MaximumBatchingWindowInSeconds: 2, FilterCriteria: {{Filters: [{{Pattern: {pattern}}}]}}"
    emulator = start(template(source=source))
    put(emulator, '{"celsius": 31}', "none", '{"celsius": 3}', '{"celsius": 40}')
    wait_until(lambda: batches(sink) == [['{"celsius": 31}', '{"celsius": 40}']], "the hot ones came as one batch")
    wait_until(lambda: counted(emulator).processed == 2, "they count")
    assert counted(emulator) == SourceCounts(received=4, filtered=2, batches=1, processed=2)


def test_throttles_are_tried_again(start: Start, sink: Any, tmp_path: Path) -> None:
    """Eight shards and one place: the others wait, are counted, and nothing is lost."""
    gate = tmp_path / "gate"
    emulator = start(
        """
  Readings: {Type: AWS::Kinesis::Stream, Properties: {ShardCount: 8}}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.held_stream
      ReservedConcurrentExecutions: 1
      Timeout: 300
      Events:
        S: {Type: Kinesis, Properties: {Stream: !GetAtt Readings.Arn, StartingPosition: TRIM_HORIZON}}
""",
        environment={"GATE": str(gate)},
    )
    for key in "abcdefgh":
        put(emulator, key, key=key)
    wait_until(lambda: emulator.counts()["f"].throttles, "one was throttled")
    gate.touch()
    wait_until(lambda: counted(emulator).processed == 8, "all are processed")
    assert counted(emulator).throttles == emulator.counts()["f"].throttles > 0
    assert emulator.counts()["f"].errors == 0


def test_a_stream_that_cannot_be_read_is_tried_again(start: Start, sink: Any) -> None:
    """A poller never ends silently: it warns, and reads on when the stream is back."""
    said: list[str] = []
    emulator = start(template(), progress=said.append)
    kinesis = Clients(emulator.place).get("kinesis")
    kinesis.delete_stream(StreamName="readings")
    wait_until(lambda: any("a stream cannot be read" in one for one in said), "the trouble is told")
    kinesis.create_stream(StreamName="readings", ShardCount=1)
    put(emulator, "back")
    wait_until(lambda: batches(sink) == [["back"]], "the shard is read again")


def test_a_table_tells_of_its_changes(start: Start, sink: Any) -> None:
    """Inserts, changes and removals come in order with their images; a filter chooses among them."""
    pattern = """'{"eventName": ["INSERT", "MODIFY"], "dynamodb": {"Keys": {"id": {"S": [{"prefix": "o-"}]}}}}'"""
    emulator = start(
        f"""
  Orders:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{{AttributeName: id, AttributeType: S}}]
      KeySchema: [{{AttributeName: id, KeyType: HASH}}]
      StreamSpecification: {{StreamViewType: NEW_AND_OLD_IMAGES}}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.show
      Events:
        All: {{Type: DynamoDB, Properties: {{Stream: !GetAtt Orders.StreamArn, StartingPosition: LATEST}}}}
  G:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.show
      Events:
        Some:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Orders.StreamArn
            StartingPosition: LATEST
            FilterCriteria: {{Filters: [{{Pattern: {pattern}}}]}}
"""
    )
    dynamodb = Clients(emulator.place).get("dynamodb")
    dynamodb.put_item(TableName="orders", Item={"id": {"S": "o-1"}, "photo": {"B": b"\x00\xff"}})
    dynamodb.put_item(TableName="orders", Item={"id": {"S": "o-1"}, "n": {"N": "2"}})
    dynamodb.put_item(TableName="orders", Item={"id": {"S": "x"}})
    dynamodb.delete_item(TableName="orders", Key={"id": {"S": "o-1"}})

    def records(function: str) -> list[dict[str, Any]]:
        told = [json.loads(one["record"])["Records"] for one in sink.events(function, "function")]
        return list(chain.from_iterable(told))

    wait_until(lambda: len(records("f")) == 4, "all changes came")
    wait_until(lambda: len(records("g")) == 2, "those that were asked for came")
    assert missing_keys("dynamodb_stream.json", {"Records": records("f")}) == set()
    assert [one["eventName"] for one in records("f")] == ["INSERT", "MODIFY", "INSERT", "REMOVE"]
    changed = records("f")[1]["dynamodb"]
    assert changed["OldImage"] == {"id": {"S": "o-1"}, "photo": {"B": "AP8="}}
    assert changed["NewImage"] == {"id": {"S": "o-1"}, "n": {"N": "2"}}
    assert records("f")[0]["eventSourceARN"].startswith("arn:aws:dynamodb:us-east-1:123456789012:table/orders/stream/2")
    assert emulator.source_counts()[SourceKey("g", "table", "orders")].filtered == 2


class Windows:
    """A shard whose records came at given seconds, in one page."""

    id = "shardId-000000000000"
    stream_arn = STREAM

    def __init__(self, *seconds: float) -> None:
        self._pages = [[Record(str(n), "k", at, {"n": n}, 10) for n, at in enumerate(seconds)]]

    def read(self) -> list[Record]:
        """Return the page, then none."""
        return self._pages.pop() if self._pages else []


def test_tumbling_windows(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state goes from batch to batch, each window ends by itself, a failure repeats with the state before it."""
    monkeypatch.setattr(streams, "open_shards", lambda *_: [Windows(60, 61, 62, 63, 119.9, 120, 179, 240)])
    function = Function("F", "f", "app.f", tmp_path, "python3.11")
    source = StreamSource(STREAM, "TRIM_HORIZON", batch_size=4, tumbling=60)
    got: list[tuple[str, list[int], int, bool]] = []

    def invoke(_: str, event: bytes) -> Result:
        told = json.loads(event)
        numbers, known = [one["n"] for one in told["Records"]], told["state"].get("sum", 0)
        got.append((told["window"]["start"][14:16], numbers, known, told["isFinalInvokeForWindow"]))
        assert (told["shardId"], told["eventSourceARN"], told["isWindowTerminatedEarly"]) == (Windows.id, STREAM, False)
        if len(got) == 2:
            return Result("r", "error", b"{}")
        return Result("r", "success", json.dumps({"state": {"sum": known + sum(numbers)}}).encode())

    tally = SourceCounter().tally("f", "stream", "readings")
    place = Place()
    mapping = StreamMapping(function, source, place, Clients(place), Told(), invoke, tally, pytest.fail)  # type: ignore[arg-type]  # stands in for Targets
    mapping.open()
    mapping.start()
    wait_until(lambda: len([one for one in got if one[3]]) == 3, "all windows have ended")
    mapping.stop()
    mapping.join(180)
    assert got == [
        ("01", [0, 1, 2, 3], 0, False),
        ("01", [4], 6, False),
        ("01", [4], 6, False),
        ("01", [], 10, True),
        ("02", [5, 6], 0, False),
        ("02", [], 11, True),
        ("04", [7], 0, False),
        ("04", [], 7, True),
    ]
    counts = tally.counter.all()[tally.key]
    assert (counts.processed, counts.retries, counts.discarded) == (8, 1, 0)


def test_a_state_that_grows_too_large_ends_its_window() -> None:
    """As on AWS at 1 MB; an answer without a state leaves an empty one."""
    window = Window(60, 60, Windows())
    window.take(json.dumps({"state": {"x": "x" * 1_100_000}}).encode())
    assert window.event(final=True)["isWindowTerminatedEarly"] is True
    for answer in (b"", b"null", b"[]", b"no json", b"{}"):
        window.take(answer)
        assert (window.state, window.early) == ({}, False)
    assert window.event(final=False)["window"] == {"start": "1970-01-01T00:01:00Z", "end": "1970-01-01T00:02:00Z"}


class OldShard:
    """A shard with two records, of which one is older than allowed."""

    id = "shardId-000000000000"
    stream_arn = STREAM

    def __init__(self) -> None:
        now = time.time()
        self._pages = [[Record("1", "k", now - 61, {"n": 1}, 10), Record("2", "k", now, {"n": 2}, 10)]]

    def read(self) -> list[Record]:
        """Return both at once, then none."""
        return self._pages.pop() if self._pages else []


class Told:
    """Targets that keep what they are sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []

    def send(self, arn: str, body: str, **_: Any) -> None:
        """Keep a body."""
        self.sent.append((arn, json.loads(body)))


def test_records_grow_too_old(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record past MaximumRecordAgeInSeconds is given up unseen; the younger one is processed."""
    monkeypatch.setattr(streams, "open_shards", lambda *_: [OldShard()])
    function = Function("F", "f", "app.f", tmp_path, "python3.11")
    source = StreamSource(STREAM, "TRIM_HORIZON", maximum_age=60, on_failure="arn:lost")
    got: list[Any] = []
    targets, tally = Told(), SourceCounter().tally("f", "stream", "readings")

    def invoke(_: str, event: bytes) -> Result:
        got.append(json.loads(event)["Records"])
        return Result("r", "success")

    place = Place()
    mapping = StreamMapping(function, source, place, Clients(place), targets, invoke, tally, pytest.fail)  # type: ignore[arg-type]  # stands in for Targets
    mapping.open()
    mapping.start()
    wait_until(lambda: tally.counter.all()[tally.key].processed == 1, "the young one is processed")
    mapping.stop()
    mapping.join(180)
    assert got == [[{"n": 2}]]
    arn, told = targets.sent[0]
    assert (arn, told["requestContext"]["condition"]) == ("arn:lost", "RecordAgeExceeded")
    assert told["KinesisBatchInfo"]["batchSize"] == 1
    assert told["responseContext"] is None
