"""botocore against a real moto server: spans, targets, throttles, and the context in message attributes."""

import concurrent.futures.thread
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import botocore.client
import faasight
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from faasight.hooks import aws_targets, carry
from faasight.hooks import botocore as hook
from faasight.hooks import futures as futures_hook
from faasight.triggers import recognise
from quiet_server import QuietHandler, QuietServer


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    """Run moto's server, and return its address."""
    code = (
        "import sys\n"
        "from werkzeug.serving import make_server\n"
        "from moto.server import DomainDispatcherApplication, create_backend_app\n"
        "server = make_server('127.0.0.1', 0, DomainDispatcherApplication(create_backend_app), threaded=True)\n"
        "print(server.server_port, flush=True)\n"
        "server.serve_forever()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ}
    ) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port, "moto did not start"
        yield f"http://127.0.0.1:{port}"
        process.terminate()


@pytest.fixture
def aws_client(aws: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make clients of the moto server."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")

    def make(service: str, **config: Any) -> Any:
        return boto3.client(service, endpoint_url=aws, region_name="eu-central-1", config=Config(**config))

    return make


@pytest.fixture
def patched(agent: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Patch botocore and urllib3 for one test."""
    import urllib3.connectionpool
    from faasight.hooks import urllib3 as urllib3_hook

    pool = urllib3.connectionpool.HTTPConnectionPool
    monkeypatch.setattr(pool, "urlopen", pool.urlopen)
    base = botocore.client.BaseClient
    monkeypatch.setattr(base, "_make_api_call", base._make_api_call)
    urllib3_hook.install(urllib3.connectionpool, agent)
    hook.install(botocore.client, agent)
    agent.service = "checkout"
    return agent


def observed(work: Any) -> Any:
    return faasight.observe(lambda *_: work())({}, None)


def clients(sink: Any) -> list[Any]:
    return [span for span in sink.spans() if span.raw.kind in {3, 4}]


def test_a_message_carries_its_context(patched: Any, sink: Any, aws_client: Any) -> None:
    sqs = aws_client("sqs")
    url = sqs.create_queue(QueueName="order-queue")["QueueUrl"]
    given = {
        "QueueUrl": url,
        "MessageBody": "{}",
        "MessageAttributes": {"mine": {"DataType": "String", "StringValue": "1"}},
    }
    kept = json.dumps(given)
    answer = observed(lambda: sqs.send_message(**given))
    assert json.dumps(given) == kept, "the user's parameters are not written to"
    (root,) = sink.wait()
    (span,) = clients(sink)
    assert (span.name, span.raw.kind, span.parent_id) == ("send order-queue", 4, root.span_id)
    assert span.attributes == {
        "rpc.system": "aws-api",
        "rpc.service": "SQS",
        "rpc.method": "SendMessage",
        "messaging.system": "aws_sqs",
        "messaging.destination.name": "order-queue",
        "messaging.operation.type": "send",
        "messaging.message.id": answer["MessageId"],
        "faasight.sent.ids": [answer["MessageId"]],
        "http.response.status_code": 200,
        "aws.request_id": answer["ResponseMetadata"]["RequestId"],
    }
    (message,) = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes == {
        "mine": "1",
        "traceparent": f"00-{span.trace_id}-{span.span_id}-01",
        "tracestate": "faasight=f:checkout",
    }


def test_each_message_of_a_batch_carries_it(patched: Any, sink: Any, aws_client: Any) -> None:
    sqs = aws_client("sqs")
    url = sqs.create_queue(QueueName="batch-queue")["QueueUrl"]
    entries = [{"Id": str(number), "MessageBody": "x"} for number in range(3)]
    assert len(observed(lambda: sqs.send_message_batch(QueueUrl=url, Entries=entries))["Successful"]) == 3
    received = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"], MaxNumberOfMessages=10)["Messages"]
    assert all("traceparent" in message["MessageAttributes"] for message in received)
    sink.wait()
    (span,) = clients(sink)
    assert set(span.attributes["faasight.sent.ids"]) == {message["MessageId"] for message in received}
    assert span.attributes["messaging.batch.message_count"] == 3


def test_an_event_of_a_bus_brings_the_context_to_the_consumer(patched: Any, sink: Any, aws_client: Any) -> None:
    """The whole way: put, rule, queue; the event there is what a function gets."""
    sqs, events = aws_client("sqs"), aws_client("events")
    url = sqs.create_queue(QueueName="bus-queue")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="orders", EventPattern=json.dumps({"source": ["shop"], "detail": {"id": [1]}}))
    events.put_targets(Rule="orders", Targets=[{"Id": "1", "Arn": arn}])
    entry = {"Source": "shop", "DetailType": "order", "Detail": '{"id": 1}'}
    answer = observed(lambda: events.put_events(Entries=[entry, {**entry, "Detail": "no JSON"}]))
    assert answer["FailedEntryCount"] == 1
    sink.wait()
    span = sink.named("send default")
    assert span.attributes["messaging.message.id"] == answer["Entries"][0]["EventId"]
    assert span.attributes["faasight.batch.failures"] == 1
    assert span.attributes["error.type"] == "MalformedDetail"
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    trigger = recognise(json.loads(message["Body"]))
    (parent,) = trigger.parents
    assert (parent.trace_id, parent.span_id, parent.caller) == (span.trace_id, span.span_id, "checkout")
    assert trigger.attributes["messaging.message.id"] == span.attributes["messaging.message.id"]


def test_records_of_a_stream_are_found_by_their_sequence_numbers(patched: Any, sink: Any, aws_client: Any) -> None:
    kinesis = aws_client("kinesis")
    kinesis.create_stream(StreamName="clicks", ShardCount=1)
    records = [{"Data": data, "PartitionKey": "k"} for data in (b'{"n":1}', b"\x80{")]
    answer = observed(lambda: kinesis.put_records(StreamName="clicks", Records=records))
    sink.wait()
    span = sink.named("send clicks")
    numbers = [record["SequenceNumber"] for record in answer["Records"]]
    assert span.attributes["faasight.sent.ids"] == numbers
    patched.settings.carry = ("kinesis",)
    observed(lambda: kinesis.put_records(StreamName="clicks", Records=records))
    (shard,) = kinesis.list_shards(StreamName="clicks")["Shards"]
    iterator = kinesis.get_shard_iterator(
        StreamName="clicks", ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    stored = [record["Data"] for record in kinesis.get_records(ShardIterator=iterator)["Records"]]
    assert stored[:2] == [b'{"n":1}', b"\x80{"], "by default a stream's data is the user's alone"
    assert json.loads(stored[2]).keys() == {"n", "traceparent", "tracestate"}
    assert stored[3] == b"\x80{"


def test_an_execution_of_a_workflow_carries_it_and_is_found_by_its_arn(
    patched: Any, sink: Any, aws_client: Any
) -> None:
    workflows = aws_client("stepfunctions")
    machine = workflows.create_state_machine(
        name="ship",
        definition=json.dumps({"StartAt": "a", "States": {"a": {"Type": "Pass", "End": True}}}),
        roleArn="arn:aws:iam::123456789012:role/x",
    )["stateMachineArn"]
    answer = observed(lambda: workflows.start_execution(stateMachineArn=machine, input='{"id":1}'))
    sink.wait()
    span = sink.named("SFN.StartExecution ship")
    assert span.attributes["faasight.execution_id"] == answer["executionArn"]
    assert span.attributes["aws.step_functions.state_machine.arn"] == machine
    given = json.loads(workflows.describe_execution(executionArn=answer["executionArn"])["input"])
    assert given == {
        "id": 1,
        "traceparent": f"00-{span.trace_id}-{span.span_id}-01",
        "tracestate": "faasight=f:checkout",
    }


def test_an_object_of_a_bucket_is_found_by_key_and_etag(patched: Any, sink: Any, aws_client: Any) -> None:
    s3 = aws_client("s3", s3={"addressing_style": "path"})
    s3.create_bucket(Bucket="uploads", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    observed(lambda: s3.put_object(Bucket="uploads", Key="a/b.txt", Body=b"x"))
    sink.wait()
    span = sink.named("S3.PutObject uploads")
    assert span.attributes["aws.s3.key"] == "a/b.txt"
    notified = {
        "bucket": {"name": "uploads"},
        "object": {"key": "a/b.txt", "eTag": span.attributes["faasight.s3.etag"]},
    }
    trigger = recognise({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": notified}]})
    assert trigger.ids == span.attributes["faasight.sent.ids"]
    assert span.attributes["faasight.s3.etag"] == "9dd4e461268c8034f5c8564e155c67a6"  # md5 of x: so the bucket tells it
    observed(lambda: s3.copy_object(Bucket="uploads", Key="b.txt", CopySource="uploads/a/b.txt"))
    sink.wait(2)
    copied = sink.named("S3.CopyObject uploads")
    assert copied.attributes["faasight.sent.ids"] == ["uploads/b.txt#9dd4e461268c8034f5c8564e155c67a6"]


def test_a_transfer_of_a_file_is_seen(
    patched: Any, sink: Any, aws_client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """boto3 does it in a pool of threads; it is the way that most upload by."""
    monkeypatch.setattr(ThreadPoolExecutor, "submit", ThreadPoolExecutor.submit)
    futures_hook.install(concurrent.futures.thread, patched)
    s3 = aws_client("s3", s3={"addressing_style": "path"})
    s3.create_bucket(Bucket="films", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    (tmp_path / "film").write_bytes(bytes(9 * 2**20))  # over boto3's limit for one part

    def handler() -> None:
        s3.upload_fileobj(io.BytesIO(b"x"), "films", "short")
        s3.upload_file(str(tmp_path / "film"), "films", "long")
        s3.download_file("films", "long", str(tmp_path / "again"))

    observed(handler)
    (invocation,) = sink.wait()
    calls = [span for span in clients(sink) if span.name.startswith("S3.")]
    names = {span.attributes["rpc.method"] for span in calls}
    assert names >= {"PutObject", "UploadPart", "CompleteMultipartUpload", "GetObject"}
    assert {span.parent_id for span in calls} == {invocation.span_id}
    assert (tmp_path / "again").stat().st_size == 9 * 2**20


def test_a_topic_in_a_queue_brings_the_context_to_the_consumer(patched: Any, sink: Any, aws_client: Any) -> None:
    """The whole way: publish, subscription, receive, and our own reading of the event."""
    sqs, sns = aws_client("sqs"), aws_client("sns")
    url = sqs.create_queue(QueueName="shipping")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = sns.create_topic(Name="orders")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    observed(lambda: sns.publish(TopicArn=topic, Message="{}"))
    sink.wait()
    span = sink.named("send orders")
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    record = {
        "messageId": message["MessageId"],
        "body": message["Body"],
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
    }
    (parent,) = recognise({"Records": [record]}).parents
    assert (parent.trace_id, parent.span_id, parent.caller) == (span.trace_id, span.span_id, "checkout")


def test_a_table_is_named(patched: Any, sink: Any, aws_client: Any) -> None:
    dynamodb = aws_client("dynamodb")
    dynamodb.create_table(
        TableName="orders",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    observed(lambda: dynamodb.put_item(TableName="orders", Item={"id": {"S": "1"}}))
    sink.wait()
    (span,) = clients(sink)
    assert (span.name, span.raw.kind) == ("DynamoDB.PutItem orders", 3)
    assert span.attributes["aws.dynamodb.table_names"] == ["orders"]
    assert span.attributes["db.system.name"] == "aws.dynamodb"


def test_an_error_of_aws_comes_back_and_is_told(patched: Any, sink: Any, aws_client: Any) -> None:
    dynamodb = aws_client("dynamodb")
    with pytest.raises(ClientError) as caught:
        observed(lambda: dynamodb.get_item(TableName="absent", Key={"id": {"S": "1"}}))
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"
    sink.wait()
    (span,) = clients(sink)
    assert span.attributes["error.type"] == "ResourceNotFoundException"
    assert span.attributes["http.response.status_code"] == 400
    assert span.raw.status.code == 2
    assert "faasight.throttled" not in span.attributes


class Throttling:
    """A real HTTP server that throttles the first `times` calls, as DynamoDB writes it."""

    def __init__(self, times: int) -> None:
        calls = iter(range(100))

        class Handler(QuietHandler):
            def answer(self) -> None:
                self.body()
                throttled = next(calls) < times
                body = (
                    b'{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"slow"}'
                    if throttled
                    else b"{}"
                )
                self.reply(400 if throttled else 200, {"Content-Type": "application/x-amz-json-1.0"}, body)

        self.server = QuietServer(Handler)
        self.url = f"http://{self.server.address}"

    def close(self) -> None:
        """Stop."""
        self.server.close()


@pytest.mark.parametrize(("times", "fails"), [(1, False), (2, True)])
def test_a_throttle_is_seen_even_when_a_retry_overcomes_it(
    patched: Any, sink: Any, monkeypatch: pytest.MonkeyPatch, times: int, fails: bool
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    server = Throttling(times)
    config = Config(retries={"mode": "standard", "total_max_attempts": 2})
    dynamodb = boto3.client("dynamodb", endpoint_url=server.url, region_name="eu-central-1", config=config)
    try:
        observed(lambda: dynamodb.get_item(TableName="stock", Key={"id": {"S": "1"}}))
        failed = False
    except ClientError:
        failed = True
    server.close()
    assert failed == fails
    sink.wait()
    (span,) = clients(sink)
    assert span.attributes["faasight.throttled"] is True
    assert span.attributes["http.request.resend_count"] == 1
    assert span.attributes.get("error.type") == ("ThrottlingException" if fails else None)


@pytest.mark.parametrize("later", [True, False])
def test_who_is_called_later_is_found_by_the_request_id(
    patched: Any, sink: Any, function: Any, monkeypatch: pytest.MonkeyPatch, later: bool
) -> None:
    """Lambda hands its ClientContext on to what it calls at once, and to nothing else."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")

    class Handler(QuietHandler):
        def answer(self) -> None:
            self.body()
            self.reply(202 if later else 200, {"x-amzn-requestid": "00000000-0000-0000-0000-000000000001"}, b"")

    server = QuietServer(Handler)
    client = boto3.client("lambda", endpoint_url=f"http://{server.address}", region_name="eu-central-1")
    kind = "Event" if later else "RequestResponse"
    observed(lambda: client.invoke(FunctionName="resize", InvocationType=kind, Payload=b"{}"))
    server.close()
    (caller,) = sink.wait()
    (call,) = clients(sink)
    function("def handler(event, context): pass").invoke({"object": "cat.jpg"})
    called = next(span for span in sink.wait(2) if span.span_id != caller.span_id)
    assert called.attributes["faasight.source.ids"] == ["00000000-0000-0000-0000-000000000001"]
    assert call.attributes.get("faasight.sent.ids") == (called.attributes["faasight.source.ids"] if later else None)


def test_outside_an_invocation_nothing_is_added(patched: Any, sink: Any, aws_client: Any) -> None:
    sqs = aws_client("sqs")
    url = sqs.create_queue(QueueName="quiet")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="x")
    (message,) = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
    assert "MessageAttributes" not in message


def test_an_api_call_to_the_wrong_parameters_fails_as_ever(patched: Any, sink: Any, aws_client: Any) -> None:
    from botocore.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        observed(lambda: aws_client("sqs").send_message(QueueUrl=5))


@pytest.mark.parametrize(("own", "added"), [(0, 2), (8, 2), (9, 1), (10, 0)])
def test_the_limit_of_ten_attributes(own: int, added: int) -> None:
    attributes = {f"a{number}": {"DataType": "String", "StringValue": "x"} for number in range(own)}
    sent = carry.context("SQS", "SendMessage", {"MessageBody": "x", "MessageAttributes": attributes}, "p", "s")
    assert len(sent["MessageAttributes"]) == own + added
    assert ("traceparent" in sent["MessageAttributes"]) == (added > 0)


@pytest.mark.parametrize(
    ("size", "room"), [(1_000, True), (261_000, False), (262_144, False), (300_000, True), (1_048_000, False)]
)
def test_a_message_close_to_the_size_limit_is_left_alone(size: int, room: bool) -> None:
    sent = carry.context("SQS", "SendMessage", {"MessageBody": "x" * size}, "p", "s")
    assert ("MessageAttributes" in sent) == room


def test_a_lambda_call_carries_it_in_the_client_context() -> None:
    from base64 import b64decode

    sent = carry.context("Lambda", "Invoke", {"FunctionName": "f"}, "p", "s")
    assert json.loads(b64decode(sent["ClientContext"])) == {"custom": {"traceparent": "p", "tracestate": "s"}}
    mine = {"FunctionName": "f", "ClientContext": "e30="}
    assert carry.context("Lambda", "Invoke", mine, "p", "s") is mine


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "name", "attribute"),
    [
        ("S3", "PutObject", {"Bucket": "uploads"}, "S3.PutObject uploads", ("aws.s3.bucket", "uploads")),
        (
            "Lambda",
            "Invoke",
            {"FunctionName": "arn:aws:lambda:r:1:function:stock:7"},
            "Lambda.Invoke stock",
            ("faas.invoked_name", "stock"),
        ),
        ("Lambda", "Invoke", {"FunctionName": "stock:live"}, "Lambda.Invoke stock", ("faas.invoked_name", "stock")),
        (
            "Lambda",
            "Invoke",
            {"FunctionName": "123456789012:function:stock:7"},
            "Lambda.Invoke stock",
            ("faas.invoked_name", "stock"),
        ),
        (
            "DynamoDB",
            "TransactWriteItems",
            {"TransactItems": [{"Put": {"TableName": "b"}}, {"Update": {"TableName": "a"}}]},
            "DynamoDB.TransactWriteItems a,b",
            ("aws.dynamodb.table_names", ["a", "b"]),
        ),
        (
            "DynamoDB",
            "BatchGetItem",
            {"RequestItems": {"t": {}}},
            "DynamoDB.BatchGetItem t",
            ("aws.dynamodb.table_names", ["t"]),
        ),
        ("SQS", "ReceiveMessage", {"QueueUrl": "http://h/1/q"}, "receive q", ("messaging.operation.type", "receive")),
        ("EventBridge", "PutEvents", {"Entries": [{}]}, "send default", ("messaging.system", "aws_eventbridge")),
        ("Kinesis", "PutRecord", {"StreamName": "clicks"}, "send clicks", ("messaging.destination.name", "clicks")),
        ("SSM", "GetParameter", {"Name": "secret"}, "SSM.GetParameter", ("rpc.service", "SSM")),
        ("DynamoDB", "PutItem", {"TableName": 5}, "DynamoDB.PutItem", ("rpc.method", "PutItem")),
    ],
)
def test_what_a_call_is_aimed_at(
    service: str, operation: str, parameters: dict[str, Any], name: str, attribute: tuple[str, Any]
) -> None:
    target = aws_targets.describe(service, operation, parameters)
    assert target.name == name
    assert target.attributes[attribute[0]] == attribute[1]
