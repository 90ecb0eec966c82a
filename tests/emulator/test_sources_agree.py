"""What the store says of event sources is what they brought: batches, records, failures, by function and source."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from faasight_collector import Collector
from faasight_emulator import Emulator, SourceKey
from faasight_emulator.aws import Clients
from faasight_store import Scope, Store
from faasight_store.queries import invocations, traces
from polling import wait_until
from wrapped import wrapped

Start = Callable[..., Emulator]
Told = dict[SourceKey, tuple[int, int]]

RESOURCES = """
  Work:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 2
      RedrivePolicy: {deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 2}
  Dead: {Type: AWS::SQS::Queue}
  Clicks: {Type: AWS::Kinesis::Stream}
  News: {Type: AWS::SNS::Topic}
  Uploads: {Type: AWS::S3::Bucket}
  Orders:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      StreamSpecification: {StreamViewType: KEYS_ONLY}
  FromQueue:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.batch
      Timeout: 1
      Environment: {Variables: {PARTIAL: 1}}
      Events:
        Q: {Type: SQS, Properties: {Queue: !GetAtt Work.Arn, FunctionResponseTypes: [ReportBatchItemFailures]}}
  FromStream:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.stream
      Events:
        S:
          Type: Kinesis
          Properties:
            Stream: !GetAtt Clicks.Arn
            StartingPosition: TRIM_HORIZON
            BisectBatchOnFunctionError: true
            MaximumRetryAttempts: 0
  FromTable:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.echo
      Events: {T: {Type: DynamoDB, Properties: {Stream: !GetAtt Orders.StreamArn, StartingPosition: TRIM_HORIZON}}}
  FromTopic:
    Type: AWS::Serverless::Function
    Properties: {Handler: app.echo, Events: {N: {Type: SNS, Properties: {Topic: !Ref News}}}}
  FromBucket:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.echo
      Events: {O: {Type: S3, Properties: {Bucket: !Ref Uploads, Events: "s3:ObjectCreated:*"}}}
  FromBus:
    Type: AWS::Serverless::Function
    Properties: {Handler: app.echo, Events: {E: {Type: EventBridgeRule, Properties: {Pattern: {source: [shop]}}}}}
"""


@pytest.fixture
def empty(store_named: Callable[[str, str], Store]) -> Store:
    """Return a store for the one test of this file."""
    return store_named("embedded", "sources_agree")


@pytest.fixture
def collector(empty: Store, collector_before: Callable[[Store], Collector]) -> Collector:
    """Run a collector before it."""
    return collector_before(empty)


def publish(emulator: Emulator) -> None:
    """Send to every source, good and bad."""
    clients, place = Clients(emulator.place), emulator.place
    entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(("a", "bad", "c", "d"))]
    clients.get("sqs").send_message_batch(QueueUrl=f"{place.aws_endpoint}/{place.account}/work", Entries=entries)
    records = [{"Data": data, "PartitionKey": "k"} for data in (b"a", b"b", b"bad", b"d", b"e")]
    clients.get("kinesis").put_records(StreamName="clicks", Records=records)
    for n in range(3):
        clients.get("dynamodb").put_item(TableName="orders", Item={"id": {"S": str(n)}})
        clients.get("sns").publish(TopicArn=place.arn("sns", "news"), Message="hi")
        clients.get("s3").put_object(Bucket="uploads", Key=f"{n}.txt", Body=b"")
        entry = {"Source": "shop", "DetailType": "Placed", "Detail": json.dumps({"n": n})}
        clients.get("events").put_events(Entries=[entry])


def brought(emulator: Emulator) -> Told:
    """Return the truth: invocations and the records in them, by function and source."""
    polled = ("queue", "stream", "table")
    return {
        key: (one.batches, one.processed + one.failed) if key.kind in polled else (one.processed, one.processed)
        for key, one in emulator.source_counts().items()
    }


def stored(store: Store, scope: Scope) -> tuple[Told, list[dict[str, Any]]]:
    """Return the same from the store, and the attributes of the invocations' spans."""
    rows = invocations.recent(store, scope, limit=1000)
    runs = Counter(SourceKey(row.function, row.source_kind, row.source_name) for row in rows)
    found = [traces.trace(store, trace_id) for trace_id in {row.trace_id for row in rows if row.trace_id}]
    spans = {
        span.span_id: span for one in found if one for span in one.spans if "faas.invocation_id" in span.attributes
    }
    records: Counter[SourceKey] = Counter()
    for span in spans.values():
        given = span.attributes
        key = SourceKey(span.service, str(given["faasight.source.kind"]), str(given["faasight.source.name"]))
        records[key] += int(given.get("messaging.batch.message_count", 1))
    return {key: (runs[key], records[key]) for key in runs}, [span.attributes for span in spans.values()]


def test_the_store_tells_what_sources_brought(start: Start, collector: Collector, empty: Store) -> None:
    emulator = start(
        RESOURCES,
        **wrapped(f"http://{collector.http_address}"),
    )
    began = datetime.now(UTC) - timedelta(minutes=1)
    publish(emulator)
    queue, stream = SourceKey("from-queue", "queue", "work"), SourceKey("from-stream", "stream", "clicks")

    def done() -> bool:
        counts = emulator.source_counts()
        # The bad message is received twice, then put aside.
        return (
            (counts[queue].processed, counts[queue].failed) == (3, 2)
            and (counts[stream].processed, counts[stream].discarded) == (4, 1)
            and all(ran == 3 for key, (_, ran) in brought(emulator).items() if key not in (queue, stream))
            # What is pushed is brought when Lambda has taken it, and runs later.
            and all(emulator.counts()[name].invocations == 3 for name in ("from-topic", "from-bucket", "from-bus"))
        )

    wait_until(done, "everything has been brought")
    emulator.stop()
    told = brought(emulator)
    assert {key.kind for key in told} == {"queue", "stream", "table", "topic", "bucket", "bus"}
    scope = Scope(began, began + timedelta(minutes=30))
    last: list[Told] = []

    def agree() -> bool:
        last[:] = [stored(empty, scope)[0]]
        return last[0] == told

    try:
        wait_until(agree, "both count alike", every_s=0.5)
    except AssertionError:
        pytest.fail(f"the store says {last[0]}, the emulator {told}")
    attributes = stored(empty, scope)[1]
    polled = [one for one in attributes if one["faasight.source.kind"] in ("stream", "table")]
    assert polled
    assert all(float(one["faasight.iterator_age_ms"]) >= 0 for one in polled)
    failures = sum(int(one.get("faasight.batch.failures", 0)) for one in attributes)
    assert failures == emulator.source_counts()[queue].failed == 2
